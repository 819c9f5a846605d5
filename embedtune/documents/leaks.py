"""Contents that are both in a training and in an evaluation folder."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from embedtune.documents.distinct_contents import content_key
from embedtune.documents.schema import Split, SplitColumns
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.records.layouts import Modality

_KEY_BYTES = 16


def count_leaks(train: Path, evaluation: Path) -> tuple[int, int]:
    """Look for the contents of an evaluation folder in a training folder.

    Texts are the same up to case, Unicode form and white space, other contents if all of their bytes are.

    Args:
        train: Folder of training documents.
        evaluation: Folder with queries and index.

    Returns:
        How many different contents the evaluation has, and how many of them the training folder has too.

    Raises:
        StorageError: a folder is not complete, or a shard is damaged or out of reach.
    """
    held_out = _keys(evaluation, (Split.QUERY, Split.INDEX))
    return len(held_out), len(held_out & _keys(train, (Split.TRAIN, Split.CORPUS)))


def _keys(folder: Path, splits: tuple[Split, ...]) -> set[bytes]:
    built = BuiltFolder.open(folder)
    return {key for split in splits for table in built.tables(split) for key in _keys_of(table, built.columns(split))}


def _keys_of(table: pa.Table, form: SplitColumns) -> Iterator[bytes]:
    for content in form.contents:
        if content.modality is Modality.TEXT:
            for text in table[content.column].to_pylist():
                yield hashlib.blake2b(content_key(text).encode(), digest_size=_KEY_BYTES).digest()
        else:
            # The id of a content that is no text is the first half of its SHA-256.
            for identifier in table[content.id_column].to_pylist():
                yield bytes.fromhex(identifier)
