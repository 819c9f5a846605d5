import csv
import gzip
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedtune.errors import InputError, StorageError
from embedtune.records import beir_texts
from embedtune.records.beir import ingest_beir
from embedtune.records.layouts import Layout, Modality
from embedtune.records.output import open_output
from embedtune.records.rows import IngestReport, RowsFormat, read_rows

CORPUS = [
    {"_id": "d1", "title": "Rain", "text": "It falls."},
    {"_id": "d2", "title": "", "text": " Snow lies. "},
    {"_id": "d3", "text": "Fog hides."},
    {"_id": "d4", "title": "Wind", "text": "", "metadata": {"url": "x"}},
]
QUERIES = [{"_id": "q1", "text": "what falls"}, {"_id": "q2", "text": "what lies"}, {"_id": "q3", "text": "unasked"}]
HEADER = "query-id\tcorpus-id\tscore\n"
TRAIN = HEADER + "q1\td1\t2\nq1\td2\t0\n"
TEST = "q2\td2\t1.0\n"


@dataclass
class Folder:
    root: Path
    out: Path

    def lines(self, name: str, entries: list[object]) -> None:
        text = "".join((e if isinstance(e, str) else json.dumps(e)) + "\n" for e in entries)
        self.file(name, text)

    def file(self, name: str, text: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def ingest(self, share: float = 0.0) -> tuple[IngestReport, list[tuple[object, ...]]]:
        with open_output(self.out / "rows", self.out / "bad.csv", share) as output:
            report = ingest_beir(self.root, "s3://bucket/beir", output)
        found, table = read_rows(self.out / "rows")
        assert found == RowsFormat(Layout.BEIR, (Modality.TEXT, Modality.TEXT), several_sources=True)
        assert report.rows == len(table)
        return report, list(zip(*table.to_pydict().values(), strict=True))

    def bad(self) -> list[tuple[str, str]]:
        with (self.out / "bad.csv").open(encoding="utf-8", newline="") as file:
            return [(row["line"], f"{row['source']}: {row['reason']}") for row in csv.DictReader(file)]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "beir", tmp_path / "out")
    made.out.mkdir()
    made.lines("corpus.jsonl", CORPUS)
    made.lines("queries.jsonl", QUERIES)
    made.file("qrels/train.tsv", TRAIN)
    made.file("qrels/test.tsv", TEST)
    return made


def test_judgments_then_unjudged_documents(folder):
    report, rows = folder.ingest()
    assert rows == [
        (2, "qrels/train.tsv", "what falls", "Rain It falls.", 2.0, "train"),
        (3, "qrels/train.tsv", "what falls", "Snow lies.", 0.0, "train"),
        (1, "qrels/test.tsv", "what lies", "Snow lies.", 1.0, "test"),
        (3, "corpus.jsonl", None, "Fog hides.", 0.0, ""),
        (4, "corpus.jsonl", None, "Wind", 0.0, ""),
    ]
    assert folder.bad() == []
    assert report == IngestReport(
        rows=5,
        bad_rows=0,
        layout="beir",
        modalities=("text", "text"),
        sources=4,
        read_as="BEIR folder: 3 queries (1 of them without judgments and not used), 4 documents, judgments: train 2, "
        "test 1",
    )


