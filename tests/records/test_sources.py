"""Several CSV files read as one."""

import csv

import pytest

from embedtune.errors import InputError, StorageError
from embedtune.records import output as output_module
from embedtune.records.csv import ingest as ingest_module
from embedtune.records.csv.ingest import ingest_csv
from embedtune.records.csv.options import CSVOptions, CSVSource, IngestRequest, source_names
from embedtune.records.output import open_output
from embedtune.records.rows import read_rows


@pytest.fixture
def ingest(tmp_path):
    def read(contents, layout="auto", share=0.0, **options):
        sources = []
        for name, content in contents.items():
            path = tmp_path / name.replace("/", "-")
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            sources.append(CSVSource(path, f"s3://data/{name}"))
        rows = tmp_path / "rows.parquet"
        with open_output(rows, tmp_path / "bad.csv", share) as output:
            report = ingest_csv(sources, output, IngestRequest(layout, CSVOptions(**options)))
        return report, read_rows(rows)[1].to_pydict()

    return read


def test_lines_and_names_are_those_of_each_file(ingest, tmp_path):
    report, rows = ingest(
        {
            "a.csv": "text,label\nHello,hi\nBye,end\n",
            "b.csv": "\ufefftext;label\r\nHey;hi\r\n;hi\r\nCiao;end\r\n",
        },
        share=0.5,
    )
    assert rows == {
        "line": [2, 3, 2, 4],
        "source": ["a.csv", "a.csv", "b.csv", "b.csv"],
        "content": ["Hello", "Bye", "Hey", "Ciao"],
        "label": ["hi", "end", "hi", "end"],
    }
    with (tmp_path / "bad.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["line", "reason", "row", "source"],
            ["3", "the content is empty", ";hi", "b.csv"],
        ]
    assert report.describe().startswith("4 rows of 2 files, 1 set aside; layout labelled, detected; contents text")


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("order", ["as written", "sorted by label", "one label a file"])
def test_eight_files_give_the_rows_of_one(ingest, header, order):
    rows = [f"text number {i},label {i % 40}\n" for i in range(400)]
    if order == "sorted by label":
        rows.sort(key=lambda row: row.split(",")[1])
    names = "text,label\n" if header else ""
    whole = ingest({"all.csv": names + "".join(rows)})[1]
    step = 50
    parts = {f"{i}.csv": names + "".join(rows[i * step : (i + 1) * step]) for i in range(8)}
    if order == "one label a file":
        parts = {f"{i}.csv": names + "".join(rows[i::8]) for i in range(8)}
        whole = ingest({"all.csv": names + "".join(row for i in range(8) for row in rows[i::8])})[1]
    report, found = ingest(parts)
    assert (report.layout, report.csv.header, report.sources) == ("labelled", header, 8)
    assert found["content"] == whole["content"]
    assert found["label"] == whole["label"]
    sampled = ingest({"all.csv": names + "".join(rows)}, sampling_rate=0.4)[1]
    assert sorted(ingest(parts, sampling_rate=0.4)[1]["content"]) == sorted(sampled["content"])


def test_size_counts_over_all_files(ingest):
    part = "text,label\n" + "".join(f"t{i},{i % 2}\n" for i in range(10))
    assert ingest({"a.csv": part, "b.csv": part, "c.csv": part}, size=13)[1]["source"] == ["a.csv"] * 10 + ["b.csv"] * 3


def test_a_tiny_last_file_that_alone_could_not_be_told(ingest):
    many = "".join(f"text {i},label {i % 5}\n" for i in range(50))
    assert ingest({"a.csv": many, "b.csv": "one,label 1\n"})[0].rows == 51


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("text,kind\na,b\nc,d\n", r"s3://data/a.csv has text,label, but s3://data/b.csv, .* begins with 'text,kind'"),
        ("a,b\nc,d\n", "a.csv has text,label, but .*b.csv"),
        ("label,text\nb,a\n", "a.csv has text,label, but .*b.csv"),
        ("text,label,more\na,b,c\n", "a.csv has text,label, but .*b.csv"),
        ("text,label\na.jpg,x\nb.jpg,y\n", "values of text are those of text in .*a.csv, but of image in .*b.csv"),
        (b"text,label\n\xff,x\n", "s3://data/b.csv is not valid utf-8"),
    ],
)
def test_files_that_differ(ingest, second, message):
    with pytest.raises(InputError, match=message):
        ingest({"a.csv": "text,label\n" + "".join(f"text {i},x{i % 3}\n" for i in range(30)), "b.csv": second})


def test_files_without_a_header_that_differ_in_width(ingest):
    with pytest.raises(InputError, match=r"a\.csv has 2 columns without a header, but .*b.csv"):
        ingest({"a.csv": "one,x\ntwo,x\nthree,y\n", "b.csv": "one,x,0.3\ntwo,y,0.5\n"}, "labelled")


