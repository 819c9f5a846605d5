"""Every field is checked, and its refusal says what was got and what is accepted."""

import dataclasses
import math
import subprocess
import sys

import pytest

from embedtune.errors import ConfigError
from embedtune.training.config import LOSSES, OPTIMIZERS, FinetuneConfig

BAD = [
    ("backbone", "", "a Hugging Face id or a folder"),
    ("backbone", " \t", "a Hugging Face id or a folder"),
    ("max_length", -1, "0 (the backbone's own limit) or more tokens"),
    ("loss", "TripletLoss", "one of MultipleNegativesRankingLoss, SupConLoss, MultiSimilarityLoss, TripletMarginLoss"),
    ("loss", "", "one of"),
    ("epochs", 0, "1 or more"),
    ("batch_size", 3, "4 texts or more"),
    ("items_per_label", 1, "2 to 32, so that a batch of 64 texts holds at least two labels"),
    ("items_per_label", 33, "2 to 32"),
    ("learning_rate", 0.0, "above 0 and below 1"),
    ("learning_rate", -1e-5, "above 0 and below 1"),
    ("learning_rate", 1.0, "above 0 and below 1"),
    ("learning_rate", math.nan, "above 0 and below 1"),
    ("optimizer", "adamw", "one of AdamW, Adam, Adamax, NAdam, RAdam, RMSprop, SGD, Adagrad, Adadelta"),
    ("warmup", -0.1, "a share from 0 to 1"),
    ("warmup", 1.1, "a share from 0 to 1"),
    ("warmup", math.nan, "a share from 0 to 1"),
    ("seed", -1, "0 to 4294967295"),
    ("seed", 2**32, "0 to 4294967295"),
]

GOOD = [
    ("max_length", 0),
    ("epochs", 1),
    ("batch_size", 8),
    ("items_per_label", 2),
    ("items_per_label", 32),
    ("learning_rate", 0.999),
    ("warmup", 0.0),
    ("warmup", 1.0),
    ("seed", 0),
    ("seed", 2**32 - 1),
    *(("loss", name) for name in LOSSES),
    *(("optimizer", name) for name in OPTIMIZERS),
]


@pytest.mark.parametrize(("name", "value", "accepted"), BAD)
def test_refused(name, value, accepted):
    with pytest.raises(ConfigError) as caught:
        FinetuneConfig(**{"loss": "SupConLoss", name: value})
    assert str(caught.value).startswith(f"{name} is {value!r}; accepted: {accepted}")


def test_every_field_has_a_refusal():
    assert {name for name, _, _ in BAD} == {field.name for field in dataclasses.fields(FinetuneConfig)}


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_accepted(name, value):
    assert getattr(FinetuneConfig(**{"loss": "SupConLoss", name: value}), name) == value


def test_the_defaults_are_accepted_and_fixed():
    config = FinetuneConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.epochs = 2


def test_items_per_label_is_not_checked_where_it_is_unused():
    assert FinetuneConfig(loss="MultipleNegativesRankingLoss", batch_size=4).items_per_label == 4
    with pytest.raises(ConfigError, match="items_per_label is 4; accepted: 2 to 2"):
        FinetuneConfig(loss="TripletMarginLoss", batch_size=4)


def test_plans_are_made_without_torch():
    modules = ("config", "examples", "batches", "checkpoints")
    imports = ", ".join(f"embedtune.training.{module}" for module in modules)
    code = f"import sys, {imports}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
