"""Each field of an option that is a JSON object is a flag as well."""

import dataclasses
import json

import pytest

from embedtune.cli.fields import OPTION_KINDS, merged, with_fields
from embedtune.cli.options import Option
from embedtune.errors import ConfigError
from embedtune.retrieval.options import EvalOptions
from embedtune.training.options import TrainOptions


def test_one_flag_for_each_field_with_its_docstring() -> None:
    options = with_fields([Option(name, str, "{}", "All.") for name in OPTION_KINDS])
    fields = [
        f"{name.removesuffix('options')}{field.name}"
        for name, kind in OPTION_KINDS.items()
        for field in dataclasses.fields(kind)
    ]
    found = {option.name: option for option in options}
    assert [name for name in found if name not in OPTION_KINDS] == fields
    assert all(option.help for option in options)
    assert (found["train_warmup"].type, found["train_warmup"].default) == (float, None)
    assert found["train_warmup"].help.endswith("0 to 1. Default: 0.1.")
    assert found["train_weight_decay"].type is float
    assert found["train_augment"].type == list[str]
    assert found["eval_cutoffs"].type == list[int]
    assert found["eval_cutoffs"].help.endswith(" Default: 10.")
    assert found["eval_metrics"].help.endswith(" Default: ndcg, mrr, map, recall, precision, hit.")
    assert found["eval_distance"].choices == ("cosine", "dot", "euclidean")
    assert found["model_normalize"].type is bool
    assert "" not in found["model_pooling"].choices
    assert "AdamW" in found["train_optimizer"].choices


def values(text: str, **given: object) -> dict[str, object]:
    names = {f"train_{field.name}": None for field in dataclasses.fields(TrainOptions)}
    return {"epochs": 1, "train_options": text, **names, **given}


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("{}", {}, {}),
        ("", {"train_warmup": 0.0}, {"warmup": 0.0}),
        ('{"optimizer": "Adam"}', {"train_warmup": 0.2}, {"optimizer": "Adam", "warmup": 0.2}),
        ('{"warmup": 0.2}', {"train_warmup": 0.2}, {"warmup": 0.2}),
        ('{"warmup": 1}', {"train_warmup": 1.0}, {"warmup": 1.0}),
        ('{"augment": ["flip"]}', {"train_augment": ["flip"]}, {"augment": ["flip"]}),
        ("{}", {"train_augment": []}, {}),
    ],
)
def test_flags_and_object_become_one(text: str, given: dict[str, object], expected: dict[str, object]) -> None:
    found = merged(values(text, **given))
    assert set(found) == {"epochs", "train_options"}
    assert TrainOptions.from_json(str(found["train_options"])) == TrainOptions.from_json(json.dumps(expected))


@pytest.mark.parametrize(
    ("text", "given", "told"),
    [
        (
            '{"warmup": 0.1}',
            {"train_warmup": 0.2},
            "--train-warmup is 0.2, but --train-options says 0.1.",
        ),
        ("{}", {"train_warmup": 2.0}, "--train-warmup is 2.0; accepted: a share from 0 to 1."),
        ("{}", {"train_augment": ["blur"]}, "--train-augment is 'blur'; accepted: any of flip"),
        (
            '{"warmp": 0.1}',
            {"train_warmup": 0.2},
            "train_options has the unknown key 'warmp'. Perhaps 'warmup'",
        ),
    ],
)
def test_what_cannot_be_is_refused(text: str, given: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        merged(values(text, **given))
    assert str(caught.value).startswith(told)


def test_a_flag_of_numbers_may_come_several_times() -> None:
    names = {f"eval_{field.name}": None for field in dataclasses.fields(EvalOptions)}
    found = merged({"eval_options": '{"distance": "dot"}', **names, "eval_cutoffs": [5, 20]})
    assert EvalOptions.from_json(str(found["eval_options"])) == EvalOptions(distance="dot", cutoffs=(5, 20))
    with pytest.raises(ConfigError, match=r"^--eval-cutoffs is \[0\]; accepted: one or more whole numbers"):
        merged({"eval_options": "{}", **names, "eval_cutoffs": [0]})
