"""Texts become vectors, in order, with progress."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from sentence_transformers.sentence_transformer.modules import Dense, Pooling

from embedtune.errors import ModelError
from embedtune.models.contents import Contents
from embedtune.models.encoding import encode_contents
from embedtune.models.loading import load_model
from embedtune.models.options import FLOAT32
from embedtune.models.roles import EncodingRole, index_role
from embedtune.models.saving import save_model
from embedtune.progress import EVENTS_VARIABLE
from embedtune.records.layouts import Layout, Modality

TEXTS = [
    "b",
    "abc " * 60,
    "",
    "hello world",
    "https://example.org/picture.png",
    "/etc/hostname.png",
    "data:image/png,x",
]


QUERY, DOCUMENT = EncodingRole.QUERY, EncodingRole.DOCUMENT


def encode(model, texts: list[str], batch_size: int, role: EncodingRole = QUERY) -> np.ndarray:
    return encode_contents(model, Contents.of_texts(texts), role, batch_size, "Encoding", FLOAT32)


def images_of(colours: list[str]) -> Contents:
    files = []
    for number, colour in enumerate(colours):
        with io.BytesIO() as file:
            Image.new("RGB", (30 + number, 40), colour).save(file, "PNG")
            files.append(file.getvalue())
    return Contents([(Modality.IMAGE, pa.chunked_array([pa.array(files, pa.large_binary())]))])


def test_each_text_has_the_vector_it_has_alone(model):
    vectors = encode(model, TEXTS, 2)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), 32), np.float32)
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(vector, model.encode(text), rtol=0, atol=1e-6)


def test_batch_size_does_not_matter(model):
    texts = [f"{number} " * (number % 13) for number in range(70)]
    one, many = (encode(model, texts, size) for size in (1, 64))
    np.testing.assert_allclose(one, many, rtol=0, atol=1e-6)


def test_texts_that_look_like_addresses_are_read_as_words(model):
    shown = encode(model, ["https://example.org/a.png", "https://example.org/b.png"], 2)
    assert np.abs(shown[0] - shown[1]).max() > 1e-3


def test_a_batch_that_exceeds_the_memory_is_halved_until_it_fits(model, capsys):
    texts, sizes = Contents.of_texts([letter * 3 for letter in "abcdefghijk"]), []
    expected = encode_contents(model, texts, QUERY, 8, "Texts")

    def exhaust(module, given):
        sizes.append(len(given[0]["input_ids"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 768.00 MiB.")

    hook = model[0].register_forward_pre_hook(exhaust)
    np.testing.assert_allclose(encode_contents(model, texts, QUERY, 8, "Texts"), expected, atol=1e-6)
    assert [size for size in sizes if size <= 2] == [2, 2, 2, 2, 2, 1]
    assert "too little memory to encode 11 contents at a time: from here on it is 5" in capsys.readouterr().err
    hook.remove()


def test_memory_for_no_content_at_all(model):
    def exhaust(module, inputs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 768.00 MiB.")

    model[0].register_forward_pre_hook(exhaust)
    with pytest.raises(ModelError, match="too little memory to encode a single content"):
        encode_contents(model, Contents.of_texts(["a", "b", "c"]), QUERY, 3, "Texts")


def test_no_texts(model):
    assert encode(model, [], 8).shape == (0, 32)


def test_the_dimension_is_that_of_the_last_module(model):
    model.append(Dense(32, 8))
    assert encode(model, [], 8).shape == (0, 8)
    assert encode(model, ["a"], 8).shape == (1, 8)


@pytest.mark.parametrize("count", [1, 33])
def test_progress_ends_at_the_number_of_texts(model, tmp_path, monkeypatch, count):
    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / "events"))
    encode(model, ["word"] * count, 2)
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert {(event["event"], event["description"], event["total"], event["unit"]) for event in events} == {
        ("progress", "Encoding", count, "texts")
    }
    assert events[-1]["done"] == count


@pytest.mark.parametrize(
    ("prompts", "default", "query", "document"),
    [
        ({}, None, "", ""),
        ({"query": "q: "}, None, "q: ", ""),
        ({"query": "q: ", "passage": "p: "}, None, "q: ", "p: "),
        ({"query": "q: ", "document": "d: ", "passage": "p: "}, None, "q: ", "d: "),
        ({"any": "a: "}, "any", "a: ", "a: "),
        ({"query": "q: ", "any": "a: "}, "any", "q: ", "a: "),
    ],
)
def test_the_role_chooses_the_prompt(model, prompts, default, query, document):
    model.prompts, model.default_prompt_name = {"query": "", "document": "", **prompts}, default
    bare = load_model_like(model)
    for role, prompt in ((QUERY, query), (DOCUMENT, document)):
        found = encode(model, ["abc"], 8, role)
        np.testing.assert_allclose(found, bare.encode([f"{prompt}abc"]), atol=1e-6)


def load_model_like(model):
    """The same model without prompts."""
    return type(model)(modules=list(model), device="cpu")


@pytest.mark.parametrize("layout", ["", *Layout])
def test_contents_that_are_alike_are_all_encoded_as_queries(layout):
    assert index_role(layout) is (QUERY if layout in ("labelled", "scored") else DOCUMENT)


@pytest.mark.parametrize("kind", ["clip", "siglip", "vit", "dinov2", "resnet", "convnext"])
def test_images_of_any_size_have_the_vectors_they_have_alone(tiny_models, kind):
    model = load_model(str(tiny_models(kind)), 0)
    contents = images_of(["red", "blue", "white", "black", "green"])
    vectors = encode_contents(model, contents, DOCUMENT, 2, "Encoding")
    alone = np.concatenate([model.encode([content]) for content in contents])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-6


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_a_text_has_one_vector_in_any_company(tiny_models, kind):
    """SigLIP reads the last position, so padding to the longest of a batch would change it."""
    model = load_model(str(tiny_models(kind)), 0)
    alone = encode(model, ["a cat"], 8)
    among = encode(model, ["a much longer text about dogs", "a cat"], 8)
    np.testing.assert_allclose(among[1:], alone, atol=1e-6)
    assert np.abs(among[0] - among[1]).max() > 1e-3


def test_a_text_that_is_the_path_of_an_image_is_a_text(tiny_models, tmp_path):
    model = load_model(str(tiny_models("clip")), 0)
    Image.new("RGB", (32, 32), "red").save(tmp_path / "x.png")
    found = encode(model, [str(tmp_path / "x.png")], 8)
    image = model.encode([Image.open(tmp_path / "x.png")])
    assert np.abs(found - image).max() > 1e-3


@pytest.mark.parametrize(
    ("kind", "mode"), [("vit", "cls"), ("dinov2", "cls"), ("resnet", "mean"), ("convnext", "mean")]
)
def test_the_class_token_stands_for_an_image_where_there_is_one(tiny_models, kind, mode):
    model = load_model(str(tiny_models(kind)), 0)
    assert model[1].pooling_mode in (mode, (mode,), [mode])


def test_a_model_of_the_hub_that_names_its_pooling_keeps_it(tiny_models, tmp_path, monkeypatch):
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    model = load_model(str(tiny_models("vit")), 0)
    model[1] = Pooling(32, "mean")
    repository = tmp_path / "models--owner--pictures"
    save_model(model, repository / "snapshots" / ("a" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    assert load_model("owner/pictures", 0)[1].pooling_mode in ("mean", ("mean",), ["mean"])


def test_no_more_images_than_a_batch_are_decoded_at_a_time(tiny_models, monkeypatch):
    model = load_model(str(tiny_models("vit")), 0)
    contents, seen = images_of(["red", "blue", "white", "black", "green"]), []
    preprocess = model.preprocess
    monkeypatch.setattr(
        model, "preprocess", lambda inputs, **more: seen.append(len(inputs)) or preprocess(inputs, **more)
    )
    vectors = encode_contents(model, contents, DOCUMENT, 2, "Encoding")
    assert seen == [2, 2, 1]
    np.testing.assert_allclose(vectors, model.encode([contents[place] for place in range(5)]), atol=1e-5)
