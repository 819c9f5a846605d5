"""Every field is checked, and its refusal says what was got and what is accepted."""

import dataclasses
import json
import math
import subprocess
import sys

import pytest

from embedtune.errors import ConfigError
from embedtune.training.config import LOSSES, FinetuneConfig

BAD = [
    ("backbone", "", "a Hugging Face id or a folder"),
    ("backbone", " \t", "a Hugging Face id or a folder"),
    ("max_length", -1, "0 (the backbone's own limit) or more tokens"),
    (
        "loss",
        "TripletLoss",
        "auto or one of MultipleNegativesRankingLoss, SupConLoss, MultiSim",
    ),
    ("loss", "", "auto or one of"),
    ("epochs", -1, "0 (chosen by the number of rows) or more"),
    ("batch_size", 3, "0 (as many as fit) or 4 contents or more"),
    ("learning_rate", -1e-5, "0 (chosen by the backbone's size) to below 1"),
    ("learning_rate", 1.0, "0 (chosen by the backbone's size) to below 1"),
    ("learning_rate", math.nan, "0 (chosen by the backbone's size) to below 1"),
    ("seed", -1, "0 to 4294967295"),
    ("seed", 2**32, "0 to 4294967295"),
]

GOOD = [
    ("max_length", 0),
    ("epochs", 1),
    ("batch_size", 8),
    ("batch_size", 0),
    ("epochs", 0),
    ("learning_rate", 0.0),
    ("learning_rate", 0.999),
    ("seed", 0),
    ("seed", 2**32 - 1),
    *(("loss", name) for name in LOSSES),
]


@pytest.mark.parametrize(("name", "value", "accepted"), BAD)
def test_refused(name, value, accepted):
    with pytest.raises(ConfigError) as caught:
        FinetuneConfig(**{"loss": "SupConLoss", name: value})
    assert str(caught.value).startswith(f"{name} is {value!r}; accepted: {accepted}")


def test_every_field_has_a_refusal():
    elsewhere = {"model_options", "train_options", "backbone_version", "gpu_count"}
    assert {name for name, _, _ in BAD} | elsewhere == {field.name for field in dataclasses.fields(FinetuneConfig)}


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_accepted(name, value):
    assert getattr(FinetuneConfig(**{"loss": "SupConLoss", name: value}), name) == value


def test_the_defaults_are_accepted_and_fixed():
    config = FinetuneConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.epochs = 2


def test_items_per_label_is_not_checked_where_it_is_unused():
    assert FinetuneConfig(loss="MultipleNegativesRankingLoss", batch_size=4).training.items_per_label == 4
    with pytest.raises(ConfigError, match="train_options: items_per_label is 4; accepted: 2 to 2, so that"):
        FinetuneConfig(loss="TripletMarginLoss", batch_size=4)


@pytest.mark.parametrize("rate", [0.0, 1.0, 30.0])
def test_rates_of_optimizers_that_are_not_of_adams_kind(rate):
    assert FinetuneConfig(learning_rate=rate, train_options='{"optimizer": "Adadelta"}').learning_rate == rate
    with pytest.raises(ConfigError, match=r"learning_rate is -1; accepted: 0 \(SGD's own\) or more"):
        FinetuneConfig(learning_rate=-1, train_options='{"optimizer": "SGD"}')


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model_options": '{"poling": "cls"}'}, "model_options has the unknown key 'poling'. Perhaps 'pooling'"),
        ({"model_options": '{"output_dim": -1}'}, "model_options: output_dim is -1; accepted: 0"),
        ({"train_options": '{"warmup": 2}'}, "train_options: warmup is 2.0; accepted: a share from 0 to 1."),
        ({"train_options": "[]"}, "train_options is '[]', which is no JSON object."),
    ],
)
def test_options_are_checked_with_the_rest(options, told):
    with pytest.raises(ConfigError) as caught:
        FinetuneConfig(**options)
    assert str(caught.value).startswith(told)


def test_what_is_recorded_has_every_field_however_the_options_are_written():
    first = FinetuneConfig(train_options='{"augment": ["flip"], "warmup": 0}', model_options='{"pooling": "cls"}')
    again = '{"warmup": 0.0,"augment":["flip"],"layer_decay": 1}'
    second = FinetuneConfig(train_options=again, model_options='{"pooling":"cls"}')
    assert first.recorded() == second.recorded()
    assert first.recorded()["train_options"] == {
        "optimizer": "AdamW",
        "weight_decay": None,
        "layer_decay": 1.0,
        "warmup": 0.0,
        "items_per_label": 4,
        "loss_learning_rate": 0.0,
        "precision": "auto",
        "augment": ["flip"],
        "validation_share": 0.0,
        "validation_metric": "ndcg_at_10",
        "keep_best_epoch": False,
        "recompute": False,
        "checkpoint_minutes": 10.0,
    }
    assert json.loads(json.dumps(first.recorded())) == first.recorded()


def test_plans_are_made_without_torch():
    modules = ("config", "examples", "batches", "checkpoints")
    imports = ", ".join(f"embedtune.training.{module}" for module in modules)
    code = f"import sys, {imports}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
