"""What is held out of training documents is read as an evaluation folder is, and no batch holds any of it."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from embedtune.documents.distinct_contents import content_key
from embedtune.documents.summary import SPLIT_FILE
from embedtune.models.backbones import open_backbone
from embedtune.models.card import ModelCard
from embedtune.models.contents import Contents
from embedtune.models.roles import EncodingRole
from embedtune.models.trained_texts import load_trained, trained_digests
from embedtune.training import trainer
from embedtune.training.config import FinetuneConfig
from embedtune.training.examples import TrainingSet
from embedtune.training.finetune import finetune_model
from embedtune.training.validation_set import read_examples
from tests.files_of_today.renew import KEPT

LAYOUTS = ("labelled", "pairs", "text-image")


def asked(config: FinetuneConfig, **options: object) -> FinetuneConfig:
    return dataclasses.replace(config, train_options=json.dumps({"items_per_label": 2, **options}))


def stored(*contents: Contents) -> set[str | bytes]:
    """What tells contents apart, up to the spelling of texts."""
    return {content_key(each) if isinstance(each, str) else each for part in contents for each in part.all_stored()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_content_is_trained_on_or_measured_with(layout, config, tmp_path, capsys):
    folder = KEPT / layout / "train"
    (tmp_path / "whole").mkdir()
    whole = TrainingSet.read(folder, tmp_path / "whole")
    examples, validation = read_examples(folder, tmp_path, asked(config, validation_share=0.3))
    held_out = validation.held_out
    held = stored(held_out.queries, held_out.index)
    assert stored(examples.contents).isdisjoint(held)
    assert stored(examples.contents) | held == stored(whole.contents)
    assert 0.15 < len(held) / len(whole.contents) < 0.45
    judgments = held_out.documents.judgments
    assert (judgments.relevant_counts() > 0).all()
    assert validation.key == "ndcg_at_10"
    expected = EncodingRole.QUERY if layout == "labelled" else EncodingRole.DOCUMENT
    assert validation.index_role is expected
    assert held_out.index.kinds == ({"image"} if layout == "text-image" else {"text"})
    told = capsys.readouterr().err.splitlines()
    assert told[0] == (
        f"Validation: {len(held_out.queries)} queries search {len(held_out.index)} documents, which are not trained "
        f"on; {len(examples.contents)} training contents are left."
    )
    assert "validation queries are fewer than 20, so chance decides which epoch seems to be best" in told[1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_left_is_known_as_before(layout, config, tmp_path):
    """Labels, pairs and gains of the contents that are left are those of the whole folder."""
    folder = KEPT / layout / "train"
    (tmp_path / "whole").mkdir()
    whole = TrainingSet.read(folder, tmp_path / "whole")
    examples, _ = read_examples(folder, tmp_path, asked(config, validation_share=0.3))
    assert facts(examples) < facts(whole)


def facts(examples: TrainingSet) -> set[tuple[object, ...]]:
    """Which contents share a label, and which pairs there are with which gains."""
    contents = [examples.contents.stored(number) for number in range(len(examples.contents))]
    numbers = range(len(contents))
    found: set[tuple[object, ...]] = {
        (contents[one], contents[other]) for one in numbers for other in numbers if same_label(examples, one, other)
    }
    pairs = () if examples.pairs is None else zip(examples.pairs.tolist(), examples.gains.tolist(), strict=True)
    return found | {(contents[one], contents[other], gain) for (one, other), gain in pairs}


def same_label(examples: TrainingSet, one: int, other: int) -> bool:
    return bool(examples.labels[one] == examples.labels[other])


def test_whole_labels_are_held_out_where_the_evaluation_held_out_whole_ones(config, tmp_path):
    folder = shutil.copytree(KEPT / "labelled" / "train", tmp_path / "train")
    (folder / SPLIT_FILE).write_text('{"rule": "group"}', encoding="utf-8")
    (tmp_path / "whole").mkdir()
    whole = TrainingSet.read(folder, tmp_path / "whole")
    labels = dict(zip(whole.contents.all_stored(), whole.labels.tolist(), strict=True))
    examples, validation = read_examples(folder, tmp_path, asked(config, validation_share=0.4))
    held = [*validation.held_out.queries.all_stored(), *validation.held_out.index.all_stored()]
    assert {labels[text] for text in held}.isdisjoint(labels[text] for text in examples.contents.all_stored())


def test_nothing_is_held_out_unless_asked_for(config, tmp_path):
    examples, validation = read_examples(KEPT / "labelled" / "train", tmp_path, config)
    assert validation is None
    (tmp_path / "whole").mkdir()
    whole = TrainingSet.read(KEPT / "labelled" / "train", tmp_path / "whole")
    assert list(examples.contents) == list(whole.contents)


def test_no_batch_holds_what_is_measured_with(config, tmp_path, monkeypatch):
    seen: set[str] = set()

    class Recording(trainer.Collator):
        def _content(self, position):
            content = super()._content(position)
            seen.add(content["text"])
            return content

    monkeypatch.setattr(trainer, "Collator", Recording)
    folder = KEPT / "labelled" / "train"
    config = asked(config, validation_share=0.3, validation_metric="map_at_3", keep_best_epoch=True)
    card = finetune_model(folder, tmp_path / "model", dataclasses.replace(config, loss="SupConLoss"), "")
    (tmp_path / "again").mkdir()
    examples, validation = read_examples(folder, tmp_path / "again", config)
    assert seen == set(examples.contents.all_stored())
    held = stored(validation.held_out.queries, validation.held_out.index)
    assert {content_key(text) for text in seen}.isdisjoint(held)
    assert card == ModelCard.load(tmp_path / "model")
    assert card.train_documents == len(seen)
    assert card.validation.metric == "map_at_3"
    assert card.validation.kept == card.validation.best.epoch
    assert [score.epoch for score in card.validation.scores] == [0, 1, 2, 3]
    assert card.chosen["keep_best_epoch"].startswith("Epoch (keep_best_epoch): ")
    check_known(tmp_path / "model", seen | held)


def check_known(model: Path, contents: set[str]) -> None:
    """The model says that it knows these, and no others."""
    with open_backbone(str(model), "") as backbone:
        assert set(load_trained(backbone).tolist()) == set(trained_digests(contents).tolist())
