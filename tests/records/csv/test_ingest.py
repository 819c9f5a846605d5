import csv
import lzma
import pickle
import resource
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.records.csv import reader
from embedtune.records.csv.encodings import SAMPLE_BYTES
from embedtune.records.csv.ingest import ingest_csv
from embedtune.records.csv.options import CSVOptions, CSVSource, IngestRequest
from embedtune.records.csv.reader import FIELD_LIMIT
from embedtune.records.output import open_output
from embedtune.records.rows import CSVFacts, IngestReport, read_rows

LABELLED = "Hello!,greeting\nHi there.,greeting\nSee you,farewell\nBye,farewell\n"


@dataclass
class Outcome:
    report: IngestReport
    rows: list[tuple]
    quarantine: list[list[str]]


@dataclass
class Ingest:
    folder: Path

    def __call__(self, content: str | bytes, layout="auto", share=0.0, options: CSVOptions | None = None) -> Outcome:
        source = self.folder / "source.csv"
        source.write_bytes(content.encode() if isinstance(content, str) else content)
        options = CSVOptions() if options is None else options
        with open_output(self.rows, self.bad, share) as output:
            report = ingest_csv([CSVSource(source, str(source))], output, IngestRequest(layout, options))
        found, table = read_rows(self.rows)
        assert (found.layout, found.modalities) == (report.layout, report.modalities)
        return Outcome(report, list(zip(*table.to_pydict().values(), strict=True)), self.quarantine())

    def quarantine(self) -> list[list[str]]:
        with self.bad.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))

    @property
    def rows(self) -> Path:
        return self.folder / "out" / "rows.parquet"

    @property
    def bad(self) -> Path:
        return self.folder / "out" / "quarantine.csv"


@pytest.fixture
def ingest(tmp_path):
    return Ingest(tmp_path)


def test_plain_labelled_rows(ingest):
    done = ingest(LABELLED)
    assert done.rows == [
        (1, "Hello!", "greeting"),
        (2, "Hi there.", "greeting"),
        (3, "See you", "farewell"),
        (4, "Bye", "farewell"),
    ]
    assert done.quarantine == [["line", "reason", "row"]]
    assert done.report == IngestReport(
        rows=4,
        bad_rows=0,
        layout="labelled",
        modalities=("text",),
        csv=CSVFacts(
            dialect="excel",
            delimiter=",",
            quoting=True,
            skip_blanks=False,
            typographic=False,
            encoding="utf-8",
            header=False,
            columns=("column 1", "column 2"),
            columns_used=("column 1", "column 2"),
            detected=("layout", "modalities", "dialect", "encoding", "header"),
        ),
    )


def test_description_tells_what_was_detected(ingest):
    done = ingest('label,text\nx,"a, b"\nx,c\ny,d\n', "labelled", options=CSVOptions(header="yes"))
    assert done.rows == [(2, "a, b", "x"), (3, "c", "x"), (4, "d", "y")]
    assert done.report.describe() == (
        "3 rows, 0 set aside; layout labelled, as set; contents text, detected; "
        "dialect excel (delimiter ','), detected; encoding utf-8, detected; "
        "header yes, as set; columns used: text and label of 2"
    )


def test_lines_are_physical_lines(ingest):
    done = ingest('text,label\r\n"one\r\ntwo",a\r\n\r\n  \r\n"three ""3""\nfour",a\r\nfive,b', "labelled")
    assert done.rows == [(2, "one\r\ntwo", "a"), (6, 'three "3"\nfour', "a"), (8, "five", "b")]


def test_old_mac_line_ends(ingest):
    assert ingest("a,x\rb,x\rc,y\r", "labelled").rows == [(1, "a", "x"), (2, "b", "x"), (3, "c", "y")]


def test_values_are_stripped_and_otherwise_kept(ingest):
    decomposed = "cafe\u0301"
    done = ingest(f"\u00a0 {decomposed}\u2003, x \nb,\tx\nc,y\n", "labelled", options=CSVOptions(dialect="excel"))
    assert done.rows[0] == (1, decomposed, "x")
    assert done.rows[1] == (2, "b", "x")


