"""The facts a model folder carries about itself: what it is, and how it was trained. Imports no torch."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedtune.errors import ModelError
from embedtune.records.rows import IngestReport

CARD_FILE = "embedtune.json"
"""In a model folder: what the model is."""
TRAINING_FILE = "training.json"
"""Beside it: how the model was trained. Cards of earlier versions hold that as well, and have no such file."""

CARD_FORMAT, CARD_VERSION = "embedtune-model", 1
TRAINING_FORMAT, TRAINING_VERSION = "embedtune-training", 1
"""What the files call themselves; cards of embedtune 0.1 say neither. Files of a later version are read as far as they
go: a model that was registered once must stay one that can be evaluated."""

IMAGE_VARIABLE = "EMBEDTUNE_IMAGE"
"""Environment variable with the container image that a task runs in; a compiled pipeline sets it."""

_TRAINING_FIELDS = frozenset(
    (
        *("train_documents", "data_digest", "reading", "train_texts", "options", "chosen", "remarks"),
        *("history", "validation", "epoch", "seconds", "texts_per_second", "learned", "image"),
    )
)


@dataclass(frozen=True)
class LossPoint:
    """The training loss at one logged step."""

    step: int
    """Optimizer steps done, 1-based."""
    epoch: float
    """Passes over the training documents done."""
    loss: float
    """Mean loss since the point before."""


@dataclass(frozen=True)
class EpochScore:
    """How good the model was after an epoch."""

    epoch: int
    """Passes over the training documents done; 0 is the model before its training."""
    step: int
    """Optimizer steps done."""
    value: float
    """The metric."""


@dataclass(frozen=True)
class Validation:
    """How the model did, while it was trained, on training documents that were held out for that."""

    metric: str
    """Key of the metric, such as ndcg_at_10."""
    queries: int
    """Number of held-out contents that searched."""
    documents: int
    """Number of held-out contents that were searched in."""
    scores: tuple[EpochScore, ...]
    """By ascending epoch, one at least."""
    kept: int
    """The epoch whose weights the model has."""

    @property
    def best(self) -> EpochScore:
        """The highest score; of equal ones the earliest."""
        return best_score(self.scores)

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> "Validation":
        """Return what was written as JSON, without what only a later version knows.

        Raises:
            KeyError, TypeError: it is not that.
        """
        scores = tuple(known_part(EpochScore, entry) for entry in data["scores"])
        validation: Validation = known_part(cls, {**data, "scores": scores})
        return validation


def best_score(scores: Sequence[EpochScore]) -> EpochScore:
    """Return the highest of some scores by ascending epoch; of equal ones the earliest."""
    return max(scores, key=lambda score: score.value)


@dataclass(frozen=True)
class EpochFacts:
    """What an epoch of training is like."""

    contents_used: int
    """Contents that are in one of its batches at least."""
    rows_per_batch: float
    """Mean number of rows: contents, pairs or triplets."""
    negatives: float
    """Mean number of other contents that a row is told apart from in its batch."""


@dataclass(frozen=True)
class CutTexts:
    """What a model's length and its vocabulary do to different texts."""

    texts: int
    """Number of different texts."""
    cut: int
    """How many of them have more tokens than the model reads."""
    alike: int
    """How many are read as the same tokens as another text that differs by more than case, Unicode form and space."""
    unknown: int
    """How many of those alike are not cut, but hold signs that the model does not know."""
    max_length: int
    """Tokens that the model reads, its own special ones included."""


