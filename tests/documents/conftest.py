"""Rows files and builds for the tests of this folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from embedtune.documents.build import BuildOptions, build_documents
from embedtune.documents.schema import Split
from embedtune.documents.shards import read_relevance, read_table
from embedtune.documents.summary import DataSummary
from embedtune.records.layouts import Layout
from embedtune.records.rows import open_rows

Row = tuple[str, str]
WriteRows = Callable[[Path, Layout, list[Row]], Path]


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
        return read_table(self.train if split is Split.TRAIN else self.evaluation, split).to_pylist()

    def texts(self, split: Split) -> set[str]:
        return {row["text"] for row in self.rows(split)}

    def held_out(self) -> set[str]:
        return self.texts(Split.QUERY) | self.texts(Split.INDEX)

    def pairs(self, folder: Path) -> set[Row]:
        text = {row["id"]: row["text"] for split in Split for row in self.rows(split)}
        relevance = read_relevance(folder)
        assert relevance is not None
        return {(text[row["query_id"]], text[row["document_id"]]) for row in relevance.to_pylist()}


Build = Callable[[Layout, list[Row], BuildOptions], Built]


@pytest.fixture(scope="session")
def write_rows() -> WriteRows:
    def write(path: Path, layout: Layout, rows: list[Row]) -> Path:
        with open_rows(path, layout) as file:
            first, second = ([row[column] for row in rows] for column in (0, 1))
            file.write(list(range(2, len(rows) + 2)), first, second)
        return path

    return write


@pytest.fixture(scope="session")
def build(write_rows: WriteRows) -> Iterator[Build]:
    """Build in a fresh folder; usable in hypothesis tests since nothing is shared between calls."""
    with TemporaryDirectory() as root:
        count = 0

        def run(layout: Layout, rows: list[Row], options: BuildOptions) -> Built:
            nonlocal count
            count += 1
            folder = Path(root) / str(count)
            folder.mkdir()
            source = write_rows(folder / "rows.parquet", layout, rows)
            outputs = (folder / "train", folder / "evaluation", folder / "quarantine.csv")
            return Built(folder, build_documents(source, *outputs, options))

        yield run