def test_bad_rows_are_set_aside_with_line_and_reason(ingest):
    content = (
        "text,label\n"
        "good,a\n"
        "one, two,a\n"
        "alone\n"
        ",a\n"
        "no label, \n"
        '"open" quote,a\n'
        "=cmd(),a,b\n"
        "nul\0,a\n"
        "nul in the label,\0a\n"
        "fine,a\n"
        "other,b\n"
        '"never closed,b\n'
        "last,b\n"
    )
    done = ingest(content, share=0.8, options=CSVOptions(dialect="excel"))
    assert done.rows == [(2, "good", "a"), (11, "fine", "a"), (12, "other", "b")]
    wide = "3 columns instead of 2; a value that contains the delimiter must stand in quotes"
    open_quote = "part of the malformed row of lines 13 to 14: a quote is opened and never closed"
    assert done.quarantine[1:] == [
        ["3", wide, "one, two,a"],
        ["4", "1 columns instead of 2", "alone"],
        ["5", "the content is empty", ",a"],
        ["6", "the label is empty", "no label, "],
        ["7", "text follows a closing quote; a quote inside a quoted value is written twice", '"open" quote,a'],
        ["8", wide, "'=cmd(),a,b"],
        ["9", "a value contains a NUL character", "nul\0,a"],
        ["10", "a value contains a NUL character", "nul in the label,\0a"],
        ["13", open_quote, '"never closed,b'],
        ["14", open_quote, "last,b"],
    ]
    assert done.report.bad_rows == 10


@pytest.mark.parametrize("sign", ["\u200b", "\ufeff", "\u2060", "\u00ad", "\u2800", "\u3164", "\u00a0", "\u200e\u00a0"])
def test_cells_that_nobody_can_see_are_empty(ingest, sign):
    done = ingest(f"text,label\n{LABELLED}{sign},greeting\nunlabelled,{sign}\n", share=0.5)
    assert (done.report.rows, done.quarantine[1:]) == (
        4,
        [["6", "the content is empty", f"{sign},greeting"], ["7", "the label is empty", f"unlabelled,{sign}"]],
    )


def test_too_many_bad_rows_fail_after_the_whole_file(ingest):
    content = LABELLED + "".join(f"bad {i}\n" for i in range(4)) + "Cheers,greeting\n"
    with pytest.raises(InputError) as caught:
        ingest(content, share=0.4)
    message = str(caught.value)
    assert "4 of 9 rows (44.44%) cannot be used, max_bad_share allows 0.4" in message
    assert "line 5: 1 columns instead of 2: 'bad 0'; line 6:" in message
    assert "line 8" not in message
    assert str(ingest.bad) in message
    assert [row[0] for row in ingest.quarantine()[1:]] == ["5", "6", "7", "8"]
    assert [path.name for path in ingest.bad.parent.iterdir()] == ["quarantine.csv"]


def test_the_accepted_share_is_inclusive(ingest):
    assert ingest(LABELLED + "bad\n", share=0.2).report.bad_rows == 1
    with pytest.raises(InputError, match="max_bad_share"):
        ingest(LABELLED + "bad\n", share=0.19)


def test_no_row_left(ingest):
    with pytest.raises(InputError, match=r"2 of 2 rows \(100.00%\) cannot be used, nothing is left"):
        ingest(",a\n,b\n", "labelled", share=1.0)


def test_an_error_leaves_an_older_output_alone(ingest):
    ingest(LABELLED)
    with pytest.raises(InputError, match="not valid utf-8"):
        ingest(b"a,b\n" * 600_000 + b"\xff,c\n", "labelled")
    assert read_rows(ingest.rows)[1].num_rows == 4
    assert sorted(path.name for path in ingest.bad.parent.iterdir()) == ["quarantine.csv", "rows.parquet"]


@pytest.mark.parametrize(
    ("encoding", "found"),
    [("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16"), ("utf-32", "utf-32"), ("utf-8", "utf-8")],
)
def test_byte_order_marks(ingest, encoding, found):
    done = ingest("text,label\nGrüße,a\nHallo,a\nTschüß,b\n".encode(encoding))
    assert done.rows[0] == (2, "Grüße", "a")
    assert (done.report.csv.encoding, done.report.csv.header) == (found, True)


@pytest.mark.parametrize(
    ("name", "written"), [("cp1252", "cp1252"), ("utf-8", "utf-8-sig"), ("utf-16-le", "utf-16-le")]
)
def test_encoding_can_be_set(ingest, name, written):
    done = ingest("Grüße,a\nHallo,a\nTschüß,b\n".encode(written), "labelled", options=CSVOptions(encoding=name))
    assert done.rows[0] == (1, "Grüße", "a")


