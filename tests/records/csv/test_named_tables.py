"""JSON lines, arrays of JSON and Parquet, read as the CSV of the same table would be."""

import csv
import io
import json
import random
import subprocess
import sys
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedtune.errors import InputError, StorageError
from embedtune.records.csv import named_tables
from embedtune.records.csv.ingest import ingest_csv
from embedtune.records.csv.options import CSVOptions, CSVSource, IngestRequest
from embedtune.records.csv.reader import FIELD_LIMIT
from embedtune.records.csv.texts import read_texts
from embedtune.records.output import open_output
from embedtune.records.rows import read_rows


def as_csv(rows):
    out = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_lines(rows):
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()


def as_array(rows):
    return json.dumps(rows, indent=1).encode()


def as_parquet(rows):
    out = io.BytesIO()
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows), out)
    return out.getvalue()


FORMS = {"jsonl": as_lines, "ndjson": as_lines, "json": as_array, "parquet": as_parquet}
LABELLED = [{"text": f"text number {i}", "label": f"kind {i % 4}"} for i in range(40)]


@pytest.fixture
def ingest(tmp_path):
    before = csv.field_size_limit(1 << 24)

    def read(files, layout="auto", share=0.0, **options):
        sources = []
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
            sources.append(CSVSource(tmp_path / name, f"s3://data/{name}"))
        request = IngestRequest(layout, CSVOptions(**options))
        with open_output(tmp_path / "rows", tmp_path / "bad.csv", share) as output:
            report = ingest_csv(sources, output, request)
        with (tmp_path / "bad.csv").open(newline="") as file:
            bad = [(int(row["line"]), row["reason"], row["row"]) for row in csv.DictReader(file)]
        columns = read_rows(tmp_path / "rows")[1].to_pydict()
        return report, list(zip(*(columns[name] for name in columns), strict=True)), bad

    yield read
    csv.field_size_limit(before)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("rows", "options"),
    [
        (LABELLED, {}),
        ([{"id": i, **row, "split": "train"} for i, row in enumerate(LABELLED)], {}),
        ([{"label": row["label"], "text": row["text"]} for row in LABELLED], {}),
        (
            [{"Frage": f"what is {i}", "Antwort": f"a longer answer of number {i}"} for i in range(20)],
            {"layout": "pairs"},
        ),
        ([{"sentence1": f"a {i}", "sentence2": f"b {i}", "score": i / 20} for i in range(20)], {}),
        ([{"query": f"q {i}", "answer": f"a {i}", "negative": f"n {i}"} for i in range(20)], {}),
        ([{"text": f"only a text {i}"} for i in range(20)], {}),
        ([{"caption": f"the picture {i}", "image": f"pictures/{i}.jpg"} for i in range(20)], {}),
        (
            [{"a": row["text"], "b": row["label"], "c": str(i)} for i, row in enumerate(LABELLED)],
            {"columns": ("a", "b")},
        ),
        ([{"text": f"t {i}", "label": i % 3} for i in range(20)], {}),
        ([{"text": f"t {i}", "label": i % 2 == 0} for i in range(20)], {}),
        ([{"text": f"t {i}", "label": (i % 3) / 4} for i in range(20)], {}),
    ],
)
def test_the_rows_are_those_of_the_csv(ingest, form, rows, options):
    report, found, bad = ingest({f"data.{form}": FORMS[form](rows)}, **options)
    expected, of_csv, _ = ingest({"data.csv": as_csv(rows)}, **options)
    assert (report.layout, report.modalities, bad) == (expected.layout, expected.modalities, [])
    assert [[str(cell).lower() for cell in row[1:]] for row in found] == [
        [str(cell).lower() for cell in row[1:]] for row in of_csv
    ]
    assert report.csv.columns_used == expected.csv.columns_used
    first = 2 if form == "csv" else 1
    assert [row[0] for row in found][:1] == [first]
    assert f"format {report.csv.dialect}; columns used" in report.describe()


