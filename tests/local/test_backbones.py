"""A run whose backbone changed trains anew, and one whose backbone or GPUs cannot be had ends with its first step."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from safetensors.torch import load_file, save_file

from embedtune.models.card import ModelCard

DATA_STEPS = ["✓ resolve_data", "✓ ingest_csv unchanged,", "✓ build_documents unchanged,"]
MODEL_STEPS = ["✓ finetune", "✓ evaluate_retrieval", "✓ register_model"]


@pytest.fixture
def backbone(tiny_model_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model_folder, tmp_path / "backbone")


def test_a_changed_backbone_and_a_chain_train_anew(start, source: Path, backbone: Path, tmp_path: Path) -> None:
    def run(name: object):
        words = ("--train-epochs", 1, "--train-batch-size", 32, "--model-max-length", 32)
        done = start(tmp_path / "out", "--data-uri", source, "--model-backbone", name, *words).finish()
        assert done.code == 0, done.err
        return done

    first = run(backbone)
    weights = load_file(backbone / "model.safetensors")
    weights["embeddings.word_embeddings.weight"].zero_()
    save_file(weights, backbone / "model.safetensors", {"format": "pt"})
    changed = run(backbone)
    assert changed.steps == [*DATA_STEPS, *MODEL_STEPS]
    bases = [done.summary["metrics"]["ndcg_at_10"]["base"] for done in (first, changed)]
    assert bases[0] > bases[1] + 0.1
    same = run(backbone)
    assert same.steps == [*DATA_STEPS, "✓ finetune unchanged,", "✓ evaluate_retrieval unchanged,", "✓ register_model"]

    cards = [ModelCard.load(tmp_path / "out" / "model")]
    for name in (tmp_path / "out" / "model", "models:/embeddings@challenger"):
        chained = run(name)
        assert chained.steps == [*DATA_STEPS, *MODEL_STEPS]
        cards.append(ModelCard.load(tmp_path / "out" / "model"))
    assert len({card.backbone_version for card in cards}) == 3
    assert len({card.backbone_digest for card in cards}) == 3

    # The alias means the version that was just registered, so its base is named by its number.
    base = f"models:/embeddings/{chained.summary['registered']['version'] - 1}"
    assert cards[-1].backbone == base
    uri = f"sqlite:///{tmp_path}/out/mlflow.db"
    client = MlflowClient(uri, uri)
    registered = client.get_model_version_by_alias("embeddings", "challenger")
    assert (int(registered.version), registered.tags["base_model"]) == (
        chained.summary["registered"]["version"],
        base,
    )
    assert registered.description.startswith(f"Embedding model: `{base}` fine-tuned on ")
    assert client.get_run(registered.run_id).data.params["finetune.backbone"] == "models:/embeddings@challenger"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
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