@pytest.mark.parametrize("filler", [0, SAMPLE_BYTES // 4 - 1, SAMPLE_BYTES])
def test_undecodable_bytes_are_placed(ingest, filler):
    before = b"b,a\n" * filler + "Grüße,a\r\n".encode()
    with pytest.raises(InputError) as caught:
        ingest(before + b"Gr\xfc\xdfe,a\n", "labelled")
    assert f"byte {len(before) + 2} (hex fc) on line {filler + 2}" in str(caught.value)
    assert "`encoding`" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "written", "named"),
    [
        ("Größe und Maß", "cp1252", ["cp1252", "cp1251", "cp932"]),
        ("добрый день", "cp1251", ["cp1252", "cp1251", "cp932", "gb18030", "cp949"]),
        ("赤いドレスの写真", "cp932", ["cp1251", "cp932", "gb18030"]),
        ("红色的连衣裙和蓝色的鞋子", "gb18030", ["cp1252", "cp1251", "gb18030"]),
        ("빨간 드레스", "cp949", ["cp1252", "cp1251", "cp932", "gb18030", "cp949"]),
    ],
)
def test_encodings_that_allow_the_bytes_are_named(ingest, text, written, named):
    with pytest.raises(InputError) as caught:
        ingest("ä,a\n".encode() + f"{text},b\n".encode(written), "labelled")
    told = str(caught.value).partition("the one it is in, perhaps ")[2]
    assert [each.split()[0] for each in told.split(", ")] == named
    assert told.endswith(").")


def test_no_encoding_is_named_that_was_tried_or_does_not_allow_the_bytes(ingest):
    with pytest.raises(InputError, match=r"to the one it is in\.$"):
        ingest(b"text,label\n\x81\x20\x98\xff,a\n", "labelled")
    with pytest.raises(InputError, match="is not valid windows-1252") as caught:
        ingest(b"a,b\n\x81,a\n", "labelled", options=CSVOptions(encoding="windows-1252"))
    assert "perhaps cp1251 (Cyrillic)" in str(caught.value)


def test_a_character_cut_by_the_sample_is_not_an_error(ingest):
    row = "Grüße aus München,a\n"
    rows = SAMPLE_BYTES // len(row.encode()) + 10
    for shift in range(3):
        content = "x" * shift + row * rows + "b,b\n"
        assert ingest(content, "labelled").report.rows == rows + 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b" \n\n", "nothing but white space"),
        (b"text,label\n", "header .text, label. but not one row"),
        ("Grüße,a\nHallo,b\n".encode("utf-16-le"), "NUL bytes.*utf-16-le"),
        ("質問,a\n答え,b\n".encode("iso2022_jp"), "ISO-2022-JP by its escape sequences.*`encoding` to iso2022_jp"),
        ("Grüße,a\nHallo,b\n".encode("utf-16-be"), "NUL bytes.*utf-16-be"),
        (b"text,label\na,x\n" + bytes(200), r"ends in NUL bytes \(200 of its first 215\).*rows are lost"),
        (b"PK\x03\x04..xl/workbook.xml", "no table but an Excel workbook; export the sheet as CSV"),
        (b"PK\x03\x04..word/document.xml", "no table but a Word document"),
        (b"PK\x03\x04..a.csv", "no table but a ZIP archive whose name"),
        (b"\x1f\x8babc", "gzip"),
        (lzma.compress(b"text,label\na,x\n"), "compressed with xz; unpack it"),
        (b"\x28\xb5\x2f\xfd\x00", "compressed with zstd; unpack it"),
        (b"%PDF-1.7\n%\xe2\xe3", "no table but a PDF"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "older Office programs"),
        (b"SQLite format 3\0" + bytes(600), "an SQLite database"),
        (pickle.dumps(["a"]), "a pickle, which is never opened"),
        (b"\x93NUMPY\x01\0", "an array of NumPy"),
        (b"{\\rtf1\\ansi a,b}", "Rich Text Format"),
        (b"\x89PNG\r\n\x1a\n", "an image; give a folder per class"),
        (b"PAR1abc", "no whole Parquet file"),
        (b"a,x\nb,x\nc,x\n", "all rows have the same label 'x'"),
        (b"text,label\na,x\nb,y\n", "every label occurs once"),
        (b"question,answer\na,x\na,y\n", "all rows have the same query 'a'"),
        (b"question,answer\na,x\nb,x\n", "all rows have the same document 'x'"),
        (b"question,answer\na,a\nb,b\n", "the query is the document itself"),
        (b"question,answer\na,x\na,x\n", "all rows have the same query"),
    ],
)
def test_unusable_files(ingest, content, message):
    with pytest.raises(InputError, match=message):
        ingest(content)
    assert not ingest.rows.exists()