def test_gzip_and_a_folder_around_it_give_the_same_rows(folder, tmp_path):
    expected = folder.ingest()[1]
    (tmp_path / "packed").mkdir()
    folder.root.rename(tmp_path / "packed" / "scifact")
    for name in ("corpus.jsonl", "queries.jsonl"):
        path = tmp_path / "packed" / "scifact" / name
        path.with_name(f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    folder.root = tmp_path / "packed"
    found = folder.ingest()[1]
    assert [(row[0], *row[2:]) for row in found] == [(row[0], *row[2:]) for row in expected]
    assert found[-1][1] == "corpus.jsonl.gz"


def test_vertex_names_and_no_score(folder):
    folder.file("qrels/validation.tsv", "query-id\tcorpus-id\nq3\td3\n")
    rows = folder.ingest()[1]
    assert rows[2] == (2, "qrels/validation.tsv", "unasked", "Fog hides.", 1.0, "dev")


def test_single_file_of_any_name_has_no_split(folder):
    (folder.root / "qrels" / "train.tsv").unlink()
    (folder.root / "qrels" / "test.tsv").rename(folder.root / "qrels.tsv")
    assert folder.ingest()[1][0] == (1, "qrels.tsv", "what lies", "Snow lies.", 1.0, "")


def test_byte_order_marks_crlf_blank_lines_and_numbers_as_ids(folder):
    folder.file("queries.jsonl", b'\xef\xbb\xbf{"_id": 7, "text": "seven"}\r\n\r\n{"_id": "8", "text": "eight"}\r\n')
    folder.file("qrels/train.tsv", b"\xef\xbb\xbfquery-id\tcorpus-id\tscore\r\n\r\n7\td1\t1\r\n")
    folder.file("qrels/test.tsv", " 8 \td2 \t1\n")
    rows = folder.ingest()[1]
    assert rows[:2] == [
        (3, "qrels/train.tsv", "seven", "Rain It falls.", 1.0, "train"),
        (1, "qrels/test.tsv", "eight", "Snow lies.", 1.0, "test"),
    ]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ('{"_id": "d9", "text": ', "no JSON from character 23 on"),
        ('["d9", "text"]', "no JSON object"),
        ("[" * 100_000, "no JSON of one object: nested too deeply"),
        ('{"_id": ' + "9" * 10_000 + ', "text": "a"}', "no JSON: a number with too many digits"),
        ({"text": "a"}, "no _id"),
        ({"_id": True, "text": "a"}, "_id is no text"),
        ({"_id": None, "text": "a"}, "_id is no text"),
        ({"_id": " ", "text": "a"}, "the _id is empty"),
        ({"_id": "d9"}, "no text"),
        ({"_id": "d9", "text": ["a"]}, "text is no text"),
        ({"_id": "d9", "text": "a", "title": 3}, "title is no text"),
        ({"_id": "d9", "text": "a\0b"}, "the text contains a NUL character"),
        ('{"_id": "d9", "text": "\\ud800"}', "the text contains half a surrogate pair"),
        ({"_id": "d1", "title": "Rain", "text": "It rises."}, "line 1 has the same _id and another text"),
    ],
)
def test_bad_document_is_set_aside(folder, entry, reason):
    folder.lines("corpus.jsonl", [*CORPUS, entry])
    report, rows = folder.ingest(share=0.2)
    assert (report.bad_rows, len(rows)) == (1, 5)
    ((line, told),) = folder.bad()
    assert line == "5"
    assert told.startswith(f"corpus.jsonl: {reason}")


def test_line_that_is_no_utf8_and_line_that_is_too_long(folder, monkeypatch):
    monkeypatch.setattr(beir_texts, "LINE_LIMIT", 200)
    good = "".join(json.dumps(entry) + "\n" for entry in CORPUS).encode()
    folder.file("corpus.jsonl", b'{"_id": "d0", "text": "\xff"}\n{"_id": "x' + b"a" * 1000 + b'"}\n' + good)
    report, rows = folder.ingest(share=0.34)
    assert report.bad_rows == 2
    assert [row[:2] for row in rows[-2:]] == [(5, "corpus.jsonl"), (6, "corpus.jsonl")]
    assert folder.bad()[0][1].startswith("corpus.jsonl: no UTF-8 at byte ")
    assert folder.bad()[1] == ("2", "corpus.jsonl: longer than 0 MiB")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("q1\td1", "2 columns instead of 3, divided by tabs"),
        ("q1 d1 1", "1 columns instead of 3, divided by tabs"),
        ("q9\td1\t1", "no usable query has the id 'q9'"),
        ("q1\td9\t1", "no usable document has the id 'd9'"),
        ("q1\td1\t-3", "the score '-3' is negative"),
        ("q1\td1\t-0.5", "the score '-0.5' is negative"),
        ("q1\td1\tnan", "the score 'nan' is no finite number"),
        ("q1\td1\t1e39", "the score '1e39' is no finite number"),
        ("q1\td1\t1_0", "the score '1_0' is no finite number"),
        ("q1\td1\tyes", "the score 'yes' is no finite number"),
        ("q1\td1\t", "the score '' is no finite number"),
    ],
)
def test_bad_judgment_is_set_aside(folder, line, reason):
    folder.file("qrels/test.tsv", f"{TEST}{line}\n")
    assert folder.ingest(share=0.5)[0].bad_rows == 1
    assert folder.bad() == [("2", f"qrels/test.tsv: {reason}")]


