"""Rows files and builds for the tests of this folder."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from embedtune.documents.build import BuildOptions, build_documents
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder, read_manifest
from embedtune.documents.summary import DataSummary
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat, open_rows

Row = tuple[str | float | None, ...]
WriteRows = Callable[..., Path]


@dataclass(frozen=True)
class Built:
    """A build's outputs, read back."""

    folder: Path
    summary: DataSummary

    @property
    def train(self) -> Path:
        return self.folder / "train"

    @property
    def evaluation(self) -> Path:
        return self.folder / "evaluation"

    @property
    def quarantine(self) -> Path:
        return self.folder / "quarantine.csv"

    def rows(self, split: Split) -> list[dict[str, str]]:
        in_train = split in (Split.TRAIN, Split.CORPUS)
        folder = self.train if in_train else self.evaluation
        if split not in {shard.split for shard in read_manifest(folder).shards}:
            return []
        return BuiltFolder.open(folder).table(split).to_pylist()

    def texts(self, split: Split) -> set[str]:
        """The texts, or the addresses of other contents."""
        return {text for row in self.rows(split) for text in _contents(row)}

    def held_out(self) -> set[str]:
        return self.texts(Split.QUERY) | self.texts(Split.INDEX)

    def gains(self, folder: Path) -> dict[tuple[str, str], float]:
        """Gain of each judged pair, by its two contents; each pair is there once."""
        text = {row["id"]: _contents(row)[0] for split in Split for row in self.rows(split)}
        relevance = BuiltFolder.open(folder).relevance()
        assert relevance is not None
        found = {(text[row["query_id"]], text[row["document_id"]]): row["relevance"] for row in relevance.to_pylist()}
        assert len(found) == len(relevance)
        return found

    def pairs(self, folder: Path) -> set[tuple[str, str]]:
        return set(self.gains(folder))


def _contents(row: dict[str, str]) -> list[str]:
    names = [("uri", "text")] if "first_id" not in row else [("first_uri", "first"), ("second_uri", "second")]
    return [row[name] if name in row else row[other] for name, other in names]


Build = Callable[..., Built]


def _content_columns(values: list[str | None], modality: Modality, loaded: bool) -> list[list[object]]:
    """The columns of contents that are made from names; names that differ after '#' only have the same content."""
    if modality is Modality.TEXT or not loaded:
        return [values]
    contents = []
    for value in values:
        digest = hashlib.sha256(value.partition("#")[0].encode()).digest()
        points = np.frombuffer(digest[:24], np.uint8).astype(np.float32).tobytes()
        contents.append(points if modality is Modality.MESH else b"\x89PNG\r\n\x1a\n" + digest)
    return [contents, [hashlib.sha256(content).hexdigest() for content in contents], values]


@pytest.fixture(scope="session")
def write_rows() -> WriteRows:
    """Write a rows file; the cells of a row are its contents and values in the order of the layout."""

    def write(
        path: Path,
        layout: Layout,
        rows: list[Row],
        modalities: tuple[Modality, ...] | None = None,
        loaded: bool = True,
        first_line: int = 2,
    ) -> Path:
        names = layout.contents
        rows_format = RowsFormat(layout, modalities or (Modality.TEXT,) * len(names), loaded)
        columns: list[list[object]] = [list(range(first_line, len(rows) + first_line))]
        for number, modality in enumerate(rows_format.modalities):
            columns += _content_columns([row[number] for row in rows], modality, loaded)
        values = len(rows_format.schema) - len(columns)
        columns += [[row[len(names) + number] for row in rows] for number in range(values)]
        with open_rows(path, rows_format) as file:
            if rows:
                file.write(columns)
        return path

    return write


@pytest.fixture(scope="session")
def build(write_rows: WriteRows) -> Iterator[Build]:
    """Build in a fresh folder; usable in hypothesis tests since nothing is shared between calls."""
    with TemporaryDirectory() as root:
        count = 0

        def run(layout: Layout, rows: list[Row], options: BuildOptions, *kind: object) -> Built:
            nonlocal count
            count += 1
            folder = Path(root) / str(count)
            folder.mkdir()
            source = write_rows(folder / "rows.parquet", layout, rows, *kind)
            outputs = (folder / "train", folder / "evaluation", folder / "quarantine.csv")
            return Built(folder, build_documents(source, *outputs, options))

        yield run
