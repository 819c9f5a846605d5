"""Several ways to fine-tune one backbone on the same documents, and which of them is best. Imports no torch."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.errors import ConfigError, InputError, TrainingError
from embedtune.models.card import EpochScore, Validation, known_part
from embedtune.training.config import FinetuneConfig

CANDIDATE_FILE = "candidate.json"
"""In a candidate's folder: how it was trained and what came of it."""
MODEL_FOLDER = "model"
"""Beside it: the model, where there is one."""
SWEEP_FILE = "sweep.json"

_FORMAT, _VERSION = "embedtune-candidate", 1
_SHOWN = 200


@dataclass(frozen=True)
class CandidateSettings:
    """What one combination of settings is trained with."""

    tried: Mapping[str, Any]
    """What distinguishes it, by the names of the pipeline's parameters and of the fields of its options."""
    config: FinetuneConfig

    def to_json(self) -> str:
        """Return a text from which `of_json` makes the same."""
        return json.dumps({"tried": dict(self.tried), "config": dataclasses.asdict(self.config)})

    @classmethod
    def of_json(cls, text: str) -> "CandidateSettings":
        """Read what `to_json` returned.

        Raises:
            ConfigError: it is something else, or a setting is not accepted.
        """
        try:
            facts = json.loads(text)
            return cls(dict(facts["tried"]), FinetuneConfig(**facts["config"]))
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise ConfigError(
                f"settings is {text[:_SHOWN]!r}, which is no combination of settings ({error!r}). Give one of those "
                "that resolve-data returns for a sweep."
            ) from error


@dataclass(frozen=True)
class Candidate:
    """What came of one combination."""

    tried: Mapping[str, Any]
    """What distinguishes it; see `CandidateSettings`."""
    validation: Validation | None
    """How good the model was on held-out training documents; None where it failed."""
    failure: str = ""
    """Why there is no model, '' where there is one."""
    seconds: float = 0.0
    """Wall time of the training loop."""

    @property
    def score(self) -> float | None:
        """The metric with the weights that the model has; None where there is no model."""
        if self.validation is None:
            return None
        return next(score.value for score in self.validation.scores if score.epoch == self.validation.kept)

    @property
    def figures(self) -> dict[str, float]:
        """What a task shows as metrics; nothing where there is no model."""
        if self.validation is None or self.score is None:
            return {}
        return {f"validation_{self.validation.metric}": self.score, "seconds": self.seconds}

    def save(self, folder: Path) -> None:
        """Write it into a candidate's folder."""
        facts = {"format": _FORMAT, "version": _VERSION, **dataclasses.asdict(self)}
        (folder / CANDIDATE_FILE).write_text(json.dumps(facts, indent=2, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Candidate":
        """Read what `save` wrote.

        Raises:
            InputError: there is no such file, or it is damaged or none of ours.
        """
        path = folder / CANDIDATE_FILE
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["format"] != _FORMAT:
                raise ValueError(f"its format is {facts['format']!r}, not {_FORMAT!r}")
            return cls.of_facts(facts)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} cannot be read as a candidate ({error!r}). Train it again.") from error

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> "Candidate":
        """Return what was written as JSON.

        Raises:
            KeyError, TypeError: it is not that.
        """
        found = facts["validation"]
        validation = None if found is None else Validation.of_json(found)
        candidate: Candidate = known_part(cls, {**facts, "validation": validation})
        return candidate


@dataclass(frozen=True)
class Sweep:
    """All combinations that were tried, the one that was chosen among them."""

    candidates: tuple[Candidate, ...]
    """In the order of the grid."""
    chosen: int
    """Place of the chosen one."""

    @property
    def winner(self) -> Candidate:
        """The chosen one."""
        return self.candidates[self.chosen]

    @property
    def before(self) -> EpochScore | None:
        """What the metric was before any training."""
        validation = self.winner.validation
        return None if validation is None else validation.scores[0]

    def save(self, path: Path) -> None:
        """Write as JSON."""
        facts = {"format": "embedtune-sweep", "version": _VERSION, **dataclasses.asdict(self)}
        path.write_text(json.dumps(facts, indent=2, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Sweep":
        """Read what `save` wrote.

        Raises:
            InputError: there is no such file, or it is damaged or none of ours.
        """
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            return cls(tuple(map(Candidate.of_facts, facts["candidates"])), int(facts["chosen"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} cannot be read as a sweep ({error!r}). Run it again.") from error


def choose(candidates: tuple[Candidate, ...]) -> Sweep:
    """Return the sweep with the candidate that has the highest score; of equal ones the first.

    Args:
        candidates: In the order of the grid, one at least, all measured on the same documents.

    Raises:
        TrainingError: all failed.
        InputError: they were measured by different metrics or on different documents.
    """
    scores = [candidate.score for candidate in candidates]
    best = max((score for score in scores if score is not None), default=None)
    if best is None:
        reasons = dict.fromkeys(candidate.failure for candidate in candidates)
        raise TrainingError(f"None of {len(candidates)} combinations came to a model. {' '.join(reasons)}")
    validations = [candidate.validation for candidate in candidates if candidate.validation is not None]
    measured = {(each.metric, each.queries, each.documents) for each in validations}
    if len(measured) > 1:
        raise InputError(
            f"The candidates were measured differently: {sorted(measured)} (metric, queries, documents). Train all of "
            "them on one folder of documents with one validation_share, validation_metric and seed."
        )
    return Sweep(candidates, scores.index(best))
