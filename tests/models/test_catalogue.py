"""The known models: every name of Finetuner is there, names lead to ids, and what is refused says what to use."""

import subprocess
import sys
from pathlib import Path

import pytest

import embedtune
from embedtune.errors import ConfigError
from embedtune.models.backbones import DEFAULT_BACKBONE
from embedtune.models.catalogue import (
    TASKS,
    catalogue,
    known_model,
    list_models,
    models_of,
    similar_models,
    why_refused,
)
from embedtune.models.catalogue_page import with_tables

FINETUNER = {
    "jina-embedding-t-en-v1": 312,
    "jina-embedding-s-en-v1": 512,
    "jina-embedding-b-en-v1": 768,
    "jina-embedding-l-en-v1": 1024,
    "bert-base-en": 768,
    "bert-base-multi": 768,
    "distiluse-base-multi": 512,
    "sbert-base-en": 768,
    "resnet-base": 2048,
    "resnet-large": 2048,
    "efficientnet-base": 1792,
    "efficientnet-large": 2560,
    "clip-base-en": 512,
    "clip-large-en": 768,
    "clip-base-multi": 512,
    "pointnet-base": 512,
    "mlp": None,
    "crossencoder-base-en": None,
    "crossencoder-base-ml": None,
}


@pytest.mark.parametrize("name", FINETUNER)
def test_finetuners_names_are_known(name):
    assert known_model(name).dimension == FINETUNER[name]


def test_names_and_ids_are_each_of_one_model():
    names = [known.name.casefold() for known in catalogue()]
    models = [known.model for known in catalogue() if known.model]
    assert len(set(names)) == len(names)
    assert len(set(models)) == len(models)
    ends = {model.rpartition("/")[2].casefold(): model for model in models}
    assert all(known_model(end).model == model for end, model in ends.items())


def test_what_is_said_of_a_model_is_whole():
    for known in catalogue():
        assert known.task in TASKS
        assert known.purpose
        if not known.refusal:
            assert known.dimension
            assert known.millions
            assert known.pooling in ("cls", "mean", "own")
            assert known.max_length or not known.task.startswith("text") or known.name == "jina-embedding-t-en-v1"


def test_what_is_not_loaded_says_what_to_use_and_that_is_loaded():
    refused = [known for known in catalogue() if known.refusal]
    assert {"mlp", "crossencoder-base-en", "clip-base-multi"} <= {known.name for known in refused}
    for known in refused:
        assert known.instead
        assert all(not known_model(name).refusal for name in known.instead)
    assert why_refused(known_model("clip-base-multi")) == (
        "clip-base-multi stands for laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k, which is in the format of "
        "open_clip, which is not read here. Use siglip2-base instead."
    )


@pytest.mark.parametrize("name", ["resnet-base", "Resnet-Base", "resnet-50", "microsoft/resnet-50"])
def test_a_name_in_any_case_an_id_and_its_end(name):
    assert known_model(name).model == "microsoft/resnet-50"


def test_other_names_are_not_known():
    assert known_model("someone/resnet-50") is None
    assert known_model("") is None


def test_the_default_backbone_is_known():
    assert known_model(DEFAULT_BACKBONE).max_length == 256


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("all-minilm", "all-MiniLM-L6-v2"),
        ("bge-small", "bge-small-en-v1.5"),
        ("resnet", "resnet-base"),
        ("dinov2", "dinov2-small"),
        ("multilingual-e5", "multilingual-e5-small"),
        ("qqq", None),
    ],
)
def test_near_misses(name, model):
    found = similar_models(name)
    assert (found[0] if found else None) == model


def test_lists():
    assert list_models("mesh-to-mesh") == ["pointnet-base"]
    assert "clip-base-en" not in embedtune.list_models("text-to-image")
    assert list_models() == [known.name for known in catalogue() if not known.refusal]
    assert sum(len(models_of(task)) for task in TASKS) == len(catalogue())
    with pytest.raises(ConfigError, match="task is 'text'; accepted: text-to-text, text-to-image"):
        list_models("text")


def test_it_is_read_without_torch():
    code = "import sys, embedtune; embedtune.list_models(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_page_has_the_tables_of_the_catalogue():
    path = Path(__file__).parents[2] / "docs" / "models.md"
    page = path.read_text(encoding="utf-8")
    assert all(f"`{known.name}`" in page for known in catalogue())
    assert with_tables(page) == page, "python -m embedtune.models.catalogue_page docs/models.md makes them anew"


def test_the_page_has_the_prompts_of_the_catalogue():
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    for known in catalogue():
        for prompt in filter(None, (known.query_prompt, known.document_prompt)):
            assert f"`{prompt}`".replace("|", "\\|") in page
