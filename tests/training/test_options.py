"""Every field of the options is checked, and each reaches what it is for."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from embedtune.errors import ConfigError, InputError
from embedtune.models.loading import load_model
from embedtune.records.layouts import Modality
from embedtune.training import optimizing
from embedtune.training.augmenting import Augmentation
from embedtune.training.fits import check_augment
from embedtune.training.options import AUGMENTATIONS, OPTIMIZERS, TrainOptions

BAD = [
    ("optimizer", "adamw", "one of AdamW, Adam, Adamax, NAdam, RAdam, RMSprop, SGD, Adagrad, Adadelta"),
    ("weight_decay", -0.1, "null (the optimizer's own) or 0 or more"),
    ("weight_decay", math.inf, "null"),
    ("layer_decay", 0.0, "above 0 and at most 1"),
    ("layer_decay", 1.1, "above 0 and at most 1"),
    ("warmup", -0.1, "a share from 0 to 1"),
    ("warmup", 1.1, "a share from 0 to 1"),
    ("warmup", math.nan, "a share from 0 to 1"),
    ("items_per_label", 1, "2 or more contents"),
    ("loss_learning_rate", -1e-3, "0 (chosen from learning_rate) or more"),
    ("loss_learning_rate", math.nan, "0 (chosen"),
    ("precision", "bf16", "one of auto, float32, bfloat16"),
    ("validation_share", -0.1, "0 (nothing is held out) to below 1, such as 0.1"),
    ("validation_share", 1.0, "0 (nothing is held out) to below 1"),
    ("validation_share", math.nan, "0 (nothing"),
    ("validation_metric", "ndcg", "a name and a number of ranks from 1 to 1000, such as ndcg_at_10"),
    ("checkpoint_minutes", -0.5, "0 (none within an epoch) or more"),
    ("checkpoint_minutes", math.inf, "0 (none"),
    ("checkpoint_minutes", math.nan, "0 (none"),
    ("keep_best_epoch", True, "false, or true with a validation_share above 0 to choose by"),
]


@pytest.mark.parametrize(("name", "value", "accepted"), BAD)
def test_refused(name, value, accepted):
    with pytest.raises(ConfigError) as caught:
        TrainOptions(**{name: value})
    assert str(caught.value).startswith(f"train_options: {name} is {value!r}; accepted: {accepted}")


def test_an_unknown_augmentation():
    with pytest.raises(ConfigError, match="augment is 'blur'; accepted: any of flip, crop, colour, rotate"):
        TrainOptions(augment=("flip", "blur"))


@pytest.mark.parametrize(
    ("name", "value"),
    [*(("optimizer", one) for one in OPTIMIZERS), ("augment", AUGMENTATIONS), ("validation_share", 0.99)],
)
def test_accepted(name, value):
    assert getattr(TrainOptions(**{name: value}), name) == value


def test_what_can_be_changed_is_what_the_augmentation_knows():
    assert tuple(field.name for field in dataclasses.fields(Augmentation)) == AUGMENTATIONS


@pytest.mark.parametrize(
    ("modalities", "augment", "told"),
    [
        ((Modality.TEXT,), ("flip",), "augment names 'flip', but the data hold texts. Leave augment empty."),
        ((Modality.IMAGE,), ("flip", "rotate"), "'rotate', but the data hold images. What fits: colour, crop, flip."),
        ((Modality.MESH,), ("colour",), "'colour', but the data hold meshes. What fits: jitter, rotate, scale."),
    ],
)
def test_augmentation_of_other_contents(modalities, augment, told):
    with pytest.raises(InputError) as caught:
        check_augment(modalities, augment)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("modalities", "augment"),
    [((Modality.TEXT,), ()), ((Modality.TEXT, Modality.IMAGE), ("flip",)), ((Modality.MESH,), AUGMENTATIONS[3:])],
)
def test_augmentation_that_fits(modalities, augment):
    check_augment(modalities, augment)


def test_the_training_follows_its_options(run_training, examples, config, monkeypatch):
    built = []

    def build(*arguments):
        built.append(built_before(*arguments))
        return built[-1]

    built_before = optimizing.build_optimizer
    monkeypatch.setattr(optimizing, "build_optimizer", build)
    options = {"optimizer": "Adam", "weight_decay": 0.2, "layer_decay": 0.5, "warmup": 0.0, "loss_learning_rate": 0.25}
    config = dataclasses.replace(config, loss="ProxyAnchorLoss", epochs=1, train_options=json.dumps(options))
    run_training(examples, dataclasses.replace(config, batch_size=16))
    (optimizer,) = built
    assert type(optimizer) is torch.optim.Adam
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.2}
    rates = sorted({group["initial_lr"] for group in optimizer.param_groups})
    layers = len(load_model(config.backbone, 32)[0].model.encoder.layer)
    assert rates == pytest.approx([1e-3 * 0.5**level for level in range(layers, -1, -1)] + [0.25])
    decayed = run_training(examples, dataclasses.replace(config, batch_size=16, train_options="{}"))
    assert np.isfinite(decayed.losses).all()
