"""What embedtune reads of files that it made, now or long ago."""

import json
from pathlib import Path

from docarray import DocumentArray

from embedtune import pull
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder, read_manifest
from embedtune.documents.summary import SUMMARY_FILE, DataSummary, load_reading, save_reading
from embedtune.retrieval.held_out import read_held_out
from embedtune.steps.sources import data_version
from embedtune.training.checkpoints import CheckpointStore, training_digest
from embedtune.training.examples import TrainingSet
from tests.files_of_today import making
from tests.files_of_today.facts import digest, facts_of, table_digest

WHAT_IS_KEPT = (
    *(f"{name}/{part}" for name in ("labelled", "pairs", "text-image") for part in ("train", "evaluation")),
    *(f"{name}/{making.ROWS}" for name in ("labelled", "text-image", "sharded/read-0", "sharded/read-1")),
    "sharded/plan",
    "datasets/ada/rows",
    "datasets/ada/built",
    "checkpoints",
)
"""Files and folders of today that stay in the repository, below `kept`."""


def read_facts(folder: Path, scratch: Path) -> dict[str, str]:
    """Return digests of what is read of the files that are kept.

    Args:
        folder: Files of `making.make_files`, or those of them that are kept.
        scratch: An empty folder.
    """
    found = {}
    for name in ("labelled", "pairs", "text-image"):
        found |= _documents_facts(folder / name, scratch / name)
    return found | _dataset_facts(folder, scratch) | _checkpoint_facts(folder, scratch)


def rebuild(folder: Path, scratch: Path) -> None:
    """Build Documents of the rows and the plan that are kept, in the folders in which `making.make_files` does.

    Args:
        folder: Where these files are.
        scratch: An empty folder.
    """
    for name in ("labelled", "text-image"):
        making.build(folder / name / making.ROWS, scratch / name, {})
    sharded = folder / making.SHARDED
    rows = [sharded / f"read-{number}" / making.ROWS for number in range(2)]
    making.build_parts(rows, sharded / making.PLAN, scratch / making.SHARDED)


def _documents_facts(folder: Path, scratch: Path) -> dict[str, str]:
    name, train, evaluation = folder.name, folder / making.TRAIN, folder / making.EVALUATION
    scratch.mkdir()
    sides = ((train, Split.TRAIN), (evaluation, Split.QUERY), (evaluation, Split.INDEX))
    found = {f"{name}: {split}": table_digest(BuiltFolder.open(part).table(split)) for part, split in sides}
    for part in (train, evaluation):
        relevance = BuiltFolder.open(part).relevance()
        found[f"{name}: judged pairs of {part.name}"] = "" if relevance is None else table_digest(relevance)
    DataSummary.load(evaluation / SUMMARY_FILE).save(scratch / SUMMARY_FILE)
    save_reading(scratch, load_reading(train))
    found |= {f"{name}: {file} written again": value for file, value in facts_of(scratch).items()}
    found[f"{name}: evaluation digest"] = read_held_out(evaluation, scratch).documents.digest()
    examples = TrainingSet.read(train, scratch)
    numbers = (examples.labels, examples.pairs, examples.gains, examples.negatives, examples.scores)
    arrays = [None if each is None else [str(each.dtype), each.tolist()] for each in numbers]
    return {**found, f"{name}: training set": digest(json.dumps(arrays).encode())}


def kept_digests(folder: Path) -> dict[str, str]:
    """Return the digests by which checkpoints and held-out data are known; compression has a say in them."""
    parts = [f"{name}/{part}" for name in ("labelled", "pairs") for part in (making.TRAIN, making.EVALUATION)]
    return {part: read_manifest(folder / part).digest for part in parts}


def _dataset_facts(folder: Path, scratch: Path) -> dict[str, str]:
    making.use_datasets(folder / making.DATASETS)
    found = {}
    for name in ("rows", "built"):
        uri = f"dataset://ada/{name}"
        found[f"{uri}: version"] = data_version(uri)
        found[f"{uri}: pulled"] = _array_digest(pull(uri))
        making.read(uri, scratch / f"rows of {name}", {}, data_version(uri))
        found |= {f"{uri}: {file}": value for file, value in facts_of(scratch / f"rows of {name}").items()}
    return found


def _array_digest(array: DocumentArray) -> str:
    return digest(b"".join(document.to_protobuf().SerializeToString(deterministic=True) for document in array))


def _checkpoint_facts(folder: Path, scratch: Path) -> dict[str, str]:
    address = training_digest(making.SETTINGS)
    restored = CheckpointStore(str(folder / making.CHECKPOINTS), address, scratch / "checkpoint").restore()
    assert restored is not None
    return {"checkpoint": address} | {f"checkpoint: {name}": value for name, value in facts_of(restored).items()}
