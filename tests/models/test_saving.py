"""Model folders: read by the rules of embedding servers, equal when reloaded, and replaced whole or not at all."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm, Normalize, Pooling
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer

from embedtune.errors import ModelError, StorageError
from embedtune.models.loading import load_model, weights_digest
from embedtune.models.modules.gem import GeM
from embedtune.models.parity import check_parity
from embedtune.models.saving import save_model, whole_folder
from embedtune.models.servers import servers_of

TEXTS = ["a", "hello world", "The QUICK brown fox", "12.5 - 3", "abc " * 60]
ACTIVATIONS = {
    "torch.nn.modules.activation.Tanh": torch.tanh,
    "torch.nn.modules.linear.Identity": lambda values: values,
}


def heads() -> dict[str, list[torch.nn.Module]]:
    torch.manual_seed(1)
    return {
        "mean": [Pooling(32, "mean")],
        "cls": [Pooling(32, "cls")],
        "mean, normalized": [Pooling(32, "mean"), Normalize()],
        "two dense": [Pooling(32, "mean"), Dense(32, 48), Dense(48, 8, activation_function=torch.nn.Identity())],
    }


def with_head(model: SentenceTransformer, head: list[torch.nn.Module]) -> SentenceTransformer:
    return SentenceTransformer(modules=[model[0], *head], device="cpu")


def served_vectors(folder: Path, texts: list[str]) -> np.ndarray:
    """Read a folder as text-embeddings-inference 1.9 does (its router/src/lib.rs and backends/src/lib.rs)."""
    limits = json.loads((folder / "sentence_bert_config.json").read_text())
    assert isinstance(limits["max_seq_length"], int)
    assert isinstance(limits["do_lower_case"], bool)
    Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens = AutoTokenizer.from_pretrained(folder)(
        texts, padding=True, truncation=True, max_length=limits["max_seq_length"], return_tensors="pt"
    )
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder, use_safetensors=True)(**tokens).last_hidden_state
    vectors = states
    for module in json.loads((folder / "modules.json").read_text()):
        package, _, kind = module["type"].rpartition(".")
        assert package == "sentence_transformers.models"
        if kind == "Pooling":
            vectors = served_pooling(folder / module["path"], states, tokens["attention_mask"])
        elif kind == "Dense":
            vectors = served_dense(folder / module["path"], vectors)
        elif kind == "Normalize":
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
        else:
            assert kind == "Transformer"
    return vectors.numpy()


def served_pooling(folder: Path, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    config = json.loads((folder / "config.json").read_text())
    assert config["word_embedding_dimension"] == states.shape[-1]
    cls, mean = config["pooling_mode_cls_token"], config["pooling_mode_mean_tokens"]
    assert sorted([cls, mean]) == [False, True]
    assert not config["pooling_mode_lasttoken"]
    return states[:, 0] if cls else (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def served_dense(folder: Path, vectors: torch.Tensor) -> torch.Tensor:
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    assert weights["linear.weight"].shape == (config["out_features"], config["in_features"])
    assert config["bias"] is True
    return ACTIVATIONS[config["activation_function"]](vectors @ weights["linear.weight"].T + weights["linear.bias"])


@pytest.mark.parametrize("head", heads())
def test_a_server_that_reads_the_folder_gives_the_models_vectors(model, tmp_path, head):
    model = with_head(model, heads()[head])
    model.max_seq_length = 20
    save_model(model, tmp_path)
    np.testing.assert_allclose(served_vectors(tmp_path, TEXTS), model.encode(TEXTS), rtol=0, atol=1e-6)


@pytest.mark.parametrize("head", heads())
def test_reloaded_equal(model, tmp_path, head):
    model = with_head(model, heads()[head])
    model.max_seq_length = 20
    save_model(model, tmp_path)
    reloaded = load_model(str(tmp_path), 0)
    assert reloaded.max_seq_length == 20
    assert weights_digest(reloaded) == weights_digest(model)
    np.testing.assert_array_equal(reloaded.encode(TEXTS), model.encode(TEXTS))


def test_saved_twice_equal_bytes(model, tmp_path):
    for name in ("first", "second"):
        save_model(model, tmp_path / name)
        model = load_model(str(tmp_path / name), 0)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")} for name in ("first", "second")
    )
    assert first == second


def test_no_pickles_and_no_generated_page(model, tmp_path):
    save_model(model, tmp_path)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {
        *("modules.json", "config.json", "config_sentence_transformers.json", "sentence_bert_config.json"),
        *("model.safetensors", "tokenizer.json", "tokenizer_config.json", "1_Pooling/config.json"),
    }


@pytest.mark.parametrize("mode", Pooling.POOLING_MODES)
def test_exactly_the_flag_of_the_pooling_is_set(model, tmp_path, mode):
    save_model(with_head(model, [Pooling(32, mode)]), tmp_path)
    config = json.loads((tmp_path / "1_Pooling" / "config.json").read_text())
    flags = [name for name, value in config.items() if name.startswith("pooling_mode_") and value]
    stem = mode if mode in ("lasttoken", "mean_sqrt_len_tokens") else f"{mode}_{'token' if mode == 'cls' else 'tokens'}"
    assert flags == [f"pooling_mode_{stem}"]
    assert config["pooling_mode"] == mode


class Foreign(torch.nn.Module):
    """A module of somebody's own."""


