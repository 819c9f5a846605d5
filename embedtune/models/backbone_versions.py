"""Which version of a backbone there is now, and whether it can be had at all. Imports no torch.

The first step of a run asks this, so that everything after it is cached on the answer. On one machine it sees what the
training will see. On a cluster its image cannot train, and lacks what the training's image may hold (folders, packages,
a cache of the hub): there, what cannot be seen is said and left to the training, which looks again.
"""

import json
import re
from importlib.util import find_spec
from pathlib import Path

from embedtune.errors import ModelError
from embedtune.models.backbones import (
    ACCEPTED,
    WITHOUT_NETWORK,
    Backbone,
    Place,
    content_version,
    hint,
    hub_version,
    is_packaged,
    resolve_backbone,
    what_lacks,
)
from embedtune.models.card import CARD_FILE
from embedtune.models.catalogue import KnownModel, known_model
from embedtune.models.hub import HubError, HubRefusedError, cached_snapshot, find_model
from embedtune.models.registered import look_up, registered_version
from embedtune.progress import note

_IDENTIFIER = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9][\w.-]{0,95}", re.ASCII)

_CHAIN = "so this run is the next link of a chain. A run that replaces its own backbone trains anew each time."


def trains_here() -> bool:
    """Tell whether this environment can train; if not, the training runs in another image, which has other files."""
    return find_spec("sentence_transformers") is not None


def backbone_version(name: str) -> str:
    """Return the version of a backbone; it changes whenever the model's content does.

    Args:
        name: See `backbones.resolve_backbone`.

    Returns:
        `sha256:<hex>` of a folder, a package's folder or an object prefix; `hub:<id>@<commit>` of a model on the hub;
        `registered:<name>/<version>@<milliseconds>` of a version in MLflow and when it was registered; `made:<name>`
        of one that is made here; '' where this step cannot know, which it says.

    Raises:
        ModelError: there is no such backbone, or it holds no weights that are loaded.
        StorageError: it cannot be read.
        RegistryError: it cannot be had from MLflow.
    """
    backbone = resolve_backbone(name)
    if backbone.place is Place.REGISTERED:
        return _version_in_registry(name)
    path = Path(backbone.location)
    _tell_what_is_known(backbone)
    if backbone.place in (Place.PREFIX, Place.MADE) or path.is_dir():
        version = content_version(backbone)
        if (path / CARD_FILE).is_file():
            note(f"Backbone {name!r} was itself fine-tuned by embedtune, {_CHAIN}")
        elif path.is_dir():
            _tell_of_lacking_prompts(name, path)
        return version
    if path.is_file():
        raise ModelError(f"Backbone {name!r} is a file. {ACCEPTED}")
    if backbone.place is Place.HUB and _is_identifier(backbone.location):
        return _version_on_hub(backbone)
    if trains_here():
        raise ModelError(
            f"Backbone {name!r} is no folder here, and no Hugging Face id. Check the path.{hint(name)} {ACCEPTED}"
        )
    note(
        f"Backbone {name!r} cannot be seen from this step; the training looks for it in its own image, and a change of "
        "its content does not make a run train again. Give an s3:// address for both."
    )
    return ""


def _version_in_registry(uri: str) -> str:
    """Return the version that an address in MLflow means now, and tell which that is."""
    found, names = look_up(uri)
    lack = what_lacks(names)
    if lack:
        raise ModelError(f"Backbone {uri!r}: {found.uri} {lack}")
    which = "" if uri == found.uri else f"is version {found.version} now; it "
    note(f"Backbone {uri!r} {which}was itself fine-tuned by embedtune, {_CHAIN}")
    return registered_version(found)


def _is_identifier(name: str) -> bool:
    return _IDENTIFIER.fullmatch(name) is not None and not any(part in name for part in ("--", "..", ".git"))


def _tell_what_is_known(backbone: Backbone) -> None:
    """Say which model a short name stands for, and which prompts it is given."""
    known = known_model(backbone.name)
    if known is None or Path(backbone.name).is_dir():
        return
    if known.model and backbone.name != known.model:
        note(f"{backbone.name} stands for {known.model}.")
    if _prompts(known):
        note(f"{known.model} is given {_prompts(known)}, unless it or the model options name other prompts.")


def _prompts(known: KnownModel) -> str:
    prompts = {"query": known.query_prompt, "document": known.document_prompt}
    return " and ".join(f"{prompt!r} before a {role}" for role, prompt in prompts.items() if prompt)


def _tell_of_lacking_prompts(name: str, folder: Path) -> None:
    """Say of a copy of a known model that it names no prompts; whether it is that model, only its owner knows."""
    known = known_model(folder.name)
    config = folder / "config_sentence_transformers.json"
    if known is None or not _prompts(known):
        return
    try:
        prompts = json.loads(config.read_text(encoding="utf-8")).get("prompts") if config.is_file() else None
    except (ValueError, AttributeError):
        return  # loading it says what is wrong
    if not prompts or not any(prompts.values()):
        note(
            f"Backbone {name!r} names no prompts. If it is {known.model}, as its name says, it wants "
            f"{_prompts(known)}: set query_prompt and document_prompt in the model options."
        )


def _version_on_hub(backbone: Backbone) -> str:
    name, identifier = backbone.name, backbone.location
    candidates = (identifier,) if "/" in identifier else (f"sentence-transformers/{identifier}", identifier)
    try:
        identifier, commit = find_model(candidates)
    except ModelError as error:
        raise ModelError(f"{error}{hint(name)}") from error
    except HubError as error:
        found = next(filter(None, map(cached_snapshot, candidates)), None)
        if found is None:
            return _unknown(backbone, error)
        identifier, folder = found
        commit = folder.name
        lack = what_lacks(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
        if lack:
            raise ModelError(f"Backbone {name!r}: its copy in the cache of the hub, {folder}, {lack}") from error
        if error.reason:
            note(f"Backbone {name!r}: the copy of commit {commit} in the cache of the hub is used, for {error.reason}.")
    return hub_version(identifier, commit)


def _unknown(backbone: Backbone, error: HubError) -> str:
    """Refuse a backbone that the training could not load either, or say what is not known of it."""
    refused = isinstance(error, HubRefusedError)
    if (refused and not is_packaged(backbone.location)) or trains_here():
        raise ModelError(
            f"Backbone {backbone.name!r} is no folder here, and cannot be had from the Hugging Face hub: {error}"
            f"{hint(backbone.name)} {ACCEPTED if refused else WITHOUT_NETWORK}"
        ) from error
    note(
        f"Backbone {backbone.name!r}: its present version is not known to this step, so a change of it does not "
        f"make a run train again: {error}"
    )
    return ""
