"""`embedtune tailor`: layers before and after, from flags and from JSON alike."""

import dataclasses
import json
import shutil

import numpy as np

from embedtune.models.card import ModelCard
from embedtune.models.cut_texts import save_training_tokens
from embedtune.models.loading import load_model
from embedtune.models.options import ModelOptions
from embedtune.models.trained_texts import save_trained, trained_digests

CARD = ModelCard("tiny", "sha256:00", 32, 64, "pairs", 1, "sha256:11", {}, (), 1.0, 1.0, {}, 0.5)

HEAD_GONE = "A classification head that the model may have been published with is gone already: only its body"


def test_a_model_as_it_is(embedtune, tiny_model):
    done = embedtune("tailor", "--model", tiny_model)
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert ["1", "Pooling", "32", "0", "0"] in lines
    total = next(line for line in lines if line[:1] == ["total"])
    assert total[1] == total[2]
    assert "after" not in done.out
    assert HEAD_GONE in " ".join(done.out.split())
    assert max(map(len, done.out.splitlines()[1:])) <= 100


def test_what_is_changed_is_shown_beside_what_was(embedtune, tiny_model):
    done = embedtune("tailor", "--model", tiny_model, "--output-dim", 7, "--freeze", "backbone", "--normalize")
    before, _, after = done.out.partition("\nafter")
    assert "Dense" not in before
    lines = [line.split() for line in after.splitlines()]
    assert ["2", "Dense", "7", "231", "231"] in lines  # 32 * 7 + 7
    assert ["3", "Normalize", "7", "0", "0"] in lines
    assert next(line for line in lines if line[:1] == ["total"])[2] == "231"


def test_flags_and_json_together(embedtune, tiny_model):
    options = '{"pooling": "cls", "output_dim": 9, "query_prompt": "q: "}'
    done = embedtune("tailor", "--model", tiny_model, "--options", options, "--output-dim", 9, "--json")
    facts = json.loads(done.out)
    assert [layer["kind"] for layer in facts["after"]][-2:] == ["Pooling", "Dense"]
    assert facts["after"][-1] == {
        "name": "2",
        "kind": "Dense",
        "shape": [9],
        "parameters": 297,
        "trainable": 297,
    }
    assert facts["prompts"] == {"query": "q: "}
    assert facts["model"] == str(tiny_model)


def test_points(embedtune):
    out = embedtune("tailor", "--model", "pointnet-base").out
    assert "1,329,984" in out
    assert HEAD_GONE not in " ".join(out.split())


def test_every_option_is_a_flag(embedtune):
    out = embedtune("tailor", "--help").out
    for name in ModelOptions.__dataclass_fields__:
        assert f"--{name.replace('_', '-')} " in out


def test_what_is_refused(embedtune, tiny_model):
    done = embedtune("tailor", "--model", tiny_model, "--options", '{"poolin": "cls"}')
    assert (done.code, done.out) == (1, "")
    assert "Error: --options has the unknown key 'poolin'. Perhaps 'pooling' is meant." in done.err
    done = embedtune("tailor", "--model", tiny_model, "--options", '{"output_dim": 5}', "--output-dim", 9)
    assert (done.code, done.err) == (1, "Error: --output-dim is 9, but --options says 5. Give it once.\n")
    done = embedtune("tailor", "--model", tiny_model, "--pooling-p", -1.0)
    assert done.err == "Error: --pooling-p is -1.0; accepted: above 0.\n"
    done = embedtune("tailor", "--model", tiny_model, "--freeze", "nothing.like.this")
    assert "freeze names 'nothing.like.this', which matches no layer." in done.err
    assert "no backbone. Use bge-base-en-v1.5" in embedtune("tailor", "--model", "crossencoder-base-en").err


def test_a_tower_is_kept_as_a_model_of_its_own(embedtune, tiny_models, tmp_path):
    whole, folder = tiny_models("siglip"), tmp_path / "new" / "tower"
    words = ("tailor", "--model", whole, "--select-model", "clip-text", "--output", folder)
    done = embedtune(*words)
    assert done.code == 0, done.err
    assert (
        f"The changed model is in {folder}. Servers that can run it: text-embeddings-inference: it knows no" in done.err
    )
    texts = [{"text": text} for text in ("a", "a longer text")]
    vectors = [load_model(str(each), 0).encode(texts) for each in (whole, folder)]
    np.testing.assert_allclose(*vectors, rtol=0, atol=1e-6)
    assert embedtune(*words).code == 0  # it is ours
    (folder / "notes.txt").write_text("mine")
    assert "--overwrite to replace it" in embedtune(*words).err
    assert embedtune(*words, "--overwrite").code == 0
    assert "would replace what --model reads" in embedtune("tailor", "--model", folder, "--output", folder).err


def test_what_is_known_of_a_tuned_model_goes_along(embedtune, tiny_model, tmp_path):
    tuned = shutil.copytree(tiny_model, tmp_path / "tuned")
    CARD.save(tuned)
    save_trained(tuned, trained_digests(["a", "b"]), None)
    save_training_tokens(tuned, trained_digests(["c"]))
    done = embedtune("tailor", "--model", tuned, "--output-dim", 7, "--output", tmp_path / "changed")
    assert done.code == 0, done.err
    assert "Its head holds random numbers until it is trained. Servers" in done.err
    assert "text-embeddings-inference: yes; vllm: yes." in done.err
    card = ModelCard.load(tmp_path / "changed")
    assert (card.dimension, card.max_length, card.servers["vllm"]) == (7, 64, "")
    assert card.parity_max_difference < 1e-5
    kept = {"dimension", "max_length", "servers", "parity_max_difference"}
    assert dataclasses.replace(CARD, **{name: getattr(card, name) for name in kept}) == card
    for name in ("trained-contents.npy", "training-tokens.npy"):
        assert (tmp_path / "changed" / name).read_bytes() == (tuned / name).read_bytes()


def test_nothing_is_kept_of_a_model_that_cannot_be_changed(embedtune, tiny_model, tmp_path):
    words = ("--model", tiny_model, "--select-model", "clip-vision", "--output", tmp_path / "tower")
    done = embedtune("tailor", *words)
    assert (done.code, done.out) == (1, "")
    assert "the model has no two towers: it reads text" in done.err
    assert not (tmp_path / "tower").exists()