def test_values_as_a_csv_would_hold_them(ingest):
    labels = ["1", "1.10", "true", "1e3", "NaN", "null", '"x"', '""', "12345678901234567890123"]
    lines = [f'{{"text": "text {i}", "label": {labels[i % 9]}}}' for i in range(45)]
    report, rows, bad = ingest({"a.jsonl": as_lines(lines)}, share=0.5)
    assert {row[2] for row in rows} == {"1", "1.10", "true", "1e3", "x", "12345678901234567890123"}
    assert {reason for _, reason, _ in bad} == {"the label is empty"}
    assert (len(bad), report.bad_rows) == (15, 15)
    kinds = [
        (pa.array([0.8, 0.25, None] * 10, pa.float32()), {"0.8", "0.25"}),
        (pa.array([1, 2, None] * 10, pa.int8()), {"1", "2"}),
        (pa.array([True, False, None] * 10), {"true", "false"}),
        (pa.array(["a", "b", None] * 10).dictionary_encode(), {"a", "b"}),
        (pa.array([b"a", b"b", None] * 10), {"a", "b"}),
        (pa.array(["a", "b", None] * 10, pa.large_string()), {"a", "b"}),
        (
            pa.array([1700000000, 0, None] * 10, pa.timestamp("s", "Europe/Berlin")),
            {"2023-11-14 22:13:20.000", "1970-01-01 00:00:00.000"},
        ),
    ]
    for column, expected in kinds:
        table = pa.table({"text": [f"text {i}" for i in range(30)], "label": column})
        _, rows, bad = ingest({"a.parquet": as_parquet(table)}, share=0.5)
        assert {row[2] for row in rows} == expected, column.type
        assert [(line, reason) for line, reason, _ in bad] == [(3 * i, "the label is empty") for i in range(1, 11)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "a", "label": ', "no JSON from character 23 on"),
        ('["a", "b"]', "no JSON object"),
        ("a,b", "no JSON from character 1 on"),
        ('{"text": "a", "label": "b", "text": "c"}', "the name 'text' stands twice in one object"),
        ('{"text": ["a"], "label": "b"}', "the value of 'text' is a list or an object"),
        ('{"text": {"de": "a"}, "label": "b"}', "the value of 'text' is a list or an object"),
        ('{"text": "\\ud800", "label": "b"}', "the value of 'text' is no text in Unicode"),
        ('{"text": "a\\u0000", "label": "b"}', "a value contains a NUL character"),
        ('{"label": "b"}', "the content is empty"),
        ('{"text": "a"}', "the label is empty"),
        ('{"text": "  ", "label": "b"}', "the content is empty"),
        ("[" * 100_000, "no JSON: nested too deeply"),
        (f'{{"text": "{"x" * FIELD_LIMIT}", "label": "b"}}', f"a value has more than {FIELD_LIMIT} characters"),
    ],
)
def test_lines_that_cannot_be_used_are_set_aside(ingest, line, reason):
    _, rows, ((number, told, text),) = ingest({"a.jsonl": as_lines([*LABELLED, line, *LABELLED])}, share=0.05)
    assert (len(rows), number) == (80, 41)
    assert told.startswith(reason)
    assert text.lstrip("'")[:10] == line[:10]
    with pytest.raises(InputError, match=r"^s3://data/a.jsonl, read as JSON lines, layout labelled: 1 of 41 rows"):
        ingest({"a.jsonl": as_lines([*LABELLED, line])})


def test_rows_without_any_value_are_blank(ingest):
    rows = [LABELLED[0], {"text": None, "label": ""}, {}, *LABELLED[1:]]
    for form in ("jsonl", "json"):
        report, found, bad = ingest({f"a.{form}": FORMS[form](rows)})
        assert ([row[0] for row in found][:2], bad) == ([1, 4], [])
        assert report.notes == ("Passed over as blank: 2 rows without any value.",)


def test_columns_that_not_every_row_has(ingest):
    rows = [{"text": "first"}, *LABELLED, {"label": "kind 1", "text": "last", "note": "seen"}]
    report, found, bad = ingest({"a.jsonl": as_lines(rows)}, share=0.1)
    assert (report.csv.columns, len(found), bad[0][:2]) == (("text", "label", "note"), 41, (1, "the label is empty"))


