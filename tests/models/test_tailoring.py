"""Pooling, heads, normalisation, prompts and frozen layers, each seen in the vectors or weights it changes."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize

from embedtune.errors import ConfigError, ModelError
from embedtune.models.layers import layers_of
from embedtune.models.loading import load_model
from embedtune.models.options import POOLINGS, ModelOptions
from embedtune.models.own_modules import load_folder
from embedtune.models.probes import PROBE_TEXTS
from embedtune.models.tailoring import tailor

TEXTS = ["a b c", "d", "e f g h i"]
BLOCK = "0.model.encoder.layer."


def tokens_of(model: SentenceTransformer, text: str) -> np.ndarray:
    """Vectors of a text's tokens (T, d)."""
    features = model.preprocess([text])
    with torch.no_grad():
        return model[0](features)["token_embeddings"][0].numpy()


NAIVE = {
    "cls": lambda tokens: tokens[0],
    "mean": lambda tokens: tokens.mean(axis=0),
    "max": lambda tokens: tokens.max(axis=0),
    "weightedmean": lambda tokens: (
        (tokens * np.arange(1, len(tokens) + 1)[:, None]).sum(axis=0) / np.arange(1, len(tokens) + 1).sum()
    ),
    "lasttoken": lambda tokens: tokens[-1],
    "gem": lambda tokens: (tokens.clip(1e-6) ** 3).mean(axis=0) ** (1 / 3),
}


@pytest.mark.parametrize("pooling", NAIVE)
def test_pooling(model, pooling):
    tailored = tailor(model, ModelOptions(pooling=pooling), 0)
    for text, vector in zip(TEXTS, tailored.encode(TEXTS), strict=True):
        np.testing.assert_allclose(vector, NAIVE[pooling](tokens_of(model, text)), atol=1e-5)


def test_every_pooling_is_tried():
    assert {"", *NAIVE} == set(POOLINGS)


def test_nothing_asked_changes_nothing(model):
    before = model.encode(TEXTS)
    assert tailor(model, ModelOptions(), 0) is model
    np.testing.assert_array_equal(model.encode(TEXTS), before)


@pytest.mark.parametrize("normalize", [None, True, False])
def test_a_head_is_one_linear_layer_below_the_normalisation(model, normalize):
    options = ModelOptions(output_dim=7, normalize=normalize)
    tailored, again = (tailor(model, options, seed=3) for _ in range(2))
    vectors = tailored.encode(TEXTS)
    assert vectors.shape == (3, 7)
    assert tailored.get_embedding_dimension() == 7
    linear = tailored[2].linear
    expected = model.encode(TEXTS) @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
    if normalize:
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    np.testing.assert_array_equal(again.encode(TEXTS), vectors)
    assert np.abs(tailor(model, options, seed=4).encode(TEXTS) - vectors).max() > 1e-3


def test_a_head_that_only_adds_size_is_told(model, capsys):
    dimension = model.get_embedding_dimension()
    tailor(model, ModelOptions(output_dim=dimension), 0)
    assert capsys.readouterr().err == ""
    assert tailor(model, ModelOptions(output_dim=dimension + 1), 0).get_embedding_dimension() == dimension + 1
    assert f"output_dim is {dimension + 1}, but the backbone gives {dimension} components" in capsys.readouterr().err


def test_a_normalised_backbone_keeps_its_normalisation_last(model):
    normalised = tailor(model, ModelOptions(normalize=True), 0)
    np.testing.assert_allclose(np.linalg.norm(normalised.encode(TEXTS), axis=1), 1, atol=1e-6)
    headed = tailor(normalised, ModelOptions(output_dim=5), 0)
    assert [type(part).__name__ for part in headed] == ["Transformer", "Pooling", "Dense", "Normalize"]
    plain = tailor(normalised, ModelOptions(normalize=False), 0)
    assert not any(isinstance(part, Normalize) for part in plain)
    np.testing.assert_allclose(plain.encode(TEXTS), model.encode(TEXTS), atol=1e-6)


def test_prompts(model):
    tailored = tailor(model, ModelOptions(query_prompt="q: ", document_prompt=""), 0)
    assert (tailored.prompts["query"], tailored.prompts["document"]) == ("q: ", "")
    np.testing.assert_allclose(tailored.encode_query(["a"]), model.encode(["q: a"]), atol=1e-6)


def trainable(model: SentenceTransformer) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize(
    ("what", "frozen"),
    [
        ("", ()),
        ("0", ("0.model.embeddings",)),
        ("1", ("0.model.embeddings", f"{BLOCK}0.")),
        ("*embeddings*", ("0.model.embeddings",)),
        (f"{BLOCK}1, 0.model.pooler", (f"{BLOCK}1.", "0.model.pooler")),
        ("0.model.encoder.layer.0.attention", (f"{BLOCK}0.attention",)),
    ],
)
def test_what_is_frozen(model, what, frozen):
    every = trainable(model)
    tailored = tailor(model, ModelOptions(freeze=what), 0)
    assert trainable(tailored) == {name for name in every if not name.startswith(tuple(frozen))}


def test_all_but_the_head(model):
    tailored = tailor(model, ModelOptions(freeze="backbone", output_dim=4), 0)
    assert trainable(tailored) == {"2.linear.weight", "2.linear.bias"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (ModelOptions(freeze="nosuchlayer"), "names 'nosuchlayer', which matches no layer.*embedtune tailor"),
        (
            ModelOptions(freeze="3"),
            "freeze is '3', but the model has 2 blocks; accepted: 0 .the embeddings alone. to 2",
        ),
        (ModelOptions(freeze="backbone"), "leaves nothing to train. Put on a head with output_dim"),
        (ModelOptions(freeze="*"), "leaves nothing to train"),
    ],
)
def test_freezing_that_cannot_be(model, options, told):
    with pytest.raises(ModelError, match=told):
        tailor(model, options, 0)


