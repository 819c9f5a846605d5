"""A sweep's two steps with a tiny model: settings that come to no model are a row, and the best model is handed on."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from embedtune.documents.build import build_documents
from embedtune.documents.schema import BuildOptions
from embedtune.errors import ConfigError, EmbedtuneError, ModelError, StoppedError, StorageError, TrainingError
from embedtune.models.card import ModelCard
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat, open_rows
from embedtune.steps.choose_candidate import ChooseCandidateConfig, choose_candidate
from embedtune.steps.finetune_candidate import FinetuneCandidateConfig, finetune_candidate
from embedtune.training.candidates import CANDIDATE_FILE, Candidate, CandidateSettings, Sweep
from embedtune.training.config import FinetuneConfig

FREEZE = {"model_freeze": "no-such-layer"}


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    texts = [f"{topic} {number}" for topic in ("refund", "invoice", "repair", "voucher") for number in range(12)]
    with open_rows(folder / "rows", RowsFormat(Layout.LABELLED, (Modality.TEXT,))) as file:
        file.write([list(range(len(texts))), texts, [text.split()[0] for text in texts]])
    build_documents(folder / "rows", folder / "train", folder / "evaluation", folder / "aside.csv", BuildOptions())
    return folder / "train"


def settings(base: Path, tried: dict[str, object], **changes: object) -> FinetuneCandidateConfig:
    options = {"backbone": str(base), "epochs": 1, "batch_size": 16, "max_length": 32, "learning_rate": 1e-3}
    options |= {"train_options": '{"validation_share": 0.3}', **changes}
    return FinetuneCandidateConfig(CandidateSettings(tried, FinetuneConfig(**options)).to_json())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def candidates(train: Path, tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("candidates")
    failing = settings(tiny_model_folder, FREEZE, model_options=json.dumps({"freeze": "no-such-layer"}))
    finetune_candidate(failing, train, folder / "failed")
    finetune_candidate(settings(tiny_model_folder, {"train_epochs": 1}), train, folder / "good")
    return folder / "failed", folder / "good"


def test_settings_that_come_to_no_model_are_an_outcome(candidates: tuple[Path, ...]) -> None:
    failed, good = map(Candidate.load, candidates)
    assert failed.tried == FREEZE
    assert failed.failure.startswith("model_options: freeze names 'no-such-layer', which matches no layer.")
    assert not (candidates[0] / "model").exists()
    assert good.validation == ModelCard.load(candidates[1] / "model").validation
    assert good.score is not None
    assert sorted(path.name for path in candidates[1].parent.iterdir()) == ["failed", "good"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"loss": "CoSENTLoss"}, "The loss CoSENTLoss does not fit data of the layout 'labelled'"),
        ({"max_length": 100_000}, "max_length 100000 is outside what"),
        ({"learning_rate": 0.9, "epochs": 4}, "The model gives all contents the same vector"),
    ],
)
def test_what_does_not_fit_or_teaches_nothing_is_an_outcome(
    changes: dict[str, object], reason: str, train: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    outcome = finetune_candidate(settings(tiny_model_folder, {}, **changes), train, tmp_path / "candidate")
    assert outcome.failure.startswith(reason)
    assert Candidate.load(tmp_path / "candidate") == outcome


def test_the_best_is_handed_on_with_a_record_of_all(candidates: tuple[Path, ...], tmp_path: Path) -> None:
    kept = [tmp_path / "checkpoints" / name for name in "ab"]
    outputs = [tmp_path / name for name in ("model", "sweep", "sweep.html", "sweep.md")]
    found = choose_candidate(ChooseCandidateConfig(), candidates, *outputs, tuple(map(str, kept)))
    assert found.chosen == 1
    assert Sweep.load(tmp_path / "sweep" / "sweep.json") == found
    assert ModelCard.load(tmp_path / "model") == ModelCard.load(candidates[1] / "model")
    weights = [folder / "model.safetensors" for folder in (tmp_path / "model", candidates[1] / "model")]
    assert weights[0].samefile(weights[1])
    assert "No model: model_options: freeze names" in (tmp_path / "sweep.html").read_text("utf-8")
    assert "1 came to no model" in (tmp_path / "sweep.md").read_text("utf-8")


def test_where_all_fail_nothing_is_written(candidates: tuple[Path, ...], tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("model", "sweep", "sweep.html", "sweep.md")]
    with pytest.raises(TrainingError, match="None of 2 combinations came to a model"):
        choose_candidate(ChooseCandidateConfig(), (candidates[0], candidates[0]), *outputs)
    with pytest.raises(ConfigError, match="There are no candidates"):
        choose_candidate(ChooseCandidateConfig(), (), *outputs)
    assert list(tmp_path.iterdir()) == []


def test_what_has_nothing_to_do_with_the_settings_fails(
    train: Path, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(tiny_model_folder, {})
    with pytest.raises(StorageError, match="nowhere"):
        finetune_candidate(config, tmp_path / "nowhere", tmp_path / "candidate")

    def stop(*_: object, **__: object) -> None:
        raise StoppedError("Stopped at step 1 of 9.")

    monkeypatch.setattr("embedtune.training.finetune.finetune_model", stop)
    with pytest.raises(StoppedError):
        finetune_candidate(config, train, tmp_path / "candidate")
    assert not (tmp_path / "candidate" / CANDIDATE_FILE).exists()


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        pytest.param(
            {"gpu_count": "1"},
            TrainingError,
            "gpu_count is 1, and PyTorch .* sees 0 GPUs",
            marks=pytest.mark.skipif(torch.accelerator.is_available(), reason="a GPU is there"),
        ),
        ({"backbone": "/nowhere/model"}, ModelError, "/nowhere/model"),
    ],
    ids=["no GPU", "no backbone"],
)
def test_surroundings_that_another_try_may_find_better_fail(
    changes: dict[str, str],
    kind: type[EmbedtuneError],
    message: str,
    train: Path,
    tiny_model_folder: Path,
    tmp_path: Path,
) -> None:
    gpu_count = changes.pop("gpu_count", "0")
    config = dataclasses.replace(settings(tiny_model_folder, {}, **changes), gpu_count=gpu_count)
    with pytest.raises(kind, match=message):
        finetune_candidate(config, train, tmp_path / "candidate")
    assert not (tmp_path / "candidate" / CANDIDATE_FILE).exists()


def test_without_a_share_held_out_there_is_nothing_to_choose_by(
    train: Path, tiny_model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"validation_share is 0\.0; a candidate needs one above 0"):
        finetune_candidate(settings(tiny_model_folder, {}, train_options="{}"), train, tmp_path / "candidate")
