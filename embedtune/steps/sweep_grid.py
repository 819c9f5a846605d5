"""The combinations of a sweep: a grid of settings becomes one configuration of the fine-tuning step for each."""

import dataclasses
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from embedtune.errors import ConfigError, InputError
from embedtune.models.options import ModelOptions
from embedtune.names import similar_names
from embedtune.options import options_from_json
from embedtune.steps.run_parameters import RunParameters
from embedtune.text import shortened
from embedtune.training.candidates import CandidateSettings
from embedtune.training.options import OWN_RATES, TrainOptions

MOST_COMBINATIONS = 16
"""Combinations that are trained at most: each costs a training."""

VALIDATION_SHARE = 0.1
"""Share of the training documents by which is chosen, where train_options name none."""

_RATES = (2e-5, 1e-4, 5e-4)
"""Learning rates where no grid is given: around the defaults of small models and of those of 100 million parameters."""
_AROUND = (1 / 3, 1.0, 3.0)
"""Factors of a learning rate that is given without a grid."""
_RATE = "train_learning_rate"

_OPTIONS = {"model": ModelOptions, "train": TrainOptions}
_DECIDING = ("validation_share", "validation_metric")
"""Fields of TrainOptions by which is chosen, and which must be the same for all."""
_MOOT = ("checkpoint_minutes",)
"""Fields of TrainOptions that decide nothing: the trainings would be one, and share the address of its checkpoints."""
_SHOWN = 200


@dataclass(frozen=True)
class _Scalars:
    """The parameters of the pipeline of which several values can be tried."""

    model_max_length: int = 128
    train_loss: str = "auto"
    train_epochs: int = 0
    train_batch_size: int = 64
    train_learning_rate: float = 0.0


def candidates_of(parameters: RunParameters, backbone_version: str = "") -> tuple[CandidateSettings, ...]:
    """Return what each combination is trained with, in the order of the grid, its last name changing fastest.

    Args:
        parameters: Those of the run, with the grid.
        backbone_version: Content that the backbone must have; '' takes what is there.

    Raises:
        ConfigError: the grid is no object of lists, names what cannot be tried, or has too many combinations, or one
            of them is not accepted.
        InputError: one of them fits the data that were named in no way.
    """
    grid = _grid(parameters)
    return tuple(
        _candidate(parameters, dict(zip(grid, values, strict=True)), backbone_version)
        for values in itertools.product(*grid.values())
    )


def sweep_plan(parameters: RunParameters, candidates: Sequence[CandidateSettings]) -> str:
    """Say how many combinations are trained, and by what is chosen."""
    options = candidates[0].config.training
    default = "" if TrainOptions.from_json(parameters.train_options).validation_share else ", as none was named"
    return (
        f"Sweep: {len(candidates)} combinations are trained, each on the same documents, and compared on the same "
        f"{options.validation_share:.0%} of these that is held out (validation_share{default}). The best is judged "
        "once, on the evaluation documents."
    )


def _grid(parameters: RunParameters) -> dict[str, list[Any]]:
    text = parameters.train_grid
    try:
        grid = json.loads(text)
    except (ValueError, RecursionError):
        grid = None
    if not isinstance(grid, dict) or not all(isinstance(values, list) and values for values in grid.values()):
        raise ConfigError(
            f"train_grid is {shortened(text, _SHOWN)!r}; accepted: a JSON object with a list of values for each name, "
            'such as {"train_learning_rate": [2e-5, 1e-4, 3e-4], "train_epochs": [5, 10]}, or {} for three rates.'
        )
    for name, values in grid.items():
        _check_name(name)
        if any(value in values[:place] for place, value in enumerate(values)):
            raise ConfigError(f"train_grid: {name} is {values}, with a value that comes twice. Give each once.")
    grid = grid if grid else {_RATE: _default_rates(parameters)}
    count = 1
    for values in grid.values():
        count *= len(values)
    if count > MOST_COMBINATIONS:
        raise ConfigError(
            f"train_grid has {count} combinations, and each is a training; accepted: {MOST_COMBINATIONS} at most. "
            "Leave out values, or try one name after the other."
        )
    return grid


def _default_rates(parameters: RunParameters) -> list[float]:
    own = OWN_RATES.get(TrainOptions.from_json(parameters.train_options).optimizer, 0.0)
    rate = parameters.train_learning_rate if parameters.train_learning_rate else own
    if not rate:
        return list(_RATES)
    around = [float(f"{rate * factor:.1g}") for factor in _AROUND]
    return around if own else [each for each in around if each < 1]  # of the others, none of 1 or more is accepted


def _check_name(name: str) -> None:
    names = [field.name for field in dataclasses.fields(_Scalars)]
    for prefix, kind in _OPTIONS.items():
        fields = (field.name for field in dataclasses.fields(kind))
        names += [f"{prefix}_{field}" for field in fields if field not in (*_DECIDING, *_MOOT)]
    if name not in names:
        near = similar_names(name, names)
        hint = f" Perhaps {near[0]!r} is meant." if near else ""
        raise ConfigError(
            f"train_grid names {name!r}, of which no values can be tried.{hint} Accepted: {', '.join(sorted(names))}. "
            "Seed and backbone decide the split and the vectors to begin with: start a run for each; and what decides "
            f"nothing of a model, as {', '.join(_MOOT)} does, is given in train_options."
        )


def _candidate(parameters: RunParameters, tried: dict[str, Any], backbone_version: str) -> CandidateSettings:
    """Return what one combination is trained with, checked as a run with these parameters is."""
    try:
        scalars = {field.name: tried[field.name] for field in dataclasses.fields(_Scalars) if field.name in tried}
        checked = options_from_json(_Scalars, json.dumps(scalars), "train_grid")
        changes: dict[str, Any] = {name: getattr(checked, name) for name in scalars}
        changes |= {f"{prefix}_options": _options(parameters, prefix, tried) for prefix in _OPTIONS}
        run = dataclasses.replace(parameters, **changes)
    except (ConfigError, InputError) as error:
        raise type(error)(f"train_grid, the combination {json.dumps(tried)}: {error}") from error
    return CandidateSettings(tried, dataclasses.replace(run.training(), backbone_version=backbone_version))


def _options(parameters: RunParameters, prefix: str, tried: dict[str, Any]) -> str:
    """Return model_options or train_options with what is tried of them."""
    text = getattr(parameters, f"{prefix}_options")
    written = json.loads(text) if text.strip() else {}
    names = (field.name for field in dataclasses.fields(_OPTIONS[prefix]))
    written |= {name: tried[f"{prefix}_{name}"] for name in names if f"{prefix}_{name}" in tried}
    if prefix == "train" and not written.get("validation_share"):
        written["validation_share"] = VALIDATION_SHARE
        written.setdefault("validation_metric", parameters.eval_metric)
    return json.dumps(written)