def test_frozen_layers_stay_in_evaluation_mode(tiny_models):
    """Dropout of a frozen layer would go on, and the statistics of its batch normalisation move."""
    model = SentenceTransformer(str(tiny_models("resnet")), local_files_only=True, device="cpu")
    tailored = tailor(model, ModelOptions(freeze="backbone", output_dim=4), 0)
    images = [Image.new("RGB", (40, 40), (value, 0, 255 - value)) for value in (0, 90, 255)]
    before = tailored.encode(images)
    tailored.train()
    assert not any(module.training for module in tailored[0].modules())
    assert tailored[2].training
    for _ in range(3):
        tailored(tailored.preprocess(images))
    np.testing.assert_array_equal(tailored.eval().encode(images), before)


def test_models_that_pool_by_themselves_refuse_another_pooling(tiny_models):
    clip = SentenceTransformer(str(tiny_models("clip")), local_files_only=True, device="cpu")
    with pytest.raises(ModelError, match="pooling is 'mean', but the backbone gives one vector"):
        tailor(clip, ModelOptions(pooling="mean"), 0)
    headed = tailor(clip, ModelOptions(output_dim=6), 0)
    assert headed.encode([{"text": "a"}]).shape == headed.encode([Image.new("RGB", (9, 9))]).shape == (1, 6)


@pytest.mark.parametrize("options", [ModelOptions(pooling="gem"), ModelOptions(output_dim=6, normalize=True)])
@pytest.mark.parametrize("kind", ["vit", "dinov2", "resnet", "convnext"])
def test_tailored_image_models_are_saved_and_loaded(tiny_models, tmp_path, kind, options):
    model = tailor(SentenceTransformer(str(tiny_models(kind)), local_files_only=True, device="cpu"), options, 0)
    images = [Image.new("RGB", (40, 30), colour) for colour in ("red", "navy")]
    model.save(str(tmp_path), create_model_card=False)
    loaded = load_folder(str(tmp_path), local_files_only=True, device="cpu")
    vectors = model.encode(images)
    np.testing.assert_allclose(loaded.encode(images), vectors, atol=1e-6)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-6


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", ModelOptions()),
        ("{}", ModelOptions()),
        ('{"pooling": "gem", "pooling_p": 2}', ModelOptions(pooling="gem", pooling_p=2.0)),
        ('{"normalize": null, "output_dim": 8}', ModelOptions(output_dim=8)),
    ],
)
def test_options_from_json(text, options):
    assert ModelOptions.from_json(text) == options


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "model_options is '{', which is not JSON"),
        ("[1]", "which is no JSON object"),
        ('{"poolng": "cls"}', "unknown key 'poolng'. Perhaps 'pooling' is meant"),
        ('{"x": 1}', "unknown key 'x'. Accepted: select_model, pooling, "),
        ('{"pooling": "sum"}', "pooling is 'sum'; accepted: '' or one of cls, mean"),
        ('{"pooling": 3}', "pooling is 3; accepted: a string"),
        ('{"output_dim": -1}', "output_dim is -1; accepted: 0"),
        ('{"output_dim": 1.5}', "output_dim is 1.5; accepted: a whole number"),
        ('{"output_dim": true}', "output_dim is True; accepted: a whole number"),
        ('{"normalize": "yes"}', "normalize is 'yes'; accepted: true or false"),
        ('{"pooling_p": 0}', "pooling_p is 0.0; accepted: above 0"),
    ],
)
def test_options_that_are_refused(text, told):
    with pytest.raises(ConfigError) as refused:
        ModelOptions.from_json(text)
    assert told in str(refused.value)


def test_layers(model):
    tailored = tailor(model, ModelOptions(output_dim=7, freeze="1"), 0)
    layers = layers_of(tailored)
    assert [(layer.name, layer.kind) for layer in layers] == [
        ("0.model.embeddings", "BertEmbeddings"),
        ("0.model.encoder.layer.0", "BertLayer"),
        ("0.model.encoder.layer.1", "BertLayer"),
        ("0.model.pooler", "BertPooler"),
        ("1", "Pooling"),
        ("2", "Dense"),
    ]
    assert sum(layer.parameters for layer in layers) == sum(weight.numel() for weight in tailored.parameters())
    assert [bool(layer.trainable) for layer in layers] == [False, False, True, True, False, True]
    assert layers[1].shape == (len(model.tokenizer(PROBE_TEXTS[1]).input_ids), 32)
    assert layers[-1].shape == (7,)
    assert dataclasses.is_dataclass(layers[0])


def test_the_layers_of_both_towers_have_shapes(tiny_models):
    layers = {layer.name: layer for layer in layers_of(load_model(str(tiny_models("clip")), 0))}
    assert layers["0.model.vision_model.encoder.layers.1"].shape == (17, 32)  # 16 patches and the class token
    assert layers["0.model.visual_projection"].shape == layers["0.model.text_projection"].shape == (24,)
    assert all(layer.shape for layer in layers.values())


def test_the_layers_of_the_model_of_points():
    layers = layers_of(load_model("pointnet-base", 0))
    assert [(layer.name, layer.kind, layer.shape) for layer in layers] == [
        ("0.levels.0", "PointLayers", (512, 32, 128)),
        ("0.levels.1", "PointLayers", (128, 64, 256)),
        ("0.levels.2", "PointLayers", (128, 1024)),
        ("0.head", "Linear", (512,)),
    ]
