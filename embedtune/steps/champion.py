"""The registered version that is champion: which one there is now, and what it makes of today's held-out data."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from embedtune.errors import ConfigError, InputError, ModelError, RegistryError, StorageError
from embedtune.importing import importing
from embedtune.mlflow.connection import connect_to_read
from embedtune.mlflow.failures import GoneError
from embedtune.mlflow.patience import patiently
from embedtune.mlflow.versions import SCHEME, find_version
from embedtune.models.contents import Contents
from embedtune.models.registered import RegisteredName, fetched, registered_version
from embedtune.progress import note
from embedtune.registry.champion import CHAMPION as CHAMPION_ALIAS
from embedtune.retrieval.gate import Incumbent
from embedtune.retrieval.held_out import HeldOut
from embedtune.retrieval.options import EvalOptions
from embedtune.retrieval.sides import CHAMPION
from embedtune.retrieval.vectors import check_vectors

if TYPE_CHECKING:
    from embedtune.models.comparing import Encoded

_UNAVAILABLE = (ConfigError, InputError, ModelError, RegistryError, StorageError)
_BROKEN = (RuntimeError, ValueError, TypeError, KeyError, IndexError)
"""What torch, transformers and sentence-transformers raise where a model's parts do not belong together."""


@dataclass(frozen=True, eq=False)
class Champion:
    """A champion, scored or not."""

    incumbent: Incumbent
    model: str = ""
    """What people call it."""
    encoded: "Encoded | None" = None
    """What it made of the held-out data, None where it could not be had."""


def champion_now(name: str) -> str:
    """Return the version of a registered model that is champion now, '' where there is none or that cannot be known.

    Which of the two it is, is told. Without the champion nothing is promoted that a champion could be better than: the
    registration compares the champion that was scored with that of its own moment.

    Args:
        name: Of the registered model.
    """
    try:
        found = find_version(connect_to_read(), f"{SCHEME}{name}@{CHAMPION_ALIAS}")
    except GoneError:
        note(f"{name} has no champion yet, so the tuned model is compared with the base alone.")
        return ""
    except RegistryError as error:
        note(
            f"Whether {name} has a champion cannot be found out, so the tuned model is compared with the base alone, "
            f"and replaces no champion. {error}"
        )
        return ""
    note(f"Champion of {name} is version {found.version}; it is scored on the same held-out data.")
    return registered_version(found)


def score_champion(
    version: str,
    held_out: HeldOut,
    options: EvalOptions,
    further: Mapping[str, tuple[Contents, Contents]] = MappingProxyType({}),
) -> Champion:
    """Encode queries and index with the champion; what keeps it from that is told, and no failure.

    Args:
        version: What `champion_now` returned.
        held_out: What it is judged on.
        options: How it is compared.
        further: Queries and index of further data that it encodes as well, by name.
    """
    if not version:
        return Champion(Incumbent())
    wanted = RegisteredName.parse(version)
    model, number = f"{wanted.name}, version {wanted.version}", str(wanted.version)
    try:
        return Champion(Incumbent(number), model, _encode(wanted.uri, version, held_out, options, further))
    except _UNAVAILABLE as error:
        obstacle = str(error)
    except _BROKEN as error:
        obstacle = f"Its folder was loaded, but cannot encode: {error!r}."
    note(f"The champion, version {number}, could not be scored. {obstacle}")
    return Champion(Incumbent(number, obstacle), model)


def _encode(
    uri: str,
    version: str,
    held_out: HeldOut,
    options: EvalOptions,
    further: Mapping[str, tuple[Contents, Contents]],
) -> "Encoded":
    with importing("sentence_transformers"):
        from embedtune.models.comparing import ModelToEncode, encode_all

    with ExitStack() as stack:
        folder = _fetch(stack, uri, version)
        try:
            models = {CHAMPION: ModelToEncode.tuned(folder)}
            encoded = encode_all(models, held_out.queries, held_out.index, options.batch_size, further)[CHAMPION]
        except ModelError as error:
            raise ModelError(str(error).replace(str(folder), uri)) from error
    check_vectors(encoded.queries, held_out.documents.query_ids, f"{CHAMPION} query")
    check_vectors(encoded.index, held_out.documents.index_ids, f"{CHAMPION} index")
    for name, found in encoded.further.items():
        for part, vectors in (("query", found.queries), ("index", found.index)):
            check_vectors(vectors, [str(row) for row in range(len(vectors))], f"{CHAMPION} {part} of {name}")
    options.distance_of(uri, encoded.similarity)  # refuses one by which nothing is ranked
    return encoded


def _fetch(stack: ExitStack, uri: str, version: str) -> Path:
    """Fetch a version until the stack is closed; else the cache would keep that the champion was not scored."""
    return patiently(uri, lambda: stack.enter_context(fetched(uri, version)))