def test_one_column_where_two_are_needed(ingest):
    with pytest.raises(InputError, match=r"one column: neither comma.*'plain' if each row is one text"):
        ingest("a^x\nb^y\n", "pairs")


def test_a_first_quote_that_swallows_the_file(ingest):
    with pytest.raises(InputError, match="without one well-formed row; perhaps a quote is never closed"):
        ingest('"a,x\nb,x\nc,y\n', options=CSVOptions(dialect="excel"))


def test_a_folder_and_a_missing_file(ingest, tmp_path):
    with pytest.raises(InputError, match="is a folder"), open_output(ingest.rows, ingest.bad) as output:
        ingest_csv([CSVSource(tmp_path, "here")], output, IngestRequest())
    message = r"s3://data/none\.csv does not exist"
    with pytest.raises(StorageError, match=message), open_output(ingest.rows, ingest.bad) as output:
        ingest_csv([CSVSource(tmp_path / "none.csv", "s3://data/none.csv")], output, IngestRequest())


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_max_bad_share_is_checked(ingest, share):
    with pytest.raises(ConfigError, match="max_bad_share"):
        ingest(LABELLED, share=share)


def test_layout_is_checked(ingest):
    with pytest.raises(ConfigError, match=r"layout='scores' is not accepted\. Choose one of auto, labelled, pairs"):
        ingest(LABELLED, layout="scores")


def test_a_quote_never_closed_costs_a_bounded_part(ingest):
    lines = FIELD_LIMIT // 10
    content = LABELLED + '"stray,greeting\n' + "filler,greeting\n" * (2 * lines) + "Cheers,greeting\n"
    done = ingest(content, "labelled", share=0.6, options=CSVOptions(dialect="excel"))
    swallowed = done.report.bad_rows
    assert FIELD_LIMIT // 16 <= swallowed <= FIELD_LIMIT // 16 + 2
    assert done.report.rows == 4 + 1 + 2 * lines + 1 - swallowed
    assert done.rows[4][0] == 5 + swallowed
    assert "lines 5 to" in done.quarantine[1][1]
    assert "never closed" in done.quarantine[1][1]


@pytest.mark.parametrize(
    "long", ["x" * 1001, ",".join("x" * 501), '"' + "x," * 2000 + '",y', '"' + "x" * 5001 + '\ny",']
)
def test_a_line_that_is_too_long_costs_its_row(ingest, monkeypatch, long):
    monkeypatch.setattr(reader, "LINE_LIMIT", 1000)
    done = ingest(f"{LABELLED}{long}\n{LABELLED}", share=0.5)
    last = 5 + long.count("\n")
    assert [row[0] for row in done.rows] == [1, 2, 3, 4, *range(last + 1, last + 5)]
    line, reason, text = done.quarantine[1]
    assert (line, len(text.lstrip("'"))) == ("5", 1001)
    assert "a line has more than" in reason
    assert done.report.bad_rows == 1 + long.count("\n")
    with pytest.raises(InputError, match=r"1 of 5 rows.*a line has more than"):
        ingest(LABELLED + long.partition("\n")[0])


@pytest.mark.parametrize("header", ["text,label\n", ""])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_one_cell_of_megabytes_costs_its_row_wherever_it_stands(ingest, header, place):
    lines = LABELLED.splitlines(keepends=True)
    lines.insert(place, "x" * 5_000_000 + ",greeting\n")
    done = ingest(header + "".join(lines), share=0.2)
    first = 2 if header else 1
    assert [row[1:] for row in done.rows] == [tuple(line.strip().split(",")) for line in LABELLED.splitlines()]
    assert [(int(row[0]), row[1]) for row in done.quarantine[1:]] == [
        (first + place, "a line has more than 4194304 characters; one row per line is expected")
    ]