def test_a_header_in_a_later_file_only(ingest):
    rows = "one,x\ntwo,x\nthree,y\n"
    with pytest.raises(
        InputError, match=r"a\.csv has 2 columns without a header, but .*b\.csv.* begins with 'text,label'"
    ):
        ingest({"a.csv": rows, "b.csv": "text,label\n" + rows}, "labelled")
    assert ingest({"a.csv": rows, "b.csv": "text,label\n" + rows}, "labelled", header="no")[0].rows == 7


def test_long_values_are_written_before_they_fill_the_memory(ingest, monkeypatch):
    monkeypatch.setattr(output_module, "_BATCH_BYTES", 1000)
    written = []
    write = output_module.RowsWriter.write
    monkeypatch.setattr(
        output_module.RowsWriter,
        "write",
        lambda self, columns: (written.append(len(columns[0])), write(self, columns)),
    )
    report, rows = ingest({"a.csv": "".join(f"{'long ' * 500}{i},{i % 5}\n" for i in range(450))}, "labelled")
    assert (report.rows, written) == (450, [100, 100, 100, 100, 50])
    assert rows["line"] == list(range(1, 451))


def test_bad_rows_are_judged_file_by_file(ingest):
    good = "".join(f"text {i},label {i % 5}\n" for i in range(50))
    many = good * 40
    with pytest.raises(InputError, match=r"^s3://data/b\.csv, .*: 1 of 51 rows.*: b\.csv line 1: the content"):
        ingest({"a.csv": many, "b.csv": ",x\n" + good}, share=0.01)
    assert ingest({"a.csv": many, "b.csv": ",x\n" + good}, share=0.02)[0].bad_rows == 1
    lost = ",x\n" * 3
    for share in (0.01, 1.0):
        message = r"b\.csv, .*: 3 of 3 rows \(100.00%\) cannot be used, nothing is left.* in 1 more files as well"
        with pytest.raises(InputError, match=message):
            ingest({"a.csv": many, "b.csv": lost, "c.csv": lost}, share=share)
    with pytest.raises(InputError, match=r"b\.csv, .*: 1 of 1 rows \(100.00%\) cannot be used, nothing is left"):
        ingest({"a.csv": many, "b.csv": ",x\n"}, share=0.01)


@pytest.mark.parametrize("nothing", ["", "\ufeff", "\r\n\r\n", ",\n,,\n", "\x1a", b"\xff\xfe\r\0\n\0"])
def test_empty_files_among_others_are_passed_over(ingest, nothing):
    good = "text,label\n" + "".join(f"text {i},label {i % 5}\n" for i in range(20))
    for names in (["a.csv", "b.csv"], ["b.csv", "a.csv"]):
        report, rows = ingest(dict(zip(names, (nothing, good), strict=True)))
        assert rows["source"] == [names[1]] * 20
        assert (report.sources, report.files) == (1, ((names[1], 20, 0),))
        assert report.notes == (f"Passed over, for there is nothing in it: {names[0]}.",)
    with pytest.raises(InputError, match=r"All 2 files are empty: a\.csv, b\.csv"):
        ingest({"a.csv": nothing, "b.csv": nothing})
    with pytest.raises(InputError, match=r"a\.csv (is empty|holds nothing)"):
        ingest({"a.csv": nothing})


def test_files_with_a_header_only_are_noted(ingest):
    good = "text,label\n" + "".join(f"text {i},label {i % 5}\n" for i in range(20))
    report, rows = ingest({"a.csv": "text,label\n", "b.csv": good, "c.csv": "text,label"})
    assert rows["source"] == ["b.csv"] * 20
    assert report.notes == ("There are no rows in a.csv, c.csv.",)
    assert ingest({"a.csv": good, "b.csv": good}, size=8)[0].notes == ()


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="no file to read"), open_output(tmp_path / "rows", tmp_path / "bad") as output:
        ingest_csv([], output, IngestRequest())


def test_names_tell_files_apart(tmp_path):
    assert source_names([CSVSource(tmp_path, "s3://b/x/a.csv"), CSVSource(tmp_path, "/y/b.csv")]) == ["a.csv", "b.csv"]
    same = [CSVSource(tmp_path, "s3://b/x/a.csv"), CSVSource(tmp_path, "s3://b/y/a.csv")]
    assert source_names(same) == ["s3://b/x/a.csv", "s3://b/y/a.csv"]


@pytest.mark.parametrize(("change", "message"), [("cut", "changed while it was read"), ("gone", "cannot be read on")])
def test_a_file_that_changes_after_it_was_looked_at(ingest, tmp_path, monkeypatch, change, message):
    plan_files = ingest_module.plan_files

    def plan_and_change(sources, request):
        made = plan_files(sources, request)
        sources[1].path.write_bytes(b"") if change == "cut" else sources[1].path.unlink()
        return made

    monkeypatch.setattr(ingest_module, "plan_files", plan_and_change)
    good = "".join(f"text {i},label {i % 5}\n" for i in range(50))
    with pytest.raises(StorageError, match=f"b.csv {message}"):
        ingest({"a.csv": good, "b.csv": good})
    assert not (tmp_path / "rows.parquet").exists()
