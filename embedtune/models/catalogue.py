"""Known models: what they are for, what they want, and which of them can be loaded here. Imports no torch.

`catalogue.json` beside this file has the facts, as the models' pages on the Hugging Face hub state them; what is not
known for certain is left out. Names are those of Jina Finetuner 0.8.1 (https://github.com/jina-ai/finetuner,
`describe_models`), or the ends of ids on the hub.
"""

import difflib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from embedtune.errors import ConfigError
from embedtune.records.csv.options import Task

TASKS = tuple(task.value for task in Task if task is not Task.AUTO)
"""What models are searched for."""

POINT_MODEL = "pointnet-base"
"""The one model that is made here, with weights that are drawn from a fixed seed."""

_LIKENESS = 0.6
"""Of difflib, from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class KnownModel:
    """A model that somebody may want to start from."""

    name: str
    """As a backbone is called in short; its id and the end of that are taken too."""
    model: str = ""
    """Its id on the Hugging Face hub; '' for what is made here, or was Finetuner's alone."""
    task: Task
    """What is searched with what."""
    dimension: int | None = None
    """Components of a vector."""
    max_length: int | None = None
    """Most tokens that it reads of a text; None where it reads no texts."""
    pooling: str = ""
    """How tokens or patches become one vector: cls, mean, or own, where the model itself gives one."""
    millions: float | None = None
    """Parameters of what is loaded, in millions."""
    licence: str = ""
    """'' where the model's page states none."""
    query_prompt: str = ""
    """What it wants before a query."""
    document_prompt: str = ""
    """What it wants before a document."""
    purpose: str
    """What it is for."""
    refusal: str = ""
    """Why it is not loaded, as the end of a sentence that begins with the model; '' where nothing is known against it:
    safetensors weights and no code of its own."""
    instead: tuple[str, ...] = ()
    """Names of what to use in its place."""


@cache
def catalogue() -> tuple[KnownModel, ...]:
    """Return all known models, today's choices first."""
    entries = json.loads(files(__package__).joinpath("catalogue.json").read_text(encoding="utf-8"))
    return tuple(
        KnownModel(**{**entry, "task": Task(entry["task"]), "instead": tuple(entry.get("instead", ()))})
        for entry in entries
    )


def list_models(task: str = "") -> list[str]:
    """Return the names of the known models that can be loaded.

    Args:
        task: Those of one task, such as text-to-text; '' takes all.

    Raises:
        ConfigError: there is no such task.
    """
    return [known.name for known in models_of(task) if not known.refusal]


def models_of(task: str) -> tuple[KnownModel, ...]:
    """Return the known models of a task, all for ''; those that cannot be loaded too.

    Raises:
        ConfigError: there is no such task.
    """
    if task and task not in TASKS:
        raise ConfigError(f"task is {task!r}; accepted: {', '.join(TASKS)}, or '' for all.")
    return tuple(known for known in catalogue() if task in ("", known.task))


def known_model(name: str) -> KnownModel | None:
    """Return what is known under a name, in any case.

    Args:
        name: A short name, an id, or the end of one, such as resnet-base, microsoft/resnet-50 or resnet-50.
    """
    return _by_name().get(name.casefold())


def similar_models(name: str) -> list[str]:
    """Return names of known models that somebody may have meant who wrote one that is none of them."""
    known = _by_name()
    word = name.casefold()
    found = [one for one in known if "/" not in one and one.startswith(word)]
    found += difflib.get_close_matches(word, known, 3, _LIKENESS)
    return list(dict.fromkeys(known[one].name for one in found if not known[one].refusal))[:3]


def why_refused(known: KnownModel) -> str:
    """Return a sentence on a model that is not loaded, and what to use instead."""
    what = f"{known.name} stands for {known.model}, which" if known.model else f"{known.name}"
    return f"{what} {known.refusal}. Use {' or '.join(known.instead)} instead."


@cache
def _by_name() -> dict[str, KnownModel]:
    names: dict[str, KnownModel] = {}
    for entry in catalogue():
        for name in (entry.name, entry.model, entry.model.rpartition("/")[2]):
            if name:
                names.setdefault(name.casefold(), entry)
    return names
