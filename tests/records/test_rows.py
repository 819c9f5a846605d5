import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedtune.errors import InputError, StorageError
from embedtune.records.layouts import Layout
from embedtune.records.rows import open_rows, read_rows


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.parquet"
    with open_rows(path, Layout.PAIRS) as writer:
        writer.write([1, 2, 4], ["a", "b", "c"], ["x", "y", "z"])
        writer.write([9], ["d"], ["ü"])
        assert writer.count == 4
    return path


def test_whole_table(rows):
    layout, table = read_rows(rows)
    assert layout is Layout.PAIRS
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
