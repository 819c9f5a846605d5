"""One column of a CSV: every row or an error with its line."""

import csv
import json

import pytest

from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.records.csv.options import CSVOptions
from embedtune.records.csv.texts import read_texts


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "texts.csv"

    def texts(content, column="", **options):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_texts(path, column, CSVOptions.from_json(json.dumps(options)))

    return texts


@pytest.mark.parametrize(
    ("content", "column"),
    [
        ("text;label\na, b;x\nc;y\n", ""),
        ("id,text\n1,\"a, b\"\n2,c\n", "text"),
        ("id,text\n1,\"a, b\"\n2,c\n", "2"),
        (",text,label\n0,\"a, b\",x\n1,c,y\n", "text"),
        ("sep=;\ntext;label\na, b;x\nc;y\n", ""),
        ("utterance_de,kind\n\"a, b\",x\nc,y\n", "utterance_de"),
        ("\"a, b\"\nc\n", ""),
        ("a, b\nc\n\n", ""),
        ("mine\na, b\nc\n", "mine"),
    ],
)  # fmt: skip
def test_texts_of_a_column(read, content, column):
    options = {"dialect": "lines"} if content == "a, b\nc\n\n" else {}
    assert read(content, column, **options).values == ["a, b", "c"]


def test_a_file_of_lines_keeps_commas_quotes_and_every_line(read):
    lines = ["Hello, world", "no comma", 'say "hi" to them', "a | b", "or; so", "none"]
    assert read("\n".join(lines)).values == lines


def test_what_csv_writes_in_one_column_is_read_back(tmp_path):
    texts = ["a, b", 'a "quoted" one', "two\nlines", "plain"]
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([text] for text in texts)
    assert read_texts(tmp_path / "a.csv", "", CSVOptions()).values == texts


@pytest.mark.parametrize(("encoding", "option"), [("utf-16", "auto"), ("utf-8-sig", "auto"), ("cp1252", "cp1252")])
def test_encodings(read, encoding, option):
    assert read("text,label\nGröße,a\nMaß,b\n".encode(encoding), encoding=option).values == ["Größe", "Maß"]


def test_a_usual_name_above_a_single_column_is_a_header_unless_it_comes_again(read):
    assert read("Review\nprice\nreturns\n").values == ["price", "returns"]
    assert read("Review\nprice\nReview\n").values == ["Review", "price", "Review"]
    assert read("Review\nprice\n", header="no").values == ["Review", "price"]
    assert read("Review\nprice\n", header="yes").values == ["price"]
    assert read("Review\nprice\n", "Review").values == ["price"]


def test_what_was_read_is_described(read):
    assert read("text;label\na;x\nb;y\n").description.partition("texts.csv: ")[2] == (
        "2 texts of 'text' (1 of 2 columns), read as semicolon with delimiter ';'; utf-8; header yes"
    )
    assert read("one\ntwo\n").description.partition("texts.csv: ")[2] == (
        "2 texts of 'column 1' (1 of 1 columns), read as lines, one text per row; utf-8; header no"
    )


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        ("text,label\na,x\n\nb,y\n", "", "line 3 is blank"),
        ('a\n""\nb\n', "", "line 2 is blank"),
        ("text,label\na,x\n ,y\n", "", "line 3: the text is empty"),
        ("text,label\na,x\n\u3164,y\n", "", "line 3: the text is empty"),
        ("text,label\na,x\nb\nc,z\n", "", "line 3: 1 columns instead of 2: 'b'"),
        ("text,label\na,x\nb, c,y\nd,z\n", "", "line 3: 3 columns instead of 2"),
        ('text,label\n"a","x"\n"c","y"\n"b,y\nc,z\n', "", "line 4: .*a quote is opened and never closed"),
        ("a,b\nc,d\n", "", "2 columns and no header"),
        ("text,label\na,x\nb,y\n", "title", "no column 'title'. Its columns: text, label"),
        ("text,label\na,x\nb,y\n", "3", "no column '3'"),
        ("text,label\na,x\nb,y\n", "0", "no column '0'"),
        ("text,label\n", "text", "no texts below its header"),
        (" \n\n", "", "without one well-formed row"),
        ("sep=^\na^b\n", "", "names the delimiter '\\^'"),
        (b"text,label\nGr\xf6\xdfe,a\nb,c\n", "", "not valid utf-8: byte 13"),
        (b"", "", "is empty"),
    ],
)
def test_nothing_is_skipped(read, content, column, message):
    with pytest.raises(InputError, match=message):
        read(content, column)


