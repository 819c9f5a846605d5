"""The rules by which a loss, epochs and a learning rate are chosen, as docs/defaults.md states them."""

import dataclasses
import inspect
import json

import numpy as np
import pytest
import torch

from embedtune.models.card import EpochFacts
from embedtune.models.contents import Contents
from embedtune.records.layouts import Layout, Modality
from embedtune.training.config import FinetuneConfig
from embedtune.training.defaults import (
    default_epochs,
    default_learning_rate,
    default_loss,
    with_defaults,
    with_tower,
)
from embedtune.training.examples import TrainingSet
from embedtune.training.options import OWN_RATES

TEXT, IMAGE, MESH = (Modality.TEXT,), (Modality.IMAGE,), (Modality.MESH,)
PAIRS, SUPCON = "MultipleNegativesRankingLoss", "SupConLoss"


@pytest.mark.parametrize(
    ("layout", "loss"),
    [
        (Layout.PAIRS, PAIRS),
        (Layout.MATCHES, PAIRS),
        (Layout.BEIR, PAIRS),
        (Layout.TEXT_IMAGE, "CLIPLoss"),
        (Layout.SCORED, "CoSENTLoss"),
        (Layout.LABELLED, PAIRS),
    ],
)
def test_loss_by_layout(layout, loss):
    assert default_loss(layout, None, 100) == (loss, f"the layout is {layout}")


@pytest.mark.parametrize(
    ("rows", "used", "loss", "why"),
    [
        (8.0, 100, PAIRS, "the layout is labelled"),
        (7.9, 100, SUPCON, "pairs would come 7.9 to a batch, fewer than 8: there are few labels"),
        (8.0, 50, PAIRS, "the layout is labelled"),
        (8.0, 49, SUPCON, "pairs would take 49 of 100 contents in an epoch"),
    ],
)
def test_loss_of_labels(rows, used, loss, why):
    assert default_loss(Layout.LABELLED, EpochFacts(used, rows, rows - 1), 100) == (loss, why)


@pytest.mark.parametrize(
    ("layout", "modalities", "rows", "epochs"),
    [
        (Layout.LABELLED, TEXT, 1, 10),
        (Layout.LABELLED, IMAGE, 10_000, 10),
        (Layout.LABELLED, TEXT, 10_001, 3),
        (Layout.LABELLED, TEXT, 100_000, 3),
        (Layout.LABELLED, TEXT, 100_001, 1),
        (Layout.PAIRS, TEXT, 1_000, 5),
        (Layout.BEIR, TEXT, 1_001, 3),
        (Layout.TEXT_IMAGE, TEXT + IMAGE, 10_000, 3),
        (Layout.SCORED, TEXT, 10_001, 1),
        (Layout.LABELLED, MESH, 10_000, 50),
        (Layout.PAIRS, MESH, 100_000, 10),
        (Layout.PAIRS, MESH, 100_001, 1),
    ],
)
def test_epochs(layout, modalities, rows, epochs):
    assert default_epochs(layout, modalities, rows) == epochs


@pytest.mark.parametrize(
    ("optimizer", "modalities", "millions", "rate"),
    [
        ("AdamW", TEXT, 22.7, 1e-4),
        ("AdamW", TEXT, 35, 1e-4),
        ("RAdam", TEXT, 35.1, 2e-5),
        ("AdamW", TEXT, 109, 2e-5),
        ("AdamW", TEXT + IMAGE, 151, 2e-5),
        ("RMSprop", IMAGE, 320, 2e-5),
        ("AdamW", TEXT, 335, 1e-5),
        ("AdamW", MESH, 1, 1e-3),
        ("SGD", TEXT, 22.7, 1e-3),
        ("Adagrad", TEXT, 22.7, 1e-2),
        ("Adadelta", MESH, 22.7, 1.0),
    ],
)
def test_learning_rate(optimizer, modalities, millions, rate):
    assert default_learning_rate(optimizer, modalities, round(millions * 1e6)) == rate


@pytest.mark.parametrize(("name", "rate"), OWN_RATES.items())
def test_the_own_rates_are_torchs(name, rate):
    assert inspect.signature(getattr(torch.optim, name)).parameters["lr"].default == rate


def labelled(sizes: list[int]) -> TrainingSet:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return TrainingSet(Contents.of_texts([str(number) for number in range(len(labels))]), labels)


@pytest.mark.parametrize(
    ("sizes", "loss", "told"),
    [
        ([10] * 30, PAIRS, "the layout is labelled"),
        ([100] * 3, SUPCON, "pairs would come 3.0 to a batch, fewer than 8: there are few labels"),
        ([5000, *[20] * 10], SUPCON, "pairs would take 2"),
        ([30, *[1] * 50], SUPCON, "no two pairs can be told apart: one label alone comes twice"),
    ],
)
def test_few_or_dominating_labels(sizes, loss, told):
    config, chosen = with_defaults(FinetuneConfig(), Layout.LABELLED, TEXT, labelled(sizes), 22_700_000)
    assert (config.loss, config.epochs, config.learning_rate) == (loss, 10, 1e-4)
    assert chosen["loss"].startswith(f"Loss (auto): {loss}, because {told}")
    assert chosen["epochs"] == f"Epochs (0): 10, for {sum(sizes):,} contents with labels."
    assert chosen["learning_rate"] == "Learning rate (0): 0.0001, for 22.7 million parameters."


@pytest.mark.parametrize(
    ("modalities", "tower"), [(TEXT * 2, "clip-text"), (IMAGE, "clip-vision"), (TEXT + IMAGE, ""), (MESH, "")]
)
def test_data_of_one_kind_take_one_tower(modalities, tower):
    asked = FinetuneConfig(model_options='{"freeze": "2", "query_prompt": ""}')
    config, chosen = with_tower(asked, modalities, has_towers=True)
    assert config.tailoring == dataclasses.replace(asked.tailoring, select_model=tower)
    said = f"Tower (select_model ''): {tower}, since the data hold nothing that the other one reads."
    assert chosen == ({"select_model": said} if tower else {})
    assert with_tower(asked, modalities, has_towers=False) == (asked, {})


def test_a_tower_that_was_asked_for_stays():
    asked = FinetuneConfig(model_options='{"select_model": "clip-text"}')
    assert with_tower(asked, TEXT, has_towers=True) == (asked, {})


def test_what_was_asked_for_stays():
    asked = FinetuneConfig(loss="ArcFaceLoss", epochs=1, learning_rate=0.5)
    assert with_defaults(asked, Layout.LABELLED, TEXT, labelled([4, 4]), 1) == (asked, {})


def test_small_batches_have_no_room_for_two_labels_and_keep_pairs():
    small = FinetuneConfig(batch_size=4)
    assert with_defaults(small, Layout.LABELLED, TEXT, labelled([9, 9]), 1)[0].loss == PAIRS


def test_an_optimizer_of_another_kind():
    config = FinetuneConfig(train_options=json.dumps({"optimizer": "Adadelta"}))
    config, chosen = with_defaults(config, Layout.LABELLED, TEXT, labelled([9] * 20), 1)
    assert config.learning_rate == 1.0
    assert chosen["learning_rate"] == "Learning rate (0): 1, for Adadelta, torch's own."
