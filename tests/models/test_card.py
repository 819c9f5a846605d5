"""A model's card: kept as written, and refused with a way out where it cannot be read."""

import dataclasses
import json
import math

import pytest

from embedtune.errors import ModelError
from embedtune.models.card import (
    CARD_FILE,
    TRAINING_FILE,
    CutTexts,
    EpochFacts,
    EpochScore,
    LossPoint,
    ModelCard,
    Validation,
    trained_layout,
)

CARD = ModelCard(
    backbone="owner/mödel",
    backbone_digest="sha256:00",
    dimension=32,
    max_length=64,
    layout="pairs",
    train_documents=12,
    data_digest="sha256:11",
    options={"epochs": 3, "learning_rate": 1e-4, "loss": "SupConLoss", "note": "文"},
    history=(LossPoint(1, 0.5, 2.0), LossPoint(2, 1.0, 1 / 3)),
    seconds=3.5,
    texts_per_second=8.0,
    versions={"torch": "2.13.0"},
    parity_max_difference=1.1920929e-07,
)


def test_round_trip(tmp_path):
    CARD.save(tmp_path)
    assert ModelCard.load(tmp_path) == CARD


def test_without_history(tmp_path):
    card = dataclasses.replace(CARD, history=())
    card.save(tmp_path)
    assert ModelCard.load(tmp_path) == card


def test_a_loss_that_is_no_number_comes_back(tmp_path):
    dataclasses.replace(CARD, history=(LossPoint(1, 1.0, math.nan),)).save(tmp_path)
    assert math.isnan(ModelCard.load(tmp_path).history[0].loss)


def test_no_card(tmp_path):
    with pytest.raises(ModelError, match=rf"{tmp_path} holds no {CARD_FILE}.*Give the 'model' output"):
        ModelCard.load(tmp_path)


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "model.zip").touch()
    with pytest.raises(ModelError, match=f"holds no {CARD_FILE}"):
        ModelCard.load(tmp_path / "model.zip")


def test_a_card_says_what_it_is(tmp_path):
    CARD.save(tmp_path)
    written = json.loads((tmp_path / CARD_FILE).read_text())
    assert (written["format"], written["version"], "others" in written) == ("embedtune-model", 1, False)
    training = json.loads((tmp_path / TRAINING_FILE).read_text())
    assert (training["format"], training["version"]) == ("embedtune-training", 1)


def test_what_a_model_is_and_how_it_was_trained_are_two_files(tmp_path):
    CARD.save(tmp_path)
    card, training = (json.loads((tmp_path / name).read_text()) for name in (CARD_FILE, TRAINING_FILE))
    assert card.keys() & training.keys() == {"format", "version"}
    assert {"backbone", "backbone_digest", "dimension", "max_length", "layout", "versions", "servers"} < card.keys()
    told = {
        "options",
        "chosen",
        "remarks",
        "history",
        "validation",
        "epoch",
        "seconds",
        "texts_per_second",
        "train_texts",
        "reading",
        "learned",
        "image",
    }
    assert training.keys() == {"format", "version", "train_documents", "data_digest"} | told


def test_a_model_without_the_record_of_its_training(tmp_path):
    CARD.save(tmp_path)
    (tmp_path / TRAINING_FILE).unlink()
    with pytest.raises(ModelError, match=rf"{tmp_path} holds no {TRAINING_FILE}.* or not all of it"):
        ModelCard.load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"history": [1]}', '{"format": "embedtune-model"}'])
def test_a_broken_record_of_the_training(tmp_path, text):
    CARD.save(tmp_path)
    (tmp_path / TRAINING_FILE).write_text(text)
    with pytest.raises(ModelError, match=rf"{TRAINING_FILE} cannot be read .*Fine-tune again"):
        ModelCard.load(tmp_path)


def test_a_card_that_lacks_a_fact_beside_a_whole_record_of_the_training(tmp_path):
    CARD.save(tmp_path)
    card = json.loads((tmp_path / CARD_FILE).read_text())
    del card["backbone"]
    (tmp_path / CARD_FILE).write_text(json.dumps(card))
    with pytest.raises(ModelError, match=rf"^{tmp_path / CARD_FILE} with {TRAINING_FILE} cannot be read .*'backbone'"):
        ModelCard.load(tmp_path)