def test_a_text_that_is_null_is_its_title(folder):
    folder.lines("corpus.jsonl", [{"_id": "d1", "title": "Rain", "text": None}, *CORPUS[1:]])
    report, rows = folder.ingest()
    assert (report.bad_rows, rows[0][3]) == (0, "Rain")


def test_same_document_twice_is_one(folder):
    folder.lines("corpus.jsonl", [*CORPUS, CORPUS[2]])
    report, rows = folder.ingest()
    assert (len(rows), report.bad_rows) == (5, 0)


def test_too_many_bad_lines(folder):
    folder.file("qrels/test.tsv", f"{TEST}q9\td1\t1\n")
    message = r"^s3://bucket/beir/qrels/test.tsv: 1 of 2 lines \(50.00%\) cannot be used, max_bad_share allows 0.45"
    with pytest.raises(InputError, match=message):
        folder.ingest(share=0.45)
    assert len(folder.bad()) == 1
    assert not (folder.out / "rows").exists()
    assert sorted(path.name for path in folder.out.iterdir()) == ["bad.csv"]


def test_nothing_relevant(folder):
    folder.file("qrels/train.tsv", HEADER + "q1\td1\t0\n")
    folder.file("qrels/test.tsv", "q2\td2\t0\n")
    with pytest.raises(InputError, match="none of the 2 judgments has a score above 0"):
        folder.ingest()


def test_without_judgments_the_error_tells_of_synthesis(folder):
    for path in (folder.root / "qrels").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"no judgments.*synthesised.*layout 'plain'"):
        folder.ingest()


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_missing_or_doubled_file(folder, name):
    path = folder.root / name
    path.with_name(f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError, match=rf"s3://bucket/beir has both {name} and {name}.gz"):
        folder.ingest()
    path.unlink()
    path.with_name(f"{name}.gz").unlink()
    with pytest.raises(InputError, match=rf"has no {name} or {name}.gz"):
        folder.ingest()


def test_unknown_split(folder):
    folder.file("qrels/final.tsv", TEST)
    with pytest.raises(InputError, match=r"final.tsv are of no known split"):
        folder.ingest()


def test_empty_files(folder):
    folder.file("corpus.jsonl", "")
    with pytest.raises(InputError, match=r"s3://bucket/beir: corpus.jsonl is empty"):
        folder.ingest()
    folder.file("queries.jsonl", "\n")
    with pytest.raises(InputError, match=r"s3://bucket/beir: queries.jsonl is empty"):
        folder.ingest(share=1.0)


def test_many_documents_hide_no_lost_judgments(folder):
    folder.lines("corpus.jsonl", [*CORPUS, *({"_id": f"e{n}", "text": f"text {n}"} for n in range(2_000))])
    folder.file("qrels/test.tsv", "".join(f"q{n}\td1\t1\n" for n in range(10, 30)))
    message = r"beir/qrels/test.tsv: 20 of 20 lines \(100.00%\) cannot be used, nothing is left.*tsv line 1: no usa"
    for share in (0.01, 1.0):
        with pytest.raises(InputError, match=message):
            folder.ingest(share)
    folder.file("qrels/test.tsv", "".join(f"q{n}\td1\t1\n" for n in range(1, 13)))
    with pytest.raises(InputError, match=r"test.tsv: 9 of 12 lines .* max_bad_share allows 0.01.*tsv line 4: no usa"):
        folder.ingest(0.01)
    assert folder.ingest(0.75)[0].bad_rows == 9