@pytest.mark.parametrize("junk", [",", " , ", '"",""', ",,,", "\t,\t", "\x1a"])
def test_rows_of_nothing_but_delimiters_are_blank(ingest, junk):
    rows = [row for _, *row in ingest(LABELLED).rows]
    lines = LABELLED.splitlines()
    contents = {
        "above": [junk, *lines],
        "between": [lines[0], *[junk] * 30, *lines[1:]],
        "at the end": [*lines, *[junk] * 30],
    }
    for place, written in contents.items():
        done = ingest("\n".join(written) + "\n")
        assert [row for _, *row in done.rows] == rows, place
        assert done.rows[-1][0] == (4 if place == "at the end" else len(written))
        assert done.quarantine == [["line", "reason", "row"]]
        count = len(written) - 4
        told = f"Passed over as blank: {count} rows without any value."
        assert done.report.notes == ((told,) if "," in junk else ())
    header = ingest("\n".join([junk, "text,label", *lines]) + "\n")
    assert [row for _, *row in header.rows] == rows
    assert header.report.csv.columns == ("text", "label")


@pytest.mark.parametrize("ends", [("", ",,"), (",,", ""), (",,", ",,"), (",, ", ",,,,"), (";;", " ; ;")])
def test_empty_columns_at_the_right_are_none(ingest, ends):
    delimiter = ";" if ";" in ends[0] else ","
    names, values = ends
    lines = [line.replace(",", delimiter) + values for line in LABELLED.splitlines()]
    done = ingest("\n".join([f"text{delimiter}label{names}", *lines]))
    assert done.rows == [(line + 1, *row) for line, *row in ingest(LABELLED).rows]
    assert done.report.csv.columns == ("text", "label")
    assert [row[1:] for row in ingest("\n".join(lines)).rows] == [row[1:] for row in done.rows]


def test_a_label_without_a_text_stays_a_bad_row(ingest):
    done = ingest("text,label,,\n" + LABELLED + ",greeting,,\nHello again,,,\n,,,\n", share=0.5)
    assert done.quarantine[1:] == [
        ["6", "the content is empty", ",greeting,,"],
        ["7", "the label is empty", "Hello again,,,"],
    ]


@pytest.mark.parametrize("end", ["\x1a", "\n\x1a", "\n\x1a\x1a\x1a", "\r\n\x1a\r\n", "\n\x1aWow,greeting"])
def test_the_sign_with_which_dos_ends_a_file(ingest, end):
    done = ingest(LABELLED.rstrip("\n") + end)
    assert done.rows[:4] == ingest(LABELLED).rows
    assert [row[1] for row in done.rows[4:]] == (["\x1aWow"] if "Wow" in end else [])


def test_that_sign_on_a_line_of_a_quoted_value_is_a_part_of_it(ingest):
    done = ingest(LABELLED + '"Wow\n\x1a\r\nagain",greeting\n')
    assert done.rows[:4] == ingest(LABELLED).rows
    assert [row[1:] for row in done.rows[4:]] == [("Wow\n\x1a\r\nagain", "greeting")]


def test_an_output_that_cannot_be_written(ingest, tmp_path):
    (tmp_path / "out").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        ingest(LABELLED)


def test_a_full_disk_is_a_storage_error(tmp_path):
    source = tmp_path / "source.csv"
    source.write_text(LABELLED * 100 + f"{'bad ' * 500}\n" * 100)
    outputs = (tmp_path / "rows.parquet", tmp_path / "quarantine.csv")
    request = IngestRequest("labelled", CSVOptions(dialect="excel", header="no"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        message = r"cannot be written: .*File too large"
        with pytest.raises(StorageError, match=message), open_output(*outputs, max_bad_share=1) as output:
            ingest_csv([CSVSource(source, str(source))], output, request)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["source.csv"]


def test_the_line_in_which_excel_names_the_delimiter(ingest):
    rows = "Hello, you;greeting\nHi, you;greeting\nBye;farewell\n"
    done = ingest(f"sep=;\ntext;label\n{rows}no label;\n", share=0.5)
    assert (done.report.csv.delimiter, done.report.csv.header) == (";", True)
    assert done.rows[0] == (3, "Hello, you", "greeting")
    assert done.quarantine[1] == ["6", "the label is empty", "no label;"]
    assert ingest(f"sep=;\r\ntext;label\r\n{rows}", options=CSVOptions(dialect="semicolon")).rows == done.rows
    with pytest.raises(InputError, match="names the delimiter '\\^'"):
        ingest("sep=^\na^b\n")


def test_refused_rows_are_shown_because_the_file_is_lost_with_a_pod(ingest, capsys):
    with pytest.raises(InputError):
        ingest(LABELLED * 8 + "".join(f"bad {i}\n" for i in range(25)), "labelled", share=0.4)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "The first 20 of 25 rows that cannot be used:"
    assert lines[1] == "  line 33: 1 columns instead of 2: 'bad 0'"
    assert len(lines) == 21