def test_columns_that_only_late_rows_have_are_told(ingest, monkeypatch):
    monkeypatch.setattr("embedtune.records.csv.reading_plan.SAMPLE_BYTES", 200)
    report, rows, _ = ingest({"a.jsonl": as_lines([*LABELLED, {"text": "late", "label": "kind 0", "new": 1, "x": 2}])})
    assert len(rows) == 41
    assert report.warnings == (
        "a.jsonl: 1 rows have columns that none of the first rows has, and these are not read: new, x. Write every "
        "column into each row.",
    )


def test_nested_columns_are_left_out_and_told(ingest):
    rows = [{**row, "tokens": row["text"].split(), "meta": {"n": i}} for i, row in enumerate(LABELLED)]
    for form in FORMS:
        report, found, _ = ingest({f"a.{form}": FORMS[form](rows)})
        assert (len(found), report.csv.columns, report.warnings) == (40, ("text", "label"), ())
        assert report.notes == ("Not read, for they hold lists, objects or other data than texts: tokens, meta.",)
        with pytest.raises(InputError, match=r"columns names 'tokens', but .*Not read, .*: tokens, meta\."):
            ingest({f"a.{form}": FORMS[form](rows)}, columns=("text", "tokens"))
        nested = [{"tokens": row["tokens"]} for row in rows]
        with pytest.raises(
            InputError, match=r"without a column of texts or numbers, but of lists or objects \(tokens\)"
        ):
            ingest({f"a.{form}": FORMS[form](nested)})


def test_several_files_are_read_as_one_whatever_the_order_of_their_columns(ingest):
    turned = [{"label": row["label"], "id": 1, "text": row["text"]} for row in LABELLED]
    for form in FORMS:
        report, rows, _ = ingest({f"a.{form}": FORMS[form](LABELLED), f"b.{form}": FORMS[form](turned)})
        assert [row[2:] for row in rows[:40]] == [row[2:] for row in rows[40:]]
        assert (report.sources, rows[0][1], rows[-1][1]) == (2, f"a.{form}", f"b.{form}")
        report, rows, _ = ingest({f"a.{form}": FORMS[form](LABELLED), f"b.{form}": b""})
        assert report.notes == (f"Passed over, for there is nothing in it: b.{form}.",)
        other = [{"x": row["text"], "y": row["label"]} for row in LABELLED]
        with pytest.raises(InputError, match=rf"^s3://data/b.{form}, .*40 of 40 rows \(100.00%\) cannot be used"):
            ingest({f"a.{form}": FORMS[form](LABELLED * 200), f"b.{form}": FORMS[form](other)}, share=0.5)


def test_parquet_files_without_rows(ingest):
    schema = pa.schema([("text", pa.string()), ("label", pa.string())])
    empty = as_parquet(schema.empty_table())
    report, rows, _ = ingest({"a.parquet": empty, "b.parquet": as_parquet(LABELLED)})
    assert (len(rows), report.notes) == (40, ("There are no rows in a.parquet.",))
    with pytest.raises(InputError, match="not one row of data"):
        ingest({"a.parquet": empty})


def test_formats_are_not_mixed(ingest):
    with pytest.raises(InputError, match=r"s3://data/a.csv is CSV, but s3://data/b.jsonl is JSON lines"):
        ingest({"a.csv": as_csv(LABELLED), "b.jsonl": as_lines(LABELLED)})
    with pytest.raises(InputError, match=r"is Parquet, which names its columns. Leave the CSV option `header` out"):
        ingest({"a.parquet": as_parquet(LABELLED)}, header="no")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(ingest, encoding):
    rows = [{"text": f"Größe {i}", "label": f"Maß {i % 3}"} for i in range(20)]
    for text in ("".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows), json.dumps(rows)):
        assert ingest({"a.json": text.encode(encoding)})[1][1][1:] == ("Größe 1", "Maß 1")
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("cp1252")
    assert ingest({"a.jsonl": content}, encoding="cp1252")[1][1][1:] == ("Größe 1", "Maß 1")
    for name in ("a.jsonl", "a.json"):
        with pytest.raises(InputError, match=rf"{name} is not valid utf-8: byte 1[0-9] \(hex f6\) on line 1"):
            ingest({name: content})