def test_a_module_that_could_not_be_loaded_again_is_refused(model, tmp_path):
    model.append(Foreign())
    with pytest.raises(ModelError, match="a 'Foreign' module, which cannot be loaded again"):
        save_model(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("kind", ["clip", "siglip", "vit", "dinov2", "resnet", "convnext", "efficientnet"])
def test_models_of_images_come_back_the_same(tiny_models, tmp_path, kind):
    model = load_model(str(tiny_models(kind)), 0)
    save_model(model, tmp_path)
    assert check_parity(model, tmp_path) == 0.0
    assert "text-embeddings-inference" in servers_of(tmp_path)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], ""),
        ([Dense(32, 16, activation_function=torch.nn.Tanh())], ""),
        ([Dense(32, 16, activation_function=torch.nn.Identity()), Normalize()], ""),
        ([Dense(32, 16, activation_function=torch.nn.GELU())], "dense layers know no activation GELU"),
        ([LayerNorm(32)], "knows no module LayerNorm"),
    ],
)
def test_servers_of_a_folder(model, tmp_path, parts, reason):
    save_model(with_head(model, parts), tmp_path)
    for told in servers_of(tmp_path).values():
        assert told == "" if not reason else reason in told


@pytest.mark.parametrize(
    "pooling", [Pooling(32, "max"), Pooling(32, "weightedmean"), Pooling(32, ("mean", "cls")), GeM(32)]
)
def test_poolings_that_servers_lack(model, tmp_path, pooling):
    save_model(SentenceTransformer(modules=[model[0], pooling], device="cpu"), tmp_path)
    (reason,) = set(servers_of(tmp_path).values())
    assert "it knows no" in reason
    assert check_parity(SentenceTransformer(modules=[model[0], pooling], device="cpu"), tmp_path) == 0.0


@pytest.mark.parametrize(("kind", "reads"), [("clip", "image and text"), ("vit", "image")])
def test_images_are_read_by_no_server_of_texts(tiny_models, tmp_path, kind, reads):
    save_model(load_model(str(tiny_models(kind)), 0), tmp_path)
    assert set(servers_of(tmp_path).values()) == {f"it reads texts only, the model {reads}"}


class TestWholeFolder:
    def test_appears_with_its_parents_when_the_block_ends(self, tmp_path):
        target = tmp_path / "deep" / "model"
        with whole_folder(target) as folder:
            (folder / "file").write_text("new")
            assert not target.exists()
        assert (target / "file").read_text() == "new"
        assert list(target.parent.iterdir()) == [target]

    def test_replaces_the_old_folder_whole(self, tmp_path):
        target = tmp_path / "model"
        for name in ("old", "new"):
            with whole_folder(target) as folder:
                (folder / name).touch()
        assert sorted(path.name for path in target.iterdir()) == [".embedtune-files", "new"]
        assert list(tmp_path.iterdir()) == [target]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ModelError])
    def test_an_interruption_leaves_the_old_folder(self, tmp_path, error):
        target = tmp_path / "model"
        with whole_folder(target) as folder:
            (folder / "file").write_text("old")
        with pytest.raises(error), whole_folder(target) as folder:  # noqa: PT012
            (folder / "file").write_text("new")
            raise error
        assert (target / "file").read_text() == "old"
        assert list(tmp_path.iterdir()) == [target]

    def test_what_a_killed_process_left_does_not_get_in(self, tmp_path):
        (tmp_path / ".model.partial").mkdir()
        (tmp_path / ".model.partial" / "half").touch()
        with whole_folder(tmp_path / "model") as folder:
            (folder / "file").touch()
        assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [".embedtune-files", "file"]

    def test_a_disk_that_takes_no_more(self, model, tmp_path):
        target = tmp_path / "model"
        with whole_folder(target) as folder:
            (folder / "file").write_text("old")
        refused = pytest.raises(StorageError, match=f"{target} cannot be written")
        with refused, whole_folder(target) as folder, largest_file(50_000):
            save_model(model, folder)
        assert (target / "file").read_text() == "old"
        assert list(tmp_path.iterdir()) == [target]

    def test_a_place_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(StorageError, match="enough free space"), whole_folder(tmp_path / "file" / "model"):
            pass


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
