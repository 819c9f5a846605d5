"""A batch size that fits is found, kept over a resume, and gives what the same number gives where it is stated."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embedtune.errors import TrainingError
from embedtune.models.contents import Contents
from embedtune.models.loading import load_model, weights_digest
from embedtune.training.batch_size import (
    TooLargeError,
    chosen_batch_size,
    halved,
    largest_that_fits,
    longest_rows,
)
from embedtune.training.config import FinetuneConfig
from embedtune.training.embedding import ColumnLoss
from embedtune.training.examples import TrainingSet
from embedtune.training.finetune import finetune_model
from embedtune.training.fits import plan_batches
from embedtune.training.objectives import build_objective
from embedtune.training.so_far import SoFar
from embedtune.training.trial import step_fits
from tests.training.test_finetune import LABELLED, TEXTS, table, write_documents
from tests.training.test_resume import Killed, kill

GPU = torch.device("cuda")


@pytest.fixture
def memory() -> Iterator[Callable[..., None]]:
    """Let a step of more than so many contents run out of memory, from the nth on: `memory(8, from_step=4)`."""
    steps: list[int] = []
    hooks = []

    def limit(contents: int, from_step: int = 1) -> None:
        def exhaust(module, given):
            if isinstance(module, ColumnLoss):
                columns, labels = list(given[0]), given[1]
                steps.append(len(columns) * len(labels))
                if len(steps) >= from_step and steps[-1] > contents:
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 768.00 MiB.")

        hooks.append(torch.nn.modules.module.register_module_forward_pre_hook(exhaust))

    yield limit
    for hook in hooks:
        hook.remove()


@given(room=st.integers(10, 3000), unit=st.integers(2, 16), most=st.integers(64, 1024))
def test_the_largest_that_fits(room, unit, most):
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= room

    least = 2 * unit
    found = largest_that_fits(fits, least, most, unit)
    if round(least / 0.9) > room:
        assert found == 0
        return
    assert found % unit == 0
    assert least <= found <= most
    assert found / 0.9 <= room + 1
    assert found + unit > min(most, 0.9 * room / 1.125 - 1)
    assert len(tried) < 20


def sized(lengths: list[int], pairs: np.ndarray | None = None) -> TrainingSet:
    texts = ["a" * length for length in lengths]
    return TrainingSet(Contents.of_texts(texts), np.arange(len(texts)) // 2, pairs)


def test_the_longest_contents_are_tried():
    assert longest_rows(sized([3, 9, 1, 7]), 1, 3).tolist() == [[1], [3], [0]]
    assert longest_rows(sized([3, 9, 1, 7]), 2, 4).tolist() == [[1, 3], [0, 2]]
    assert longest_rows(sized([3, 9]), 1, 5).tolist() == [[1], [0], [1], [0], [1]]
    judged = sized([3, 9, 1, 7], np.array([[0, 1], [2, 3], [1, 3]]))
    assert longest_rows(judged, 2, 5).tolist() == [[1, 3], [0, 1]]
    assert longest_rows(judged, 3, 7).tolist() == [[1, 3, 3], [0, 1, 1]]


@pytest.mark.parametrize("loss", ["MultipleNegativesRankingLoss", "ArcFaceLoss"])
@pytest.mark.parametrize("room", [8, 100])
def test_a_trial_leaves_nothing_behind(examples, config, memory, loss, room):
    model = load_model(config.backbone, config.max_length)
    config = dataclasses.replace(config, loss=loss, learning_rate=0.1)
    before, drawn = weights_digest(model), torch.get_rng_state()
    memory(room)
    plan = plan_batches(examples, config)

    def build() -> ColumnLoss:
        return ColumnLoss(model, build_objective(loss, model, 8, 32))

    assert step_fits(model, 16, examples, config, plan, build) == (room == 100)
    assert weights_digest(model) == before
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(weight.grad is None for weight in model.parameters())


LABELS = FinetuneConfig(loss="SupConLoss", train_options='{"items_per_label": 6}')


def chosen(
    asked: int, room: int, contents: int = 100_000, device: torch.device = GPU, resumed: Path | None = None
) -> tuple[int, str]:
    config = dataclasses.replace(LABELS, batch_size=asked)
    config, sentences = chosen_batch_size(config, contents, device, resumed, lambda size: size <= room)
    return config.batch_size, sentences.get("batch_size", "")


def test_what_is_chosen_is_told(tmp_path):
    assert chosen(0, room=10**6) == (
        1020,
        "Batch size (0): 1020 contents, as many as are taken without being asked: 1,024, or a tenth of all.",
    )
    assert chosen(0, room=10**6, contents=500)[0] == 48
    size, sentence = chosen(0, room=300)
    assert size == 264
    assert sentence.startswith("Batch size (0): 264 contents, the largest in which the longest contents fit into the")
    assert chosen(0, room=0, device=torch.device("cpu")) == (
        64,
        "Batch size (0): 64 contents, the number for a CPU, on which larger batches are no faster.",
    )
    assert chosen(64, room=64) == (64, "")
    size, sentence = chosen(64, room=40)
    assert (size, sentence[:31]) == (30, "Batch size (64): 30 contents, s")
    numbers = dict.fromkeys((field.name for field in dataclasses.fields(SoFar)), 0)
    SoFar(**{**numbers, "batch_size": 24}).save(tmp_path)
    assert chosen(0, room=0, resumed=tmp_path) == (24, "Batch size (0): 24 contents, as the checkpoint has it.")
    with pytest.raises(
        TooLargeError, match=r"for batches of 12 contents .*, the fewest that teach\. Halve max_length, set"
    ):
        chosen(64, room=5)
    with pytest.raises(TooLargeError, match="for batches of 12 contents"):
        chosen(0, room=5)


def test_half_of_a_batch():
    assert [halved(size, LABELS) for size in (64, 30, 13)] == [30, 12, 12]
    pairs = FinetuneConfig(loss="CLIPLoss")
    assert [halved(size, pairs) for size in (64, 10, 5)] == [32, 4, 4]


def test_an_open_batch_size_on_a_cpu_is_64(run_training, examples, config):
    config = dataclasses.replace(config, epochs=2)
    stated = run_training(examples, dataclasses.replace(config, batch_size=64))
    left_open = run_training(examples, dataclasses.replace(config, batch_size=0))
    assert left_open.result.batch_size == 64
    assert (left_open.weights, left_open.result.history) == (stated.weights, stated.result.history)


def test_a_training_goes_on_with_the_batch_size_that_was_found(run_training, at_step, examples, config, tmp_path):
    straight = run_training(examples, config)
    at_step(9, kill)
    with pytest.raises(Killed):
        run_training(examples, config, str(tmp_path))
    resumed = run_training(examples, dataclasses.replace(config, batch_size=0), str(tmp_path))
    assert resumed.result.batch_size == 8
    assert resumed.weights == straight.weights


@pytest.fixture(scope="module")
def documents(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("documents") / "train"
    return write_documents(folder, LABELLED, table([text[0] for text in TEXTS]), None)


def test_a_step_that_runs_out_of_memory_begins_anew_with_half(documents, config, memory, tmp_path, capsys):
    """It happens in the second epoch, when there is a checkpoint, which is of no use then."""
    config = dataclasses.replace(config, loss="SupConLoss", epochs=2)
    stated = finetune_model(documents, tmp_path / "stated", dataclasses.replace(config, batch_size=8), "")
    memory(8, from_step=3)
    large = dataclasses.replace(config, batch_size=16)
    card = finetune_model(documents, tmp_path / "found", large, str(tmp_path / "kept"))
    weights = {name: weights_digest(load_model(str(tmp_path / name), 0)) for name in ("stated", "found")}
    assert weights["found"] == weights["stated"]
    assert card.history == stated.history
    assert card.options == {**large.recorded(), "batch_size": 8}
    assert card.epoch == stated.epoch
    assert card.chosen["batch_size"] == (
        "Batch size (16): 8 contents, since 16 do not fit into the memory of the GPU; the training began anew with it."
    )
    assert f"Look here: {card.chosen['batch_size']}\n" in capsys.readouterr().err


def test_memory_for_no_batch_at_all(documents, config, memory, tmp_path):
    memory(2)
    with pytest.raises(TrainingError, match=r"batches of 4 contents .*, the fewest that teach"):
        finetune_model(documents, tmp_path / "model", config, "")
    assert not (tmp_path / "model").exists()
