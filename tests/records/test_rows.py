"""Rows in a file are what was written, with the report on how they were read; reports of several files become one."""

import dataclasses
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedtune.errors import InputError, StorageError
from embedtune.records.layouts import Layout, Modality
from embedtune.records.output import open_output
from embedtune.records.rows import (
    CSVFacts,
    IngestReport,
    RowsFormat,
    iter_rows,
    merge_reports,
    open_rows,
    read_format,
    read_report,
    read_rows,
)

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


FACTS = CSVFacts(
    dialect="excel-semicolon",
    delimiter=";",
    quoting=True,
    skip_blanks=False,
    typographic=False,
    encoding="cp1252",
    header=True,
    columns=("Größe", "Titel", "Klasse"),
    columns_used=("Titel", "Klasse"),
    detected=("layout", "modalities", "dialect", "header"),
)
REPORT = IngestReport(
    rows=2,
    bad_rows=1,
    layout=Layout.LABELLED,
    modalities=(Modality.TEXT,),
    sources=2,
    csv=FACTS,
    notes=("Line 7 repeats the header and was set aside.",),
    warnings=("Two labels look alike.",),
    files=(("a.csv", 1, 0), ("b.csv", 1, 1)),
    source="orders",
    version="sha256:00",
)


def as_json(report):
    return json.loads(json.dumps(dataclasses.asdict(report)))


def test_json_round_trip():
    assert IngestReport.of_json(as_json(REPORT)) == REPORT
    without = dataclasses.replace(REPORT, csv=None, read_as="BEIR folder")
    assert IngestReport.of_json(as_json(without)) == without


def test_reports_of_other_versions():
    later = {**as_json(REPORT), "version_of_it": 2, "csv": {**as_json(FACTS), "comments": "#"}}
    assert IngestReport.of_json(later) == REPORT
    earlier = {name: as_json(REPORT)[name] for name in ("rows", "bad_rows", "layout", "modalities")}
    assert IngestReport.of_json(earlier) == IngestReport(2, 1, "labelled", ("text",))


def test_a_rows_file_says_how_it_was_read(tmp_path, rows):
    rows_format, table = read_rows(rows)
    with open_output(tmp_path / "told", tmp_path / "bad.csv") as output:
        output.begin(rows_format)
        for row in table.to_pylist():
            output.add(tuple(row.values()), 1)
        output.tell(REPORT)
    assert read_report(tmp_path / "told") == REPORT
    assert read_rows(tmp_path / "told")[1] == table
    assert pq.ParquetFile(tmp_path / "told").metadata.row_group(0).column(1).compression == "ZSTD"


def test_a_rows_file_that_does_not_say(rows):
    assert read_report(rows) is None


def test_a_rows_file_that_says_nonsense(rows, tmp_path):
    table = pq.read_table(rows)
    table = table.replace_schema_metadata({**table.schema.metadata, b"embedtune.report": b"[1]"})
    pq.write_table(table, tmp_path / "broken")
    with pytest.raises(StorageError, match=r"does not say how its rows were read\. Run the ingest step again"):
        read_report(tmp_path / "broken")


def test_facts_in_one_line():
    assert REPORT.describe() == (
        "2 rows of 2 files, 1 set aside; layout labelled, detected; contents text, detected; dialect "
        "excel-semicolon (delimiter ';'), detected; encoding cp1252, as set; header yes, detected; columns used: "
        "Titel and Klasse of 3"
    )


def test_one_report_of_several_files():
    first = dataclasses.replace(REPORT, rows=10, sources=1, files=(), source="a.csv")
    other = dataclasses.replace(first, source="b.csv", bad_rows=0, csv=dataclasses.replace(FACTS, encoding="utf-8"))
    merged = merge_reports([first, other, dataclasses.replace(first, source="c.csv", notes=(), warnings=())])
    assert (merged.rows, merged.bad_rows, merged.sources, merged.source) == (30, 2, 3, "a.csv and 2 more")
    assert merged.files == (("a.csv", 10, 1), ("b.csv", 10, 0), ("c.csv", 10, 1))
    assert merged.warnings == ("a.csv: Two labels look alike.", "b.csv: Two labels look alike.")
    assert merged.notes[:2] == (f"a.csv: {REPORT.notes[0]}", f"b.csv: {REPORT.notes[0]}")
    assert merged.notes[2].startswith("b.csv was read otherwise: layout labelled")
    assert merged.version == "sha256:00"
    assert merge_reports([first]) == first
    assert merge_reports([]) is None


def test_what_thousands_of_files_tell_is_counted():
    merged = merge_reports([dataclasses.replace(REPORT, source=f"{number}.csv") for number in range(1000)])
    assert (len(merged.warnings), merged.warnings[-1]) == (21, "980 more of other files.")
