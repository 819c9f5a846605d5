"""One tower of a model of texts and images: the same vectors, without the other."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from sentence_transformers import SentenceTransformer

from embedtune.errors import ConfigError, ModelError
from embedtune.models.contents import READ_AS, Contents
from embedtune.models.encoding import check_reads, encode_contents
from embedtune.models.loading import load_model
from embedtune.models.options import FLOAT32, TOWERS, ModelOptions
from embedtune.models.probes import PROBE_TEXTS, probes
from embedtune.models.roles import EncodingRole
from embedtune.models.saving import save_model
from embedtune.models.servers import servers_of
from embedtune.models.tailoring import tailor

CLASSES = {
    ("clip", "clip-text"): transformers.CLIPTextModelWithProjection,
    ("clip", "clip-vision"): transformers.CLIPVisionModelWithProjection,
    ("siglip", "clip-text"): transformers.SiglipTextModel,
    ("siglip", "clip-vision"): transformers.SiglipVisionModel,
    ("siglip2", "clip-text"): transformers.Siglip2TextModel,
    ("siglip2", "clip-vision"): transformers.Siglip2VisionModel,
}
DIMENSIONS = {"clip": 24, "siglip": 32, "siglip2": 32}
"""Of CLIP what its projections make; the towers themselves have 32."""


def whole_model(tiny_models, kind: str) -> SentenceTransformer:
    return load_model(str(tiny_models(kind)), 0)


def parameters_of(model: SentenceTransformer) -> int:
    return sum(weight.numel() for weight in model.parameters())


@pytest.fixture(params=CLASSES, ids="-".join)
def case(request) -> tuple[str, str]:
    return request.param


def test_a_tower_has_the_vectors_of_the_whole_model(tiny_models, case):
    kind, name = case
    whole = whole_model(tiny_models, kind)
    tower = tailor(whole_model(tiny_models, kind), ModelOptions(select_model=name), 0)
    (contents,) = probes({READ_AS[TOWERS[name]]})
    np.testing.assert_allclose(tower.encode(contents), whole.encode(contents), rtol=0, atol=1e-6)
    assert tower.modalities == [READ_AS[TOWERS[name]]]
    assert tower.get_embedding_dimension() == DIMENSIONS[kind]
    assert type(tower.transformers_model) is CLASSES[case]


def test_the_two_towers_have_all_weights_and_none_twice(tiny_models):
    for kind, others in (("clip", 1), ("siglip", 2), ("siglip2", 2)):
        whole = whole_model(tiny_models, kind)
        towers = (tailor(whole, ModelOptions(select_model=name), 0) for name in TOWERS)
        # What is left are the numbers that scale and shift the similarity of the two.
        assert sum(map(parameters_of, towers)) == parameters_of(whole) - others


def test_a_saved_tower_needs_nothing_of_the_rest(tiny_models, case, tmp_path):
    kind, name = case
    whole = whole_model(tiny_models, kind)
    save_model(tailor(whole, ModelOptions(select_model=name), 0), tmp_path / "tower")
    save_model(whole, tmp_path / "whole")
    (contents,) = probes({READ_AS[TOWERS[name]]})
    expected = whole.encode(contents)
    plain = SentenceTransformer(str(tmp_path / "tower"), device="cpu", model_kwargs={"use_safetensors": True})
    ours = load_model(str(tmp_path / "tower"), 0)
    for model in (plain, ours):
        np.testing.assert_allclose(model.encode(contents), expected, rtol=0, atol=1e-6)
    sizes = [(tmp_path / each / "model.safetensors").stat().st_size for each in ("tower", "whole")]
    assert sizes[0] < 0.7 * sizes[1]
    assert CLASSES[case].from_pretrained(tmp_path / "tower").num_parameters() == parameters_of(ours)
    has_tokenizer = (tmp_path / "tower" / "tokenizer.json").exists()
    has_image_processor = (tmp_path / "tower" / "preprocessor_config.json").exists()
    assert (has_tokenizer, has_image_processor) == (name == "clip-text", name == "clip-vision")


def test_no_server_is_said_to_run_a_tower(tiny_models, case, tmp_path):
    kind, name = case
    save_model(tailor(whole_model(tiny_models, kind), ModelOptions(select_model=name), 0), tmp_path / "tower")
    reasons = {
        "clip-text": "it knows no model that gives one vector for a text by itself",
        "clip-vision": "it reads texts only, the model image",
    }
    assert set(servers_of(tmp_path / "tower").values()) == {reasons[name]}


@pytest.mark.parametrize("kind", DIMENSIONS)
@pytest.mark.parametrize("saved", [False, True])
def test_a_text_has_one_vector_in_any_company(tiny_models, kind, saved, tmp_path):
    tower = tailor(whole_model(tiny_models, kind), ModelOptions(select_model="clip-text"), 0)
    if saved:
        save_model(tower, tmp_path / "tower")
        tower = load_model(str(tmp_path / "tower"), 20)
    alone, among = (
        encode_contents(tower, Contents.of_texts(texts), EncodingRole.DOCUMENT, 8, "Encoding", FLOAT32)[-1]
        for texts in (["a cat"], ["a much longer text about dogs", "a cat"])
    )
    np.testing.assert_allclose(among, alone, atol=1e-6)


def test_a_text_that_is_the_path_of_an_image_is_a_text(tiny_models, tmp_path):
    path = tmp_path / "x.png"
    Image.new("RGB", (32, 32), "red").save(path)
    whole = whole_model(tiny_models, "clip")
    tower = tailor(whole, ModelOptions(select_model="clip-text"), 0)
    expected = whole.encode([{"text": str(path)}])
    np.testing.assert_allclose(tower.encode([str(path)]), expected, atol=1e-6)


@pytest.mark.parametrize("asked", [20, 0, 99])
def test_a_text_tower_reads_as_many_tokens_as_it_can(tiny_models, asked, tmp_path, capsys):
    save_model(tailor(whole_model(tiny_models, "clip"), ModelOptions(select_model="clip-text"), 0), tmp_path / "tower")
    tower = load_model(str(tmp_path / "tower"), asked)
    assert tower.max_seq_length == (20 if asked == 20 else 32)
    assert ("reads 32 tokens at most" in capsys.readouterr().err) == (asked == 99)
    longest = tower.preprocess([{"text": PROBE_TEXTS[-1]}])["input_ids"].shape[1]
    assert longest == tower.max_seq_length


def test_what_stands_above_the_towers_and_the_prompts_stay(tiny_models):
    whole = tailor(
        whole_model(tiny_models, "clip"), ModelOptions(output_dim=7, normalize=True, query_prompt="q: "), seed=3
    )
    whole.default_prompt_name = "query"
    for name, reads in TOWERS.items():
        tower = tailor(whole, ModelOptions(select_model=name), 0)
        (contents,) = probes({READ_AS[reads]})
        np.testing.assert_allclose(tower.encode(contents, prompt=""), whole.encode(contents, prompt=""), atol=1e-6)
        assert tower.prompts["query"] == "q: "
        assert [type(part).__name__ for part in tower] == ["Transformer", "Dense", "Normalize"]


def test_a_tower_is_trained_on_its_own(tiny_models):
    options = ModelOptions(select_model="clip-vision", output_dim=5, freeze="1")
    tower = tailor(whole_model(tiny_models, "clip"), options, 0)
    frozen = {name for name, weight in tower.named_parameters() if not weight.requires_grad}
    assert any(".layers.0." in name for name in frozen)
    assert not any(".layers.1." in name for name in frozen)
    tower.train()
    loss = tower({**tower.preprocess(probes({"image"})[0])})["sentence_embedding"].sum()
    loss.backward()
    assert all((weight.grad is not None) == weight.requires_grad for weight in tower.parameters())


def test_a_model_without_two_towers_has_none_to_take(model, tiny_models):
    with pytest.raises(ModelError, match=r"'clip-text', but the model has no two towers: it reads text\."):
        tailor(model, ModelOptions(select_model="clip-text"), 0)
    tower = tailor(whole_model(tiny_models, "siglip"), ModelOptions(select_model="clip-vision"), 0)
    with pytest.raises(ModelError, match="no two towers: it reads image"):
        tailor(tower, ModelOptions(select_model="clip-vision"), 0)


def test_a_tower_that_would_give_other_vectors_is_refused(tiny_models):
    whole = whole_model(tiny_models, "clip")

    def doubled(**inputs: torch.Tensor):
        found = type(whole.transformers_model).get_image_features(whole.transformers_model, **inputs)
        found.pooler_output = found.pooler_output * 2
        return found

    whole.transformers_model.get_image_features = lambda pixel_values: doubled(pixel_values=pixel_values)
    with pytest.raises(ModelError, match="gives other vectors alone than in the model: they differ by up to"):
        tailor(whole, ModelOptions(select_model="clip-vision"), 0)
    assert tailor(whole, ModelOptions(select_model="clip-text"), 0).modalities == ["text"]


def test_names_are_finetuners():
    with pytest.raises(ConfigError, match="select_model is 'clip'; accepted: '' or one of clip-text, clip-vision"):
        ModelOptions(select_model="clip")


def test_contents_that_a_tower_does_not_read_are_refused(tiny_models, tmp_path: Path):
    tower = tailor(whole_model(tiny_models, "clip"), ModelOptions(select_model="clip-vision"), 0)
    with pytest.raises(ModelError, match="The model reads images, but there are texts"):
        encode_contents(tower, Contents.of_texts(["a"]), EncodingRole.QUERY, 8, "Encoding")
    check_reads(whole_model(tiny_models, "clip"), Contents.of_texts(["a"]))