def test_json_that_is_named_csv(ingest):
    for content in (as_lines(LABELLED), as_array(LABELLED), json.dumps(LABELLED).encode()):
        assert len(ingest({"a.csv": content})[1]) == 40
    assert ingest({"a.csv": as_lines(LABELLED)}, "plain", dialect="lines")[1][0][1] == json.dumps(LABELLED[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (as_array(LABELLED)[:-30], r"a.json is no whole JSON \(line 159: not from character \d+ on\)\. Write"),
        (b'{\n "data": [{"text": "a"}]\n}', "a.json is JSON, but no array of objects"),
        (b'{"data": [{"text": "a"}]}', r"without a column of texts or numbers, but of lists or objects \(data\)"),
        (b'[{"text": "a", "text": "b"}]', "no whole JSON .the name 'text' stands twice"),
        (b"[" * 100_000, r"no whole JSON \(nested too deeply\)"),
        (b"[]", "a.json is JSON without a column of texts"),
        (b"[1, 2]", "a.json is JSON without a column of texts"),
    ],
)
def test_arrays_that_cannot_be_read(ingest, content, message):
    with pytest.raises(InputError, match=message):
        ingest({"a.json": content})


def test_a_large_array_is_refused(ingest, monkeypatch):
    monkeypatch.setattr(named_tables, "_ARRAY_BYTES", 1 << 11)
    with pytest.raises(InputError, match=r"one JSON array of more than 0 MiB.*Write JSON lines"):
        ingest({"a.json": as_array(LABELLED)})


