"""Rows of positions become features: the right prompt before each text, the right targets, seeded changes."""

import io

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from embedtune.models.contents import Contents
from embedtune.models.loading import load_model
from embedtune.records.layouts import Modality
from embedtune.training.augmenting import Augmentation
from embedtune.training.collating import Collator
from embedtune.training.config import FinetuneConfig
from embedtune.training.examples import TrainingSet
from embedtune.training.fits import column_roles, plan_batches, searched_contents

NOTHING = Augmentation()
PROMPTS = {"query": "q:", "document": "d:"}
TEXTS = list("abcdefgh")


def collator_of(model, examples: TrainingSet, loss: str, augmentation: Augmentation = NOTHING) -> Collator:
    plan = plan_batches(examples, FinetuneConfig(loss=loss, batch_size=8))
    roles, searched = column_roles(examples, plan), searched_contents(examples, plan)
    return Collator(model, examples.contents, plan, roles, searched, augmentation, 0)


def paired(**more) -> TrainingSet:
    """Queries a, c, e, g with the documents b, d, f, h."""
    return TrainingSet(Contents.of_texts(TEXTS), np.arange(8) // 2, np.arange(8).reshape(4, 2), **more)


def labelled() -> TrainingSet:
    return TrainingSet(Contents.of_texts(TEXTS), np.arange(8) // 2)


@pytest.fixture
def model(tiny_model_folder):
    return load_model(str(tiny_model_folder), 0)


def words(model, features: dict[str, object], column: int) -> list[str]:
    """What is read of a column, without the special tokens."""
    read = model.tokenizer.batch_decode(features[f"c{column}_input_ids"], skip_special_tokens=True)
    return [text.replace(" ", "") for text in read]


@pytest.mark.parametrize(
    ("examples", "loss", "rows", "expected"),
    [
        (paired(), "MultipleNegativesRankingLoss", [[0, 1], [4, 5]], [["q:a", "q:e"], ["d:b", "d:f"]]),
        (
            paired(negatives=np.array([[0, 3], [2, 1], [4, 7], [6, 5]])),
            "MultipleNegativesRankingLoss",
            [[0, 1, 7], [4, 5, 3]],
            [["q:a", "q:e"], ["d:b", "d:f"], ["d:h", "d:d"]],
        ),
        (paired(), "SupConLoss", [[0], [1], [4], [5]], [["q:a", "d:b", "q:e", "d:f"]]),
        (labelled(), "SupConLoss", [[0], [1]], [["q:a", "q:b"]]),
        (labelled(), "MultipleNegativesRankingLoss", [[0, 1]], [["q:a"], ["q:b"]]),
        (
            paired(scores=np.array([0, 0.5, 1, 0.25], np.float32)),
            "CoSENTLoss",
            [[0, 1], [2, 3]],
            [["q:a", "q:c"], ["q:b", "q:d"]],
        ),
    ],
)
def test_each_text_has_the_prompt_of_its_role(model, examples, loss, rows, expected):
    collator = collator_of(model, examples, loss)
    bare = collator([np.array(row) for row in rows])
    model.prompts.update(PROMPTS)
    features = collator([np.array(row) for row in rows])
    for column, texts in enumerate(expected):
        assert words(model, bare, column) == [text[2:] for text in texts]
        assert words(model, features, column) == texts
    assert examples.contents[0] == {"text": "a"}


def test_targets_are_labels_or_scores(model):
    features = collator_of(model, labelled(), "SupConLoss")([np.array([position]) for position in (0, 1, 6)])
    assert features["label"].tolist() == [0, 0, 3]
    scored = paired(scores=np.array([0, 0.5, 1, 0.25], np.float32))
    features = collator_of(model, scored, "CoSENTLoss")([np.array(pair) for pair in ([6, 7], [2, 3])])
    assert features["label"].tolist() == [0.25, 0.5]


def test_images_are_changed_alike_for_the_same_seed_and_epoch(tiny_models):
    noise = np.random.default_rng(0).integers(0, 256, (4, 40, 40, 3), np.uint8)
    files = []
    for pixels in noise:
        with io.BytesIO() as file:
            Image.fromarray(pixels).save(file, "PNG")
            files.append(file.getvalue())
    contents = Contents([(Modality.IMAGE, pa.chunked_array([pa.array(files, pa.large_binary())]))])
    examples = TrainingSet(contents, np.array([0, 0, 1, 1]))
    vit = load_model(str(tiny_models("vit")), 0)
    rows = [np.array([position]) for position in range(4)]

    def pixels(augmentation: Augmentation, epoch: int) -> torch.Tensor:
        collator = collator_of(vit, examples, "SupConLoss", augmentation)
        collator.epoch = epoch
        return collator(rows)["c0_pixel_values"]

    every = Augmentation(flip=True, crop=True, colour=True)
    torch.testing.assert_close(pixels(every, 1), pixels(every, 1))
    assert (pixels(every, 1) - pixels(every, 2)).abs().max() > 0.1
    assert (pixels(every, 1) - pixels(NOTHING, 1)).abs().max() > 0.1
    torch.testing.assert_close(pixels(NOTHING, 1), pixels(NOTHING, 2))
