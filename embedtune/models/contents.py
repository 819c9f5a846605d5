"""Contents by position, decoded when they are asked for. Imports no torch.

A split of a folder of documents is copied shard by shard into one arrow file that the system maps into memory: however
many images there are, only those of the batch at hand are decoded.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.schema import ContentColumns, Split
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.errors import InputError
from embedtune.records.layouts import Modality
from embedtune.records.rows import POINT_DTYPE

if TYPE_CHECKING:
    from PIL import Image

Indices = npt.NDArray[np.int64]

Content: TypeAlias = Union[dict[str, Any], "Image.Image"]
"""What sentence-transformers takes as one input: an image, `{"text": str}` or `{"points": float32 (n, 3)}`.

A text is marked as one, because a model that reads images would open a bare string that is the path of one.
"""

READ_AS = {Modality.TEXT: "text", Modality.IMAGE: "image", Modality.MESH: "points"}
"""What sentence-transformers calls each kind of contents."""


class Contents(Sequence[Content]):
    """N contents of one or more columns, one column's after the other's."""

    def __init__(self, columns: Sequence[tuple[Modality, pa.ChunkedArray]]) -> None:
        """Join columns.

        Args:
            columns: Modality and values of each: texts as strings, images as the bytes of a file, meshes as those of
                an array of points.
        """
        self._columns = [(modality, values) for modality, values in columns if len(values) > 0 or len(columns) == 1]
        self._ends = np.cumsum([len(values) for _, values in self._columns])

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> "Contents":
        """Return texts as contents."""
        return cls([(Modality.TEXT, pa.chunked_array([pa.array(texts, pa.large_string())]))])

    def __len__(self) -> int:
        """Return N."""
        return int(self._ends[-1]) if len(self._ends) else 0

    @overload
    def __getitem__(self, position: int) -> Content: ...

    @overload
    def __getitem__(self, position: slice) -> "list[Content]": ...

    def __getitem__(self, position: int | slice) -> Content | list[Content]:
        """Decode the content at a position, or those of a slice."""
        if isinstance(position, slice):
            return [self[each] for each in range(*position.indices(len(self)))]
        modality, value = self._value(int(position))
        return decode(modality, value)

    @property
    def are_texts(self) -> bool:
        """Whether all contents are texts."""
        return all(modality is Modality.TEXT for modality, _ in self._columns)

    @property
    def unit(self) -> str:
        """What the contents are called, in the plural."""
        kinds = self.kinds
        return next(iter(kinds)).plural if len(kinds) == 1 else "contents"

    @property
    def kinds(self) -> frozenset[Modality]:
        """What the contents are."""
        return frozenset(modality for modality, _ in self._columns)

    def sizes(self) -> Indices:
        """Return how long each content is as it is stored, in characters or bytes (N,), without reading it."""
        lengths = {Modality.TEXT: pc.utf8_length}
        columns = [lengths.get(modality, pc.binary_length)(values).to_numpy() for modality, values in self._columns]
        return np.concatenate([np.empty(0, np.int64), *columns]).astype(np.int64)

    def text(self, position: int) -> str:
        """Return the text at a position; '' for a content of another kind."""
        modality, value = self._value(position)
        return value if modality is Modality.TEXT and isinstance(value, str) else ""

    def texts(self) -> list[str]:
        """Return all that are texts, in order."""
        return [text for modality, values in self._columns if modality is Modality.TEXT for text in values.to_pylist()]

    def all_stored(self) -> Iterator[str | bytes]:
        """Yield all contents as they are stored, in order, without having them in memory all at once."""
        for _, values in self._columns:
            for chunk in values.chunks:
                yield from chunk.to_pylist()

    def stored(self, position: int) -> str | bytes:
        """Return the content as it is stored: a text, or the bytes of an image or of points."""
        return self._value(position)[1]

    def select(self, rows: Indices) -> "Contents":
        """Keep only these, ascending (n,), of contents of one column; they stay where they are."""
        ((modality, values),) = self._columns
        return Contents([(modality, rows_of(values, rows))])

    def _value(self, position: int) -> tuple[Modality, str | bytes]:
        if not 0 <= position < len(self):
            raise IndexError(position)
        column = int(np.searchsorted(self._ends, position, side="right"))
        modality, values = self._columns[column]
        start = int(self._ends[column - 1]) if column else 0
        return modality, values[position - start].as_py()


def decode(modality: Modality, value: str | bytes) -> Content:
    """Turn a stored content into what a model reads.

    Raises:
        InputError: the bytes are no image or no points.
    """
    if isinstance(value, str):
        return {"text": value}
    if modality is Modality.MESH:
        return {"points": np.frombuffer(value, POINT_DTYPE).reshape(-1, 3).astype(np.float32, copy=False)}
    from PIL import Image  # the contents of most runs are texts

    try:
        with Image.open(io.BytesIO(value)) as image:
            return image.convert("RGB")
    except OSError as error:
        raise InputError("A stored image cannot be decoded. Run the ingest step again.") from error


def spool_split(folder: BuiltFolder, split: Split, scratch: Path) -> pa.Table:
    """Copy a split, shard by shard, into one arrow file and map it into memory.

    Args:
        folder: Folder of documents.
        split: The split.
        scratch: Folder for the file, which must outlive the table.

    Returns:
        The columns of `SplitColumns.schema` (N,).

    Raises:
        StorageError: a shard is missing, damaged, or not what the manifest says.
    """
    path = scratch / f"{split.value}.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, folder.columns(split).schema) as writer:
        for table in folder.tables(split):
            writer.write_table(table)
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def column_of(table: pa.Table, content: ContentColumns) -> tuple[Modality, pa.ChunkedArray]:
    """Return a content's modality and values.

    Raises:
        InputError: only the addresses of the contents are there.
    """
    if not content.loaded:
        raise InputError(
            f"The documents hold only the addresses of their {content.modality.value} contents, not the contents. Read "
            "the data again with convert_to_blob (images) or create_point_clouds (meshes) set to true."
        )
    return content.modality, table[content.column]


def rows_of(values: pa.ChunkedArray, rows: Indices) -> pa.ChunkedArray:
    """Return the values of ascending rows as slices, which stay on disk where the column is; `take` would copy them."""
    runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1) if rows.size else []
    slices = [chunk for run in runs for chunk in values.slice(run[0], len(run)).chunks]
    return pa.chunked_array(slices, values.type)