def test_too_many_bad_queries_are_told_before_the_judgments_that_they_lose(folder):
    folder.lines("queries.jsonl", [{"id": "q1", "text": "what falls"}, *QUERIES[1:]])
    with pytest.raises(InputError, match=r"queries.jsonl: 1 of 3 lines.*line 1: no _id.* in 1 more files as well"):
        folder.ingest(0.1)


def test_spam_is_not_relevant(folder):
    folder.file("qrels/test.tsv", f"{TEST}q1\td1\t-1\nq1\td2\t-2.0\n")
    report, rows = folder.ingest()
    assert [row[4] for row in rows if row[1] == "qrels/test.tsv"] == [1.0, 0.0, 0.0]
    assert report.notes == ("2 judgments with a score of -1 or -2 count as not relevant, as TREC means them.",)


def test_texts_that_are_empty_matter_where_a_judgment_names_them(folder):
    folder.lines("corpus.jsonl", [*CORPUS, {"_id": "d9", "text": "\u200b", "title": "\n\ufeff"}])
    folder.lines("queries.jsonl", [*QUERIES, {"_id": "q9", "text": ""}])
    report, rows = folder.ingest()
    assert (report.bad_rows, len(rows), folder.bad()) == (0, 5, [])
    assert report.notes == ("Passed over: 2 documents or queries without text that no judgment names.",)
    folder.file("qrels/test.tsv", f"{TEST}q1\td9\t1\nq1\td9\t1\n")
    report, rows = folder.ingest(0.7)
    assert (report.bad_rows, len(rows)) == (3, 5)
    assert folder.bad() == [
        ("5", "corpus.jsonl: the text is empty, and a judgment names it"),
        ("2", "qrels/test.tsv: no usable document has the id 'd9'"),
        ("3", "qrels/test.tsv: no usable document has the id 'd9'"),
    ]
    assert report.notes == ("Passed over: 1 documents or queries without text that no judgment names.",)


def test_judgments_without_a_line_are_noted(folder):
    folder.file("qrels/dev.tsv", HEADER)
    assert folder.ingest()[0].notes == ("qrels/dev.tsv holds no judgment.",)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"x" + data[1:]])
def test_gzip_that_is_cut_off_or_none(folder, damage):
    path = folder.root / "corpus.jsonl"
    packed = gzip.compress(b"".join(json.dumps({"_id": str(n), "text": f"t{n}"}).encode() + b"\n" for n in range(999)))
    path.with_name("corpus.jsonl.gz").write_bytes(damage(packed))
    path.unlink()
    with pytest.raises(InputError, match="is no whole gzip file"):
        folder.ingest()


def test_unreadable_output(folder):
    folder.out = folder.out / "file"
    folder.out.write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        folder.ingest()


PEAK = """
import sys
from pathlib import Path
from embedtune.records.beir import ingest_beir
from embedtune.records.output import open_output

root, out = map(Path, sys.argv[1:])
with open_output(out / "rows", out / "bad.csv", 0.0) as output:
    ingest_beir(root, "beir", output)
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
"""


def test_memory_holds_ids_and_not_texts(folder):
    """Of processes of their own: what a test before has left would count as well."""
    peaks, text = [], "word " * 1_000
    for count in (4_000, 20_000):
        with (folder.root / "corpus.jsonl").open("w") as file:
            file.writelines(json.dumps({"_id": f"d{n}", "text": f"{n} {text}"}) + "\n" for n in range(count))
        command = [sys.executable, "-c", PEAK, str(folder.root), str(folder.out)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) << 10)
    assert peaks[1] - peaks[0] < 0.75 * 16_000 * len(text)