@pytest.mark.parametrize("text", [None, "", '{"history": [1]}'])
def test_using_a_model_needs_no_record_of_its_training(tmp_path, text):
    CARD.save(tmp_path)
    (tmp_path / TRAINING_FILE).unlink()
    if text is not None:
        (tmp_path / TRAINING_FILE).write_text(text)
    assert trained_layout(tmp_path) == "pairs"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"layout": 3}', '{"format": "other", "layout": "pairs"}'])
def test_a_card_that_names_no_layout(tmp_path, text):
    (tmp_path / CARD_FILE).write_text(text)
    with pytest.raises(ModelError, match=rf"{CARD_FILE} cannot be read .*Fine-tune again"):
        trained_layout(tmp_path)


def test_a_later_record_of_the_training(tmp_path):
    CARD.save(tmp_path)
    training = json.loads((tmp_path / TRAINING_FILE).read_text())
    (tmp_path / TRAINING_FILE).write_text(json.dumps({**training, "version": 2, "epoch_losses": [1.0]}))
    assert ModelCard.load(tmp_path) == dataclasses.replace(CARD, others={"epoch_losses": [1.0]})


def test_a_card_of_an_earlier_version(tmp_path):
    facts = dataclasses.asdict(CARD)
    del facts["others"], facts["validation"]
    (tmp_path / CARD_FILE).write_text(json.dumps(facts))
    assert ModelCard.load(tmp_path) == CARD


def test_a_card_of_a_later_version_keeps_what_this_one_does_not_know(tmp_path):
    (tmp_path / "again").mkdir()
    later = json.loads(card_with(pooling="gem", options={"loss": "NewLoss", "depth": 3}))
    point = {"step": 1, "epoch": 0.5, "loss": 2.0, "rate": 1e-4}
    texts, epoch = CutTexts(9, 1, 2, 0, 64), EpochFacts(9, 8.0, 7.0)
    validation = Validation("ndcg_at_10", 5, 9, (EpochScore(0, 0, 0.25), EpochScore(1, 12, 1 / 3)), 1)
    scores = [{**dataclasses.asdict(score), "seconds": 2.0} for score in validation.scores]
    parts = {
        "train_texts": {**dataclasses.asdict(texts), "empty": 0},
        "epoch": {**dataclasses.asdict(epoch), "rows": 3},
        "validation": {**dataclasses.asdict(validation), "rule": "group", "scores": scores},
    }
    (tmp_path / CARD_FILE).write_text(json.dumps({**later, "version": 2, "history": [point], **parts}))
    card = ModelCard.load(tmp_path)
    assert card.others == {"version": 2, "pooling": "gem"}
    assert (card.options, card.history) == ({"loss": "NewLoss", "depth": 3}, (LossPoint(1, 0.5, 2.0),))
    assert (card.train_texts, card.epoch, card.validation) == (texts, epoch, validation)
    card.save(tmp_path / "again")
    assert ModelCard.load(tmp_path / "again") == card


def card_with(**changes: object) -> str:
    facts = dataclasses.asdict(CARD)
    del facts["others"]
    return json.dumps({**facts, **changes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        card_with(history=None),
        card_with(history=[1]),
        card_with(history=[{"step": 1}]),
        card_with(epoch=[1]),
        card_with(validation={"metric": "ndcg_at_10"}),
        card_with(train_texts={"texts": 1}),
        card_with(format="another product's"),
        json.dumps({"history": []}),
    ],
)
def test_a_broken_card(tmp_path, text):
    (tmp_path / CARD_FILE).write_text(text)
    with pytest.raises(ModelError, match=rf"{CARD_FILE} cannot be read .*Fine-tune again"):
        ModelCard.load(tmp_path)


def test_a_card_in_another_encoding(tmp_path):
    (tmp_path / CARD_FILE).write_bytes(card_with(backbone="mödel").encode("utf-16"))
    with pytest.raises(ModelError, match="cannot be read"):
        ModelCard.load(tmp_path)
