"""What is loaded, and what is refused: foreign code, pickles, damage, and limits that a model does not have."""

import hashlib
import json
import os
import pickle
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers.sentence_transformer.modules import Dense, StaticEmbedding
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    RobertaConfig,
    RobertaModel,
)

from embedtune.errors import ModelError
from embedtune.models.loading import embedding_dimension, load_model, weights_digest
from embedtune.models.roles import EncodingRole, prompt_of
from embedtune.models.saving import save_model

SIZES = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
LONG_TEXT = "abc " * 100


class RunsCode:
    """Unpickled, this makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def refusal(folder: Path, max_length: int = 0) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(str(folder), max_length)
    return str(caught.value)


class TestRefusals:
    @pytest.mark.parametrize("kind", ["my_package.Pooling", "os.path.join", "sentence_transformers.nothing.Pooling"])
    def test_a_module_of_a_foreign_class(self, copied, kind):
        modules = json.loads((copied / "modules.json").read_text())
        modules[1]["type"] = kind
        (copied / "modules.json").write_text(json.dumps(modules))
        assert str(copied) in refusal(copied)

    def test_a_foreign_module_that_lies_in_the_folder_is_not_run(self, copied, tmp_path):
        (copied / "evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\nclass Pooling: ...\n")
        modules = json.loads((copied / "modules.json").read_text())
        modules[1]["type"] = "evil.Pooling"
        (copied / "modules.json").write_text(json.dumps(modules))
        assert "not part of Sentence Transformers" in refusal(copied)
        assert not (tmp_path / "ran").exists()

    def test_a_transformer_of_a_foreign_class(self, copied, tmp_path):
        (copied / "evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n")
        edit_json(copied / "config.json", model_type="evil", auto_map={"AutoConfig": "evil.A", "AutoModel": "evil.B"})
        assert str(copied) in refusal(copied)
        assert not (tmp_path / "ran").exists()

    def test_pickled_weights(self, copied):
        torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
        (copied / "model.safetensors").unlink()
        message = refusal(copied)
        assert f"{copied} holds no .safetensors weights" in message
        assert "save_pretrained" in message

    def test_a_pickled_head_that_runs_code(self, model, tmp_path):
        model.append(Dense(32, 8))
        model.save(str(tmp_path / "headed"), create_model_card=False)
        (tmp_path / "headed" / "2_Dense" / "model.safetensors").unlink()
        pickled = pickle.dumps(RunsCode(tmp_path / "ran"), protocol=2)
        (tmp_path / "headed" / "2_Dense" / "pytorch_model.bin").write_bytes(pickled)
        assert str(tmp_path / "headed") in refusal(tmp_path / "headed")
        assert not (tmp_path / "ran").exists()

    def test_an_empty_folder(self, tmp_path):
        assert "holds no .safetensors weights" in refusal(tmp_path)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda folder: cut(folder / "model.safetensors", 1000),
            lambda folder: cut(folder / "model.safetensors", 90_000),
            lambda folder: cut(folder / "modules.json", 20),
            lambda folder: (folder / "modules.json").write_text('{"type": "no list"}'),
            lambda folder: cut(folder / "config.json", 20),
            lambda folder: (folder / "config.json").unlink(),
            lambda folder: edit_json(folder / "config.json", hidden_size=64),
            lambda folder: shutil.rmtree(folder / "1_Pooling"),
            lambda folder: cut(folder / "tokenizer.json", 100),
        ],
        ids=[
            *("header cut", "weights cut", "modules cut", "modules of another kind", "config cut", "no config"),
            *("other size", "no pooling", "tokenizer cut"),
        ],
    )
    def test_damage(self, copied, damage):
        damage(copied)
        assert refusal(copied).startswith(f"Backbone {str(copied)!r}")

    def test_a_folder_without_tokenizer_would_know_no_word(self, copied):
        (copied / "tokenizer.json").unlink()
        assert "tokenizer that knows no words" in refusal(copied)

    def test_an_unknown_id_without_network_is_told_at_once(self):
        started = time.monotonic()
        message = refusal(Path("no-such-owner/no-such-model"))
        assert time.monotonic() - started < 5
        assert "'no-such-owner/no-such-model' is neither a local folder nor loadable" in message
        assert "HF_HUB_OFFLINE is set, so nothing is downloaded, and the cache of the hub does not hold it." in message

    def test_a_file_is_told_in_our_words(self, tmp_path):
        (tmp_path / "model.csv").write_text("a,b")
        assert refusal(tmp_path / "model.csv").startswith(f"Backbone '{tmp_path}/model.csv' is a file. Accepted: ")


class TestMaxLength:
    def test_zero_keeps_the_models_own(self, tiny_model_folder):
        assert load_model(str(tiny_model_folder), 0).max_seq_length == 64

    @pytest.mark.parametrize("length", [3, 17, 64])
    def test_texts_are_cut_there(self, tiny_model_folder, length):
        model = load_model(str(tiny_model_folder), length)
        assert model.max_seq_length == length
        assert model.preprocess([LONG_TEXT])["input_ids"].shape == (1, length)
        # Characters that stay: all but [CLS] and [SEP].
        same = "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc"[: length - 2]
        np.testing.assert_array_equal(model.encode(same + " cut"), model.encode(same + " off"))

    @pytest.mark.parametrize("length", [-1, 1, 2, 65, 512])
    def test_outside_the_limits(self, tiny_model_folder, length):
        message = refusal(tiny_model_folder, length)
        assert f"max_length {length} is outside" in message
        assert "0 (the model's own limit) and 3 to 64 tokens" in message

    @pytest.mark.parametrize("length", [0, 40])
    def test_positions_that_start_after_padding(self, save_transformer, length):
        folder = save_transformer(
            RobertaModel(RobertaConfig(vocab_size=89, **SIZES, max_position_embeddings=42, pad_token_id=1))
        )
        model = load_model(str(folder), length)
        assert model.max_seq_length == 40
        assert np.isfinite(model.encode(LONG_TEXT)).all()
        assert "3 to 40 tokens" in refusal(folder, 41)

    def test_a_model_without_positions(self, model, tmp_path):
        static = type(model)(modules=[StaticEmbedding(model.tokenizer.backend_tokenizer, embedding_dim=8)])
        static.save(str(tmp_path / "static"), create_model_card=False)
        assert load_model(str(tmp_path / "static"), 0).encode(LONG_TEXT).shape == (8,)
        assert "max_length is 5, accepted is 0" in refusal(tmp_path / "static", 5)


class TestWeights:
    def test_digest_is_over_names_shapes_types_and_bytes(self, model):
        expected = hashlib.sha256()
        for name, tensor in sorted(model.state_dict().items()):
            values = tensor.cpu().numpy()
            expected.update(f"{name}{values.shape}torch.{values.dtype}".encode() + values.tobytes())
        assert weights_digest(model) == f"sha256:{expected.hexdigest()}"

    def test_digest_changes_with_one_weight(self, model):
        before = weights_digest(model)
        with torch.no_grad():
            next(model.parameters()).view(-1)[7] += 1e-6
        assert weights_digest(model) != before

    def test_digest_of_a_single_number(self, model):
        model.register_buffer("scale", torch.tensor(5))
        assert weights_digest(model).startswith("sha256:")

    def test_a_checkpoint_without_pooling_layer_is_the_same_model_each_time(self, save_transformer):
        folder = save_transformer(BertForMaskedLM(BertConfig(vocab_size=89, **SIZES, max_position_embeddings=64)))
        torch.manual_seed(1)
        first = weights_digest(load_model(str(folder), 0))
        torch.manual_seed(2)
        assert weights_digest(load_model(str(folder), 0)) == first

    def test_loading_draws_no_random_number_of_the_callers(self, tiny_model_folder):
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        load_model(str(tiny_model_folder), 0)
        assert torch.equal(torch.rand(3), expected)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_widened(self, save_transformer, dtype):
        folder = save_transformer(BertModel(BertConfig(vocab_size=89, **SIZES, max_position_embeddings=64)).to(dtype))
        model = load_model(str(folder), 0)
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        assert model.encode("abc").dtype == np.float32

    def test_dimension(self, model):
        assert embedding_dimension(model) == 32
        model.append(Dense(32, 8))
        assert embedding_dimension(model) == 8


class TestPrompts:
    """Of models whose repositories name none, although their authors ask for some."""

    QUERY, DOCUMENT = "query: ", "passage: "

    @pytest.fixture
    def in_cache(self, copied, tmp_path, monkeypatch):
        """Keep the tiny model in a cache of the hub, under another name."""
        monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "cache"))

        def keep(identifier: str, prompts: dict[str, str]) -> str:
            edit_json(copied / "config_sentence_transformers.json", prompts=prompts)
            model = tmp_path / "cache" / f"models--{identifier.replace('/', '--')}"
            (model / "refs").mkdir(parents=True)
            (model / "refs" / "main").write_text("a" * 40)
            shutil.copytree(copied, model / "snapshots" / ("a" * 40))
            return identifier

        return keep

    @pytest.mark.parametrize("prompts", [{}, {"query": "", "document": ""}])
    def test_the_catalogue_has_them(self, in_cache, tmp_path, prompts):
        in_cache("intfloat/e5-small-v2", prompts)
        for name in ("intfloat/e5-small-v2", "e5-small-v2"):
            model = load_model(name, 0)
            assert prompt_of(model, EncodingRole.QUERY) == self.QUERY
            assert prompt_of(model, EncodingRole.DOCUMENT) == self.DOCUMENT
        save_model(model, tmp_path / "saved")
        assert load_model(str(tmp_path / "saved"), 0).prompts["document"] == self.DOCUMENT

    def test_a_models_own_stay(self, in_cache):
        model = load_model(in_cache("intfloat/e5-small-v2", {"query": "q: "}), 0)
        assert prompt_of(model, EncodingRole.QUERY) == "q: "
        assert prompt_of(model, EncodingRole.DOCUMENT) == ""

    def test_of_an_unknown_model_nothing_is_guessed(self, in_cache):
        assert not any(load_model(in_cache("someone/e5-small-v2", {}), 0).prompts.values())


def test_the_model_of_points_has_the_same_new_weights_each_time():
    first, second = (load_model("pointnet-base", 0) for _ in range(2))
    assert first.get_embedding_dimension() == 512
    assert weights_digest(first) == weights_digest(second)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        expected = torch.rand(1)
        torch.manual_seed(5)
        load_model("pointnet-base", 0)
        assert torch.rand(1) == expected