def test_missing_file(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        read_texts(tmp_path / "none.csv", "", CSVOptions())


def test_options_that_would_drop_rows_are_refused(read):
    with pytest.raises(ConfigError, match=r"CSV option size=1 means nothing here.*Accepted: dialect, encoding, header"):
        read("a\nb\n", size=1)


def test_the_header_is_told_as_for_a_run(read):
    rows = "".join(f"{i},How do I mend lamp {i}?,kind {i % 2}\n" for i in range(30))
    assert len(read(f",Anliegen,Bereich\n{rows}").values) == 30
    assert read(f"Anliegen,Bereich\n{rows}").values[0] == "How do I mend lamp 0?"
    pairs = "".join(f"mend lamp {i},kind {i % 2}\n" for i in range(30))
    with pytest.raises(InputError, match=r"line 32: the header again: 'Text,label'"):
        read(f"text,label\n{pairs}Text,label\n{pairs}")
    few = read("Hello,greeting\n" + "".join(f"My parcel {i} is late,{'ab'[i % 2]}\n" for i in range(12)), "1")
    assert "taken for names of the columns. Set the CSV option `header` to 'no'" in few.description


MENDED = [f"How do I mend lamp {i}?" for i in range(30)]


@pytest.mark.parametrize("name", ["text", "Anliegen"])
@pytest.mark.parametrize("footer", ["30 rows", "Total: 30", "(30 rows)"])
def test_a_footer_of_a_single_column_is_no_text(read, name, footer):
    found = read("\n".join([name, *MENDED, "", footer]) + "\n", header="yes")
    assert found.values == MENDED
    assert found.description.endswith(f"header yes. 1 row set aside as a footer, on line 33 first: '{footer}'.")


def test_what_only_reads_like_a_footer_is_a_text_and_told(read):
    found = read("\n".join(["text", *MENDED, "29 rows"]))
    assert found.values == [*MENDED, "29 rows"]
    assert "A row at the end, '29 rows', reads like a footer and was taken for data." in found.description


def test_a_footer_below_several_columns(read):
    rows = [f"{text},{'ab'[i % 2]}" for i, text in enumerate(MENDED)]
    found = read("\n".join(["text,label", "free text,category", *rows, "Total,30", "Generated by the shop"]))
    assert found.values == MENDED
    assert "1 row set aside as a second row of names, on line 2 first" in found.description
    assert "2 rows set aside as a footer, on line 33 first: 'Total,30'." in found.description
    with pytest.raises(InputError, match="line 32: 1 columns instead of 2: 'Total'"):
        read("\n".join(["text,label", *rows, "Total", *rows]))
    with pytest.raises(InputError, match="line 32 is blank"):
        read("\n".join(["text,label", *rows, "", *rows]))


@pytest.mark.parametrize("name", ["text", "Anliegen"])
def test_the_name_of_a_single_column_that_comes_again(read, name):
    rows = [name, *MENDED[:12], name, *MENDED[12:]]
    again = rf"line 14: the header again: '{name}'"
    with pytest.raises(InputError, match=again):
        read("\n".join(rows), header="yes")
    if name == "text":
        with pytest.raises(InputError, match=again):
            read("\n".join(rows))
        return
    found = read("\n".join(rows))
    assert found.values == rows
    assert "The first row, 'Anliegen', was taken for data. Set the CSV option `header` to 'yes'" in found.description
