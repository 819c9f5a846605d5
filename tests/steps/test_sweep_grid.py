"""A grid of settings becomes one checked configuration for each combination."""

import dataclasses
import json
import re

import pytest

from embedtune.errors import ConfigError, InputError
from embedtune.steps.run_parameters import RunParameters
from embedtune.steps.sweep_grid import MOST_COMBINATIONS, candidates_of, sweep_plan
from embedtune.training.candidates import CandidateSettings
from embedtune.training.config import FinetuneConfig
from embedtune.training.options import TrainOptions


def candidates(grid: object, **given: object) -> tuple[CandidateSettings, ...]:
    text = grid if isinstance(grid, str) else json.dumps(grid)
    return candidates_of(RunParameters("data.csv", train_grid=text, sweep=True, **given), "sha256:1")  # type: ignore[arg-type]


def test_every_combination_in_the_order_of_the_grid() -> None:
    grid = {"train_learning_rate": [1e-3, 1], "train_warmup": [0, 0.2], "train_optimizer": ["SGD"]}
    found = candidates(grid, train_epochs=3, train_options='{"validation_share": 0.25, "items_per_label": 2}')
    assert [tuple(each.tried.values()) for each in found] == [
        (1e-3, 0, "SGD"),
        (1e-3, 0.2, "SGD"),
        (1, 0, "SGD"),
        (1, 0.2, "SGD"),
    ]
    options = {"validation_share": 0.25, "items_per_label": 2, "optimizer": "SGD", "warmup": 0.2}
    settings = dataclasses.asdict(found[3].config)
    assert json.loads(settings.pop("train_options")) == {**options, "validation_share": 0.25}
    expected = {**dataclasses.asdict(FinetuneConfig()), "epochs": 3, "backbone_version": "sha256:1"}
    assert {**expected, "learning_rate": 1.0} == {**settings, "train_options": "{}"}


def test_fields_of_both_options_and_lists_of_values() -> None:
    found = candidates({"model_pooling": ["cls", "mean"], "train_augment": [[], ["flip", "crop"]]})
    assert [each.config.tailoring.pooling for each in found] == ["cls", "cls", "mean", "mean"]
    assert [each.config.training.augment for each in found] == [(), ("flip", "crop")] * 2


def test_what_is_chosen_by_where_nobody_says() -> None:
    (found,) = candidates({"train_epochs": [2]}, eval_metric="map_at_20")
    training = found.config.training
    assert (training.validation_share, training.validation_metric) == (0.1, "map_at_20")
    said = sweep_plan(RunParameters("data.csv"), [found])
    assert "1 combinations are trained" in said
    assert "10% of these that is held out (validation_share, as none was named)" in said
    given = RunParameters("data.csv", train_options='{"validation_share": 0.1}')
    assert "(validation_share). The best is judged once" in sweep_plan(given, [found])


@pytest.mark.parametrize(
    ("given", "rates"),
    [
        ({}, [2e-5, 1e-4, 5e-4]),
        ({"train_learning_rate": 2e-4}, [7e-5, 2e-4, 6e-4]),
        ({"train_learning_rate": 0.9}, [0.3, 0.9]),
        ({"train_options": '{"optimizer": "SGD"}'}, [3e-4, 1e-3, 3e-3]),
    ],
)
def test_without_a_grid_three_rates_are_tried(given: dict[str, object], rates: list[float]) -> None:
    assert [each.config.learning_rate for each in candidates("{}", **given)] == rates


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("rates", "train_grid is 'rates'; accepted: a JSON object with a list of values for each name"),
        ({"train_epochs": 5}, "train_grid is '{\"train_epochs\": 5}'; accepted: a JSON object"),
        ({"train_epochs": []}, "train_grid is '{\"train_epochs\": []}'; accepted: a JSON object"),
        (
            {"train_epochs": [5, 5]},
            "train_grid: train_epochs is [5, 5], with a value that comes twice.",
        ),
        ({"learning_rate": [1e-3]}, "train_grid names 'learning_rate', of which no values can be tried. Perhaps"),
        ({"train_seed": [1, 2]}, "train_grid names 'train_seed', of which no values can be tried."),
        ({"train_validation_share": [0.1]}, "train_grid names 'train_validation_share', of which no values"),
        ({"train_checkpoint_minutes": [1, 5]}, "train_grid names 'train_checkpoint_minutes', of which no values"),
        (
            {"train_learning_rate": [1, 1.0]},
            "train_grid: train_learning_rate is [1, 1.0], with a value that comes twice.",
        ),
        (
            {"train_epochs": list(range(1, 18))},
            f"train_grid has 17 combinations, and each is a training; accepted: {MOST_COMBINATIONS} at most.",
        ),
        (
            {"train_epochs": [1, -1]},
            'train_grid, the combination {"train_epochs": -1}: epochs is -1; accepted: 0 (chosen by the',
        ),
        (
            {"train_epochs": ["5"]},
            'train_grid, the combination {"train_epochs": "5"}: train_grid: train_epochs is \'5\'; accepted: a whole',
        ),
        ({"train_warmup": [2.0]}, 'train_grid, the combination {"train_warmup": 2.0}: train_options: warmup is 2.0;'),
    ],
)
def test_what_is_no_grid_or_holds_what_is_not_accepted(grid: object, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        candidates(grid)


def test_a_combination_that_the_named_data_do_not_allow() -> None:
    with pytest.raises(InputError, match=r"^train_grid, the combination .*CoSENTLoss"):
        candidates({"train_loss": ["auto", "CoSENTLoss"]}, data_layout="labelled")


def test_a_combination_survives_its_way_to_another_task() -> None:
    first, second = candidates({"train_augment": [[], ["flip"]]})
    assert CandidateSettings.of_json(second.to_json()) == second != first
    assert second.config.training == TrainOptions(augment=("flip",), validation_share=0.1)


@pytest.mark.parametrize("text", ["", "[]", '{"tried": {}}', '{"tried": {}, "config": {"epoch": 1}}', "[" * 100_000])
def test_what_is_no_combination(text: str) -> None:
    with pytest.raises(ConfigError, match="which is no combination of settings"):
        CandidateSettings.of_json(text)
