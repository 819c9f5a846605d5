import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedtune.errors import InputError, StorageError
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat, iter_rows, open_rows, read_format, read_rows

TEXT, IMAGE, MESH = Modality.TEXT, Modality.IMAGE, Modality.MESH
TEXT_PAIRS = RowsFormat(Layout.PAIRS, (TEXT, TEXT))


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.parquet"
    with open_rows(path, TEXT_PAIRS) as writer:
        writer.write([[1, 2, 4], ["a", "b", "c"], ["x", "y", "z"]])
        writer.write([(9,), ("d",), ("ü",)])
        assert writer.count == 4
    return path


def test_whole_table(rows):
    rows_format, table = read_rows(rows)
    assert rows_format == read_format(rows) == TEXT_PAIRS
    assert table.schema.names == ["line", "query", "document"]
    assert [str(field.type) for field in table.schema] == ["int64", "string", "string"]
    assert table.to_pydict() == {"line": [1, 2, 4, 9], "query": list("abcd"), "document": ["x", "y", "z", "ü"]}
    assert pq.ParquetFile(rows).metadata.row_group(0).column(1).compression == "ZSTD"


def test_what_is_no_rows_file(tmp_path, rows):
    with pytest.raises(StorageError, match="does not exist"):
        read_rows(tmp_path / "none")
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(InputError, match="not one of validated rows"):
        read_rows(other)
    rows.write_bytes(rows.read_bytes()[:-10])
    with pytest.raises(StorageError, match="damaged"):
        read_rows(rows)


def test_columns_and_batches(rows):
    assert read_rows(rows, ["line"])[1].schema.names == ["line"]
    assert [batch.num_rows for batch in iter_rows(rows, ["query"], batch_rows=3)] == [3, 1]


@pytest.mark.parametrize(
    ("rows_format", "names"),
    [
        (RowsFormat(Layout.LABELLED, (IMAGE,), loaded=False), ["line", "content", "label"]),
        (
            RowsFormat(Layout.LABELLED, (MESH,), several_sources=True),
            ["line", "source", "content", "content_digest", "content_uri", "label"],
        ),
        (RowsFormat(Layout.TEXT_IMAGE, (TEXT, IMAGE)), ["line", "text", "image", "image_digest", "image_uri"]),
        (RowsFormat(Layout.SCORED, (TEXT, TEXT)), ["line", "first", "second", "score"]),
        (RowsFormat(Layout.MATCHES, (TEXT, TEXT)), ["line", "query", "document", "relevance"]),
        (RowsFormat(Layout.BEIR, (TEXT, TEXT)), ["line", "query", "document", "relevance", "split"]),
        (RowsFormat(Layout.PLAIN, (TEXT,)), ["line", "text"]),
    ],
)
def test_every_format_is_read_back(rows_format, names, tmp_path):
    assert rows_format.schema.names == names
    with open_rows(tmp_path / "rows", rows_format):
        pass
    assert read_format(tmp_path / "rows") == rows_format
