"""A run whose backbone changed trains anew, and one whose backbone or GPUs cannot be had ends with its first step."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from safetensors.torch import load_file, save_file

from embedtune.models.card import ModelCard

DATA_STEPS = ["✓ resolve_data", "✓ ingest_csv unchanged,", "✓ build_documents unchanged,"]
MODEL_STEPS = ["✓ finetune", "✓ evaluate_retrieval", "✓ register_model"]


def test_a_changed_backbone_and_a_chain_train_anew(first, start, source: Path, tmp_path: Path) -> None:
    """In a finished run's folder, what a run makes is the backbone of the next, by its path and by an alias."""
    output = shutil.copytree(first.output, tmp_path / "out")
    model = output / "model"

    def run(name: object):
        words = ("--train-epochs", 1, "--train-batch-size", 32, "--model-max-length", 32)
        done = start(output, "--data-uri", source, "--model-backbone", name, *words).finish()
        assert done.code == 0, done.err
        assert done.steps[3:] == MODEL_STEPS
        cards.append(ModelCard.load(model))
        return done, done.summary["metrics"]["ndcg_at_10"]

    cards: list[ModelCard] = []
    weights = load_file(model / "model.safetensors")
    weights["embeddings.word_embeddings.weight"].zero_()
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    _, damaged = run(model)
    again, changed = run(model)
    chained, by_alias = run("models:/embeddings@challenger")
    assert again.steps[:3] == chained.steps[:3] == DATA_STEPS
    assert first.summary["metrics"]["ndcg_at_10"]["tuned"] > damaged["base"] + 0.1
    assert damaged["tuned"] > damaged["base"] + 0.01
    assert changed["base"] == pytest.approx(damaged["tuned"], abs=1e-9)
    assert by_alias["base"] == pytest.approx(changed["tuned"], abs=1e-9)
    assert len({card.backbone_version for card in cards}) == 3
    assert len({card.backbone_digest for card in cards}) == 3

    # The alias means the version that was just registered, so its base is named by its number.
    base = f"models:/embeddings/{chained.summary['registered']['version'] - 1}"
    assert cards[-1].backbone == base
    uri = f"sqlite:///{output}/mlflow.db"
    client = MlflowClient(uri, uri)
    registered = client.get_model_version_by_alias("embeddings", "challenger")
    assert (int(registered.version), registered.tags["base_model"]) == (
        chained.summary["registered"]["version"],
        base,
    )
    assert registered.description.startswith(f"Embedding model: `{base}` fine-tuned on ")
    assert client.get_run(registered.run_id).data.params["finetune.backbone"] == "models:/embeddings@challenger"
    page = (output / "report.html").read_text(encoding="utf-8")
    assert base in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model-backbone", "/no/such/folder"), "Backbone '/no/such/folder' is no folder here"),
        (("--gpu-count", "4096"), "gpu_count is 4096, and PyTorch"),
    ],
)
def test_the_first_step_refuses_what_cannot_be_had(start, source: Path, tmp_path: Path, words, message: str) -> None:
    run = start(tmp_path / "out", "--data-uri", source, *words).finish()
    assert run.steps == ["✗ resolve_data"]
    assert message in run.err
    assert "Traceback" not in run.err