@dataclass(frozen=True)
class ModelCard:
    """Where a fine-tuned model comes from and what it is."""

    backbone: str
    """Name the user gave."""
    backbone_digest: str
    """`sha256:` of the backbone's weights, so that an evaluation compares with the same start."""
    dimension: int
    """Number of components of a vector."""
    max_length: int
    """Tokens after which a text is cut."""
    layout: str
    train_documents: int
    data_digest: str
    """Digest of the training documents folder."""
    options: dict[str, object]
    """The fine-tuning step's configuration, by the version that wrote the card."""
    history: tuple[LossPoint, ...]
    seconds: float
    """Wall time of the training loop in all its attempts, without the measuring on a validation set."""
    texts_per_second: float
    """Texts embedded in training per second of wall time."""
    versions: dict[str, str]
    """Versions of the libraries that produced the model."""
    parity_max_difference: float
    """Largest absolute difference of a vector component between the trained model and its reloaded folder."""
    backbone_version: str = ""
    """Which content of the backbone it was, as the first step of the run found it; '' where that was not known."""
    train_texts: CutTexts | None = None
    """What the model's length did to the training texts; None where the version that wrote the card did not count."""
    reading: IngestReport | None = None
    """How the training data were read, so that what is searched in is read in the same way; None where nobody said."""
    chosen: dict[str, str] = field(default_factory=dict)
    """Options of which the person left the choice to us, and a sentence on each."""
    remarks: tuple[str, ...] = ()
    """What a person should know of how the training went, a sentence each."""
    epoch: EpochFacts | None = None
    """What the first epoch was like; None where the version that wrote the card did not count."""
    validation: Validation | None = None
    """How good the model was after each epoch; None where nothing was held out to tell."""
    learned: dict[str, float] = field(default_factory=dict)
    """What the loss itself learned, where that is one number: of CLIPLoss `log_scale`, the logarithm of its factor."""
    servers: dict[str, str] = field(default_factory=dict)
    """Servers of embeddings: '' for one that can run the model, else why not; see `servers.servers_of`."""
    image: str = ""
    """Container image that the model was trained in, '' outside of one."""
    others: Mapping[str, object] = field(default_factory=dict)
    """Facts of another version of embedtune, which this one keeps and does not know. A field of a later version has a
    default: the cards of the versions before lack it."""

    def save(self, folder: Path) -> None:
        """Write `embedtune.json` and `training.json` into a model folder."""
        facts = dataclasses.asdict(self)
        training = {name: facts.pop(name) for name in sorted(_TRAINING_FIELDS)}
        card = {"format": CARD_FORMAT, "version": CARD_VERSION, **facts.pop("others"), **facts}
        _write(folder / CARD_FILE, card)
        _write(folder / TRAINING_FILE, {"format": TRAINING_FORMAT, "version": TRAINING_VERSION, **training})

    @classmethod
    def load(cls, folder: Path) -> "ModelCard":
        """Read what a model folder says of itself, written by this version or by another.

        Raises:
            ModelError: there is no card, or it is not one of ours.
        """
        read, card = f"{folder / CARD_FILE}", _read(folder, CARD_FILE, CARD_FORMAT, CARD_VERSION)
        if _TRAINING_FIELDS.isdisjoint(card):
            read += f" with {TRAINING_FILE}"
            training = _read(folder, TRAINING_FILE, TRAINING_FORMAT, TRAINING_VERSION)
            training.pop("version", None)  # that of the card is kept
            card = {**training, **card}
        try:
            return cls._of_json(card)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _unreadable(read, error) from error

    @classmethod
    def _of_json(cls, data: Mapping[str, Any]) -> "ModelCard":
        found = dict(data)
        known = {entry.name for entry in dataclasses.fields(cls)} - {"others"}
        facts = {name: found.pop(name) for name in known & found.keys()}
        facts["remarks"] = tuple(facts.get("remarks", ()))
        facts["history"] = tuple(known_part(LossPoint, point) for point in facts["history"])
        for name, kind in (("train_texts", CutTexts), ("epoch", EpochFacts)):
            if facts.get(name) is not None:
                facts[name] = known_part(kind, facts[name])
        if facts.get("validation") is not None:
            facts["validation"] = Validation.of_json(facts["validation"])
        if facts.get("reading") is not None:
            facts["reading"] = IngestReport.of_json(facts["reading"])
        return cls(**facts, others=found)


def trained_layout(folder: Path) -> str:
    """Return the layout of the data that a model was trained on, which is all that using it needs of its card.

    How it was trained is not read, so a model works where that is lost.

    Raises:
        ModelError: there is no card, or it is not one of ours.
    """
    layout = _read(folder, CARD_FILE, CARD_FORMAT, CARD_VERSION).get("layout")
    if not isinstance(layout, str):
        raise _unreadable(folder / CARD_FILE, "it names no layout")
    return layout


def _write(path: Path, facts: Mapping[str, object]) -> None:
    path.write_text(json.dumps(facts, indent=2, ensure_ascii=False), encoding="utf-8")


def _read(folder: Path, name: str, expected: str, version: int) -> dict[str, Any]:
    """Return the facts of one file without what it calls itself, where that is known here.

    Raises:
        ModelError: there is no such file, or it is not one of ours.
    """
    path = folder / name
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(
            f"{folder} holds no {name}, so it is not a model that embedtune fine-tuned, or not all of it. "
            "Give the 'model' output of the fine-tuning step."
        ) from error
    except ValueError as error:
        raise _unreadable(path, error) from error
    if not isinstance(facts, dict):
        raise _unreadable(path, "it is no JSON object")
    form = facts.pop("format", expected)
    if form != expected:
        raise _unreadable(path, f"its format is {form!r}, not {expected!r}")
    if facts.get("version") == version:
        del facts["version"]
    return facts


def _unreadable(what: object, why: object) -> ModelError:
    return ModelError(f"{what} cannot be read ({why}). Fine-tune again.")


def known_part(kind: type[Any], facts: Mapping[str, object]) -> Any:
    """Return a part of a file without what only a later version knows."""
    names = {entry.name for entry in dataclasses.fields(kind)}
    return kind(**{name: facts[name] for name in names & facts.keys()})