def test_damaged_parquet(ingest, tmp_path):
    whole = as_parquet([{"text": f"text {i} {random.Random(i).random()}", "label": f"l{i % 3}"} for i in range(2000)])
    start = random.Random(0)
    places = [start.randrange(4, len(whole)) for _ in range(30)]
    for content in [whole[:5], whole[:-1], whole[: len(whole) // 2], whole[:-100], b"PAR1" * 9]:
        with pytest.raises(InputError, match=r"a.parquet is no whole Parquet file"):
            ingest({"a.parquet": content}, share=1.0)
    for place in places:
        with suppress(InputError):
            ingest({"a.parquet": _broken(whole, place)}, share=1.0)
    source = CSVSource(tmp_path / "none.parquet", "s3://x/none.parquet")
    message = r"s3://x/none.parquet does not exist"
    with pytest.raises(StorageError, match=message), open_output(tmp_path / "rows", tmp_path / "bad.csv") as output:
        ingest_csv([source], output, IngestRequest())


def _broken(content, at):
    return content[:at] + bytes(byte ^ 0xFF for byte in content[at : at + 16]) + content[at + 16 :]


def test_parquet_that_names_a_column_twice_or_holds_bytes(ingest):
    doubled = pa.Table.from_arrays([pa.array(["a", "b"])] * 2, names=["text", "text"])
    with pytest.raises(InputError, match=r"has two columns 'text'. Give each"):
        ingest({"a.parquet": as_parquet(doubled)})
    table = pa.table({"text": pa.array([f"t{i}".encode() for i in range(29)] + [b"\xff"]), "label": ["a", "b"] * 15})
    _, rows, bad = ingest({"a.parquet": as_parquet(table)}, share=0.1)
    assert (len(rows), bad[0][:2]) == (29, (30, "the value of 'text' is no text in Unicode"))


def test_the_index_of_pandas_is_no_column(ingest):
    table = pa.table({"t": [f"text {i}" for i in range(30)], "l": ["x", "y"] * 15, "__index_level_0__": range(30)})
    report, rows, _ = ingest({"a.parquet": as_parquet(table)}, layout="labelled")
    assert (len(rows), report.csv.columns, report.notes) == (30, ("t", "l"), ())


def test_too_many_columns(ingest):
    with pytest.raises(InputError, match="more than 10000 columns, such as a0, a1, a2"):
        ingest({"a.jsonl": as_lines([{f"a{i}": "x"} for i in range(10_001)])})


def test_sampling_and_size(ingest):
    rows = [{"text": f"text {i}", "label": f"l{i % 4}"} for i in range(400)]
    for form in FORMS:
        assert len(ingest({f"a.{form}": FORMS[form](rows)}, size=13)[1]) == 13
        sampled = ingest({f"a.{form}": FORMS[form](rows)}, sampling_rate=0.25, seed=1)[1]
        assert 60 < len(sampled) < 140
        halves = {f"{i}.{form}": FORMS[form](rows[i * 200 : i * 200 + 200]) for i in range(2)}
        assert [row[2] for row in ingest(halves, sampling_rate=0.25, seed=1)[1]] == [row[1] for row in sampled]


PEAK = """
import sys
from pathlib import Path
from embedtune.records.csv.ingest import ingest_csv
from embedtune.records.csv.options import CSVSource, IngestRequest
from embedtune.records.output import open_output

path = Path(sys.argv[1])
with open_output(path.parent / "rows", path.parent / "bad") as output:
    ingest_csv([CSVSource(path, str(path))], output, IngestRequest("labelled"))
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
"""


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path, form):
    """Of processes of their own: what a test before has left would count as well."""
    peaks, text = [], "word " * 400
    for count in (20_000, 80_000):
        path = tmp_path / f"{count}.{form}"
        if form == "jsonl":
            with path.open("w") as file:
                file.writelines(json.dumps({"text": f"{n} {text}", "label": f"l{n % 7}"}) + "\n" for n in range(count))
        else:
            with pq.ParquetWriter(path, pa.schema([("text", pa.string()), ("label", pa.string())])) as writer:
                for start in range(0, count, 10_000):
                    numbers = range(start, start + 10_000)
                    table = {"text": [f"{n} {text}" for n in numbers], "label": [f"l{n % 7}" for n in numbers]}
                    writer.write_table(pa.table(table, schema=writer.schema))
        done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) << 10)
    assert peaks[1] - peaks[0] < 0.5 * 60_000 * len(text)


def test_a_small_parquet_file_of_one_large_text_many_times(tmp_path):
    """Equal texts are stored once; in memory they must not become gigabytes."""
    path = tmp_path / "a.parquet"
    column = pa.DictionaryArray.from_arrays(pa.array([i % 2 for i in range(4_000)], pa.int32()), ["x" * 1_000_000, "y"])
    pq.write_table(pa.table({"text": column, "label": [f"l{n % 7}" for n in range(4_000)]}), path)
    assert path.stat().st_size < 3_000_000
    done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) << 10 < 1 << 30


def test_texts_for_search_and_encode(tmp_path):
    rows = [{"id": i, "text": f"text {i}", "label": f"l{i}"} for i in range(5)]
    for form, write in FORMS.items():
        path = tmp_path / f"a.{form}"
        path.write_bytes(write(rows))
        found = read_texts(path, "text", CSVOptions())
        assert found.values == [row["text"] for row in rows]
        assert found.description.startswith(f"{path}: 5 texts of 'text' (2 of 3 columns), read as ")
        with pytest.raises(InputError, match=r"has no column 'texts'. Its columns: id, text, label"):
            read_texts(path, "texts", CSVOptions())
        path.write_bytes(write([*rows, {"id": 7, "text": "", "label": "x"}]))
        with pytest.raises(InputError, match="line 6: the text is empty"):
            read_texts(path, "text", CSVOptions())
        path.write_bytes(write([rows[0], {"id": None, "text": None, "label": None}, rows[1]]))
        with pytest.raises(InputError, match="line 2 is blank"):
            read_texts(path, "text", CSVOptions())
