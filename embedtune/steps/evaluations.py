"""Further data that somebody named in eval_options: their versions in the first step, their contents in the fifth."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import MANIFEST_NAME, Manifest, parse_manifest, read_file
from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.models.contents import Contents
from embedtune.progress import note
from embedtune.retrieval.comparison import Probe, SideTable
from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.held_out import read_held_out
from embedtune.retrieval.measuring import Contestant
from embedtune.retrieval.options import EvalOptions
from embedtune.retrieval.side_tables import FurtherData, measure
from embedtune.steps.evaluation_sources import hold_out_source
from embedtune.steps.sources import data_version, folder_address, open_source
from embedtune.storage.locations import Scheme, parse_location
from embedtune.storage.opening import list_files
from embedtune.text import shortened

if TYPE_CHECKING:
    from embedtune.models.comparing import Encoded, EncodedSet

_SHOWN = 200
_ACCEPTED = (
    "Give data as data_uri takes them, all of which is held out, or the 'evaluation' folder of a build-documents run, "
    "by its path, its address or the name of a dataset"
)


def evaluation_versions(options: EvalOptions) -> str:
    """Return the versions of the further data as `check_versions` accepts them, and refuse what cannot be measured on.

    What nobody built yet is read for that, but for the images and meshes that it names.

    Raises:
        InputError: a folder holds no queries or no index, or only the addresses of its contents.
        StorageError: there is no such folder or dataset, or it is out of reach.
    """
    versions = {}
    for name, address in options.addresses.items():
        is_source = _is_source(name, address)
        versions[name] = data_version(address)
        if is_source:
            with open_source(address, versions[name]) as source, TemporaryDirectory(prefix="embedtune-") as scratch:
                hold_out_source(name, address, source, Path(scratch), loads=False)
    return json.dumps(versions)


def check_versions(text: str) -> dict[str, str]:
    """Return the version of each of the further data by its name.

    Args:
        text: What `evaluation_versions` returned; '{}' or '' of none.

    Raises:
        ConfigError: it is something else.
    """
    try:
        found = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(version, str) for version in found.values()):
        raise ConfigError(
            f"evaluation_versions is {shortened(text, _SHOWN)!r}; accepted: a JSON object with the version of each of "
            "the evaluations by its name, as resolve-data prints it, or {}."
        )
    return found


@contextmanager
def open_evaluations(options: EvalOptions, versions: str, held_out: EvaluationSet) -> Iterator[tuple[FurtherData, ...]]:
    """Give the further data, checked before anything is encoded; their contents are gone afterwards.

    Args:
        options: What was asked for.
        versions: What `evaluation_versions` returned; of what it does not name, whatever is there now.
        held_out: What the comparison that decides is over.

    Raises:
        InputError: it holds contents of another kind than the held-out data, or nothing to find.
        StorageError: it is missing, out of reach, damaged, or has changed since its version was looked up.
    """
    pinned = check_versions(versions)
    with ExitStack() as stack:
        found = []
        for name, address in options.addresses.items():
            version = pinned.get(name, "")
            local = stack.enter_context(open_source(address, version))
            scratch = Path(stack.enter_context(TemporaryDirectory(prefix="embedtune-")))
            folder = local.root
            if _is_source(name, address, folder):
                folder = hold_out_source(name, address, local, scratch, loads=True)
            source = address.partition("?")[0]
            data = read_held_out(folder, scratch)
            found.append(FurtherData(name, f"{source}, version {version}" if version else source, data))
        for each in found:
            each.check_fits(held_out)
        if found:
            names = ", ".join(f"{each.contents:,} of {each.name}" for each in found)
            note(f"Beside the held-out data, each model encodes {names}.")
        yield tuple(found)


def _is_source(name: str, address: str, folder: Path | None = None) -> bool:
    """Tell whether the further data are yet to be built, and refuse built ones that cannot be measured on.

    Args:
        name: What they are called.
        address: Where they are.
        folder: Where their files are by now; None: there.
    """
    is_dataset = parse_location(address).scheme is Scheme.DATASET
    if folder is not None:
        is_built = (folder / MANIFEST_NAME).exists()
    else:
        is_built = is_dataset or MANIFEST_NAME in _names_at(name, address)
    if not is_built:
        return True
    manifest = _manifest_at(name, str(folder) if folder is not None else address, address)
    # A dataset that was pushed from a table holds all of it in the form of training documents.
    if is_dataset and {shard.split for shard in manifest.shards} == {Split.TRAIN}:
        return True
    _check_searchable(manifest, name, address)
    return False


def _names_at(name: str, address: str) -> set[str]:
    try:
        return {file.name for file in list_files(parse_location(address)).files}
    except StorageError as error:
        raise StorageError(f"Evaluation {name!r}: {error} {_ACCEPTED}.") from error


def _manifest_at(name: str, place: str, address: str) -> Manifest:
    """Read the manifest of the further data.

    Args:
        name: What they are called.
        place: Their folder, or any address of it.
        address: What to call the place.
    """
    path = f"{folder_address(place)}/{MANIFEST_NAME}"
    try:
        return parse_manifest(read_file(path), path)
    except StorageError as error:
        raise StorageError(
            f"Evaluation {name!r} at {address} cannot be read as a folder of documents: {error} {_ACCEPTED}."
        ) from error


def _check_searchable(manifest: Manifest, name: str, address: str) -> None:
    splits = {shard.split for shard in manifest.shards}
    if not {Split.QUERY, Split.INDEX} <= splits:
        held = " and ".join(sorted(split.value for split in splits)) or "nothing"
        raise InputError(
            f"Evaluation {name!r} at {address} holds {held}, and no queries with an index to search in. {_ACCEPTED}."
        )
    if not manifest.loaded:
        raise InputError(
            f"Evaluation {name!r} at {address} holds only the addresses of its contents. Build it with the contents: "
            "convert_to_blob (images) or create_point_clouds (meshes) set to true."
        )


def contents_of(further: Sequence[FurtherData]) -> dict[str, tuple[Contents, Contents]]:
    """Return the queries and the index of the further data, by name."""
    return {each.name: (each.data.queries, each.data.index) for each in further}


def measure_all(
    further: Sequence[FurtherData],
    encoded: "Mapping[str, Encoded]",
    names: Mapping[str, str],
    options: EvalOptions,
    metric: str,
    seed: int,
) -> tuple[SideTable, ...]:
    """Measure all sides on the further data.

    Args:
        further: The further data.
        encoded: What each side made of them.
        names: Name of a side -> what people call its model.
        options: What is measured.
        metric: Key of the metric that decides on the held-out data.
        seed: Seed of the bootstrap.
    """
    trained = {side: found.trained for side, found in encoded.items()}
    distances = {side: options.distance_of(names[side], found.similarity) for side, found in encoded.items()}
    tables = []
    for each in further:
        contestants = [
            Contestant(side, names[side], _vectors(found.further[each.name], distances[side]))
            for side, found in encoded.items()
        ]
        probe = Probe(metric, options.probe_drop) if each.name == options.probe else None
        tables.append(measure(each, contestants, trained, metrics=options.measured(metric), seed=seed, probe=probe))
    return tuple(tables)


def _vectors(found: "EncodedSet", distance: str) -> Vectors:
    return Vectors(found.queries, found.index, distance)
