"""Rows of every layout, good and bad."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from embedtune.errors import InputError
from embedtune.records.csv.ingest import ingest_csv
from embedtune.records.csv.options import CSVOptions, CSVSource, IngestRequest
from embedtune.records.layouts import Layout, Modality
from embedtune.records.output import open_output
from embedtune.records.rows import RowsFormat, read_rows

TEXT, IMAGE, MESH = Modality.TEXT, Modality.IMAGE, Modality.MESH


@pytest.fixture
def ingest(tmp_path):
    def read(content, layout="auto", share=1.0, whole=True, **options):
        source = tmp_path / "source.csv"
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
        request = IngestRequest(layout, CSVOptions.from_json(json.dumps(options)), whole)
        outputs = (tmp_path / "rows.parquet", tmp_path / "bad.csv")
        with open_output(*outputs, share) as output:
            report = ingest_csv([CSVSource(source, "source.csv")], output, request)
        found, table = read_rows(outputs[0])
        with outputs[1].open(encoding="utf-8", newline="") as file:
            bad = [(int(line), reason) for line, reason, _ in list(csv.reader(file))[1:]]
        assert (report.rows, report.bad_rows) == (table.num_rows, len(bad))
        return found, [tuple(row.values()) for row in table.to_pylist()], bad

    return read


def test_scores(ingest):
    content = (
        "first,second,score\na,b,0.5\nc,d,1\ne,f,-0\n"
        "g,h,1.01\ni,j,-0.1\nk,l,nan\nm,n,inf\no,p,high\nq,r,\n,t,0.5\nu,v,1_0\nw,x,1e-2\ny,z,٠\n"
    )
    found, rows, bad = ingest(content)
    assert found == RowsFormat(Layout.SCORED, (TEXT, TEXT))
    assert rows == [(2, "a", "b", 0.5), (3, "c", "d", 1.0), (4, "e", "f", 0.0), (13, "w", "x", pytest.approx(0.01))]
    assert bad == [
        (5, "the score 1.01 is not from 0 to 1; scores of 0 to 5, for instance, are divided by 5"),
        (6, "the score -0.1 is not from 0 to 1"),
        (7, "the score 'nan' is not a number from 0 to 1"),
        (8, "the score 'inf' is not a number from 0 to 1"),
        (9, "the score 'high' is not a number from 0 to 1"),
        (10, "the score is empty"),
        (11, "the first is empty"),
        (12, "the score '1_0' is not a number from 0 to 1"),
        (14, "the score '٠' is not a number from 0 to 1"),
    ]


def test_scores_with_a_decimal_comma_and_huge_ones(ingest):
    content = f"a;b;0,25\nc;d;0,5\ne;f;1\ng;h;{'9' * 400}\ni;j;1e999999\nk;l;1e-9999999\n"
    _, rows, bad = ingest(content, "scored")
    assert [row[3] for row in rows] == [0.25, 0.5, 1.0, 0.0]
    assert [line for line, _ in bad] == [4, 5]


def test_matches(ingest):
    content = (
        "question,answer,wrong_answer_1,negative,id\n"
        "q1,a1,w1,w2,1\n"
        "q2,a2,,w3,2\n"
        "q3,a3,w4,w4,3\n"
        "q4,a4,,,4\n"
        "q5,,w5,,5\n"
        ",a6,w6,,6\n"
        "q7,a7,w7,a7,7\n"
    )
    found, rows, bad = ingest(content)
    assert found == RowsFormat(Layout.MATCHES, (TEXT, TEXT))
    assert rows == [
        (2, "q1", "a1", 1.0),
        (2, "q1", "w1", 0.0),
        (2, "q1", "w2", 0.0),
        (3, "q2", "a2", 1.0),
        (3, "q2", "w3", 0.0),
        (4, "q3", "a3", 1.0),
        (4, "q3", "w4", 0.0),
    ]
    assert bad == [
        (5, "the wrong answer is empty"),
        (6, "the answer is empty"),
        (7, "the query is empty"),
        (8, "a wrong answer is the answer itself"),
    ]


def test_plain_texts(ingest):
    found, rows, bad = ingest("Hello, world\nno comma\n \nthird one\n")
    assert (found.layout, rows, bad) == (
        Layout.PLAIN,
        [(1, "Hello, world"), (2, "no comma"), (4, "third one")],
        [],
    )
    assert ingest("one,two,,four,five\n")[1] == [(1, "one"), (1, "two"), (1, "four"), (1, "five")]
    assert ingest("a,b\nc,\n,\n", "plain", dialect="excel")[1:] == (
        [(1, "a"), (1, "b"), (2, "c")],
        [],
    )
    assert ingest("id,text\n1,a\n2,b\n", "plain")[1] == [(2, "a"), (3, "b")]
    assert ingest("text\na\nb\n")[1] == [(2, "a"), (3, "b")]


def test_text_and_image(ingest):
    content = "image,text\nimg/a.jpg,an apple\nan orange,img/b.jpg\nhttps://x.org/?id=3,a pear\nimg/4,a plum\nc.png,\n"
    found, rows, bad = ingest(content)
    assert found == RowsFormat(Layout.TEXT_IMAGE, (TEXT, IMAGE), loaded=False)
    assert rows == [(2, "an apple", "img/a.jpg"), (4, "a pear", "https://x.org/?id=3"), (5, "a plum", "img/4")]
    assert bad == [(3, "the image 'an orange' is no address of an image"), (6, "the text is empty")]


def test_media_stay_addresses(ingest):
    found, rows, _ = ingest("a.off,chair\nb.OFF,chair\nc.stl,desk\n")
    assert (found, rows[1]) == (RowsFormat(Layout.LABELLED, (MESH,), loaded=False), (2, "b.OFF", "chair"))
    told = "the document 'nothing here' is no address of an image"
    found, rows, bad = ingest("a.jpg,b.jpg\nb.jpg,c.jpg\nd.jpg,nothing here\n", "pairs", task="image-to-image")
    assert found == RowsFormat(Layout.PAIRS, (IMAGE, IMAGE), loaded=False)
    assert bad == [(3, told)]
    images = "a.png,b.png,c.png,d.png\nb.png,c.png,d.png,nothing here\n"
    assert ingest(images, "matches", task="image-to-image")[2] == [(2, told)]
    found, rows, _ = ingest("a.png,b.png,0.2\nc.png,d.png,1\n")
    assert (found.layout, found.loaded) == (Layout.SCORED, False)


def test_texts_that_end_like_an_image_are_texts(ingest):
    content = "Where is logo.png,a\nlogo.png,a\nhttps://a.org/b.png,b\nSee /tmp/x.jpg,b\nHello,a\nYes,b\nNo,b\n"
    found, rows, _ = ingest(content)
    assert (found.modalities, found.loaded, len(rows)) == ((TEXT,), True, 7)
    names = "invoice.png,a\nlogo.png,b\nlogo2.png,a\nscan.png,b\n"
    assert ingest(names, is_labeled=True, task="text-to-text")[0].modalities == (TEXT,)
    assert ingest(names, is_labeled=True)[0].modalities == (IMAGE,)


def test_size_counts_rows_of_the_source_that_are_kept(ingest):
    content = "question,answer,wrong_answer\n" + "".join(f"q{i},a{i},w{i}\n" for i in range(20))
    assert len(ingest(content, size=5)[1]) == 10
    bad_first = "text,label\n,a\nb,a\nc,a\nd,e\nf,e\n"
    assert ingest(bad_first, size=3)[1] == [(3, "b", "a"), (4, "c", "a"), (5, "d", "e")]
    assert len(ingest(bad_first, size=100)[1]) == 4


def test_sampling_keeps_a_share_and_the_same_rows_each_time(ingest):
    content = "text,label\n" + "".join(f"text {i},{i % 7}\n" for i in range(5000))
    first = ingest(content, sampling_rate=0.3)[1]
    assert (len(first), [row[0] for row in first[:8]]) == (1458, [3, 5, 9, 10, 12, 16, 22, 23])
    assert ingest(content, sampling_rate=0.3)[1] == first
    assert ingest(content, sampling_rate=0.3, seed=1)[1] != first
    assert ingest(content, sampling_rate=0.3, size=100)[1] == first[:100]
    assert len(ingest(content, sampling_rate=1)[1]) == 5000
    with pytest.raises(InputError, match="no row is left, because the sampling_rate kept none"):
        ingest("a,x\nb,x\nc,y\n", "labelled", sampling_rate=1e-9)


@pytest.mark.parametrize(
    ("content", "layout", "message"),
    [
        ("a,b,0.5\nc,d,0.5\n", "auto", "all rows have the same score 0.5"),
        ("a,a,0.5\nc,c,0.7\n", "auto", "in every row the first is the second itself"),
        ("an apple,a.jpg\na red apple,a.jpg\n", "auto", "all rows have the same image 'a.jpg'"),
        ("an apple,a.jpg\nan apple,b.jpg\n", "text-image", "all rows have the same text 'an apple'"),
        ("a,x\nb,y\n", "labelled", "every label occurs once"),
    ],
)
def test_rows_that_teach_nothing(ingest, content, layout, message):
    with pytest.raises(InputError, match=message):
        ingest(content, layout)
    assert len(ingest(content, layout, whole=False)[1]) == 2


def test_a_label_may_repeat_in_another_batch(ingest, monkeypatch):
    monkeypatch.setattr("embedtune.records.output._BATCH_ROWS", 1)
    assert len(ingest("a,x\nb,y\nc,x\n", "labelled")[1]) == 3
    with pytest.raises(InputError, match="every label occurs once"):
        ingest("a,x\nb,y\nc,z\n", "labelled")


@pytest.mark.parametrize("layout", ["scored", "matches"])
def test_a_lone_column_is_refused_for_each_layout(ingest, layout):
    with pytest.raises(InputError, match="needs 3"):
        ingest("a,b\nc,d\n", layout)


def test_hostile_values(ingest):
    content = b"a\x00b,c,0.5\n" + b"x" * 100_000 + b",y,0.1\n" + b"=1+1,@cmd,0.2\n\xe2\x80\xaea,\xf0\x9f\x98\x80,0.3\n"
    _, rows, bad = ingest(content, "scored")
    assert [row[0] for row in rows] == [2, 3, 4]
    assert bad == [(1, "a value contains a NUL character")]
    assert rows[1][1:3] == ("=1+1", "@cmd")


def test_schema_on_disk(ingest, tmp_path):
    ingest("a,b,0.5\nc,d,0.1\n")
    schema = pq.read_schema(tmp_path / "rows.parquet")
    assert schema.equals(RowsFormat(Layout.SCORED, (TEXT, TEXT)).schema)
    assert [str(field.type) for field in schema] == ["int64", "string", "string", "float"]


def test_values_with_the_delimiter_in_any_quotes(ingest):
    labels = '"labels with, commas"'
    for content in (
        f"a, {labels}\nb,{labels}\nc, plain\n",
        f"\ufeffa,{labels}\r\n\r\nb,  {labels}\r\nc,plain\r\n",
        "“a”, “labels with, commas”\n“b”,“labels with, commas”\n“c”, “plain”\n",
    ):
        _, rows, bad = ingest(content, "labelled")
        assert ([row[1:] for row in rows], bad) == (
            [("a", "labels with, commas"), ("b", "labels with, commas"), ("c", "plain")],
            [],
        )
    _, rows, bad = ingest("a,labels with, commas\nb,x\nc,x\nd,y\n", "labelled")
    assert bad == [(1, "3 columns instead of 2; a value that contains the delimiter must stand in quotes")]


def test_a_header_in_typographic_quotes(ingest):
    _, rows, _ = ingest("“text”,“label”\n“a, b”,“x”\n“isn’t it”,“x”\n“c”,“y”\n")
    assert rows == [(2, "a, b", "x"), (3, "isn’t it", "x"), (4, "c", "y")]


def test_addresses_that_hold_their_content(ingest):
    found, rows, _ = ingest('"data:image/png;base64,iVBORw0KGgo=",an apple\n"data:image/gif;base64,R0lGOD==",a pear\n')
    assert (found.layout, found.modalities) == (Layout.TEXT_IMAGE, (TEXT, IMAGE))
    assert rows[0] == (1, "an apple", "data:image/png;base64,iVBORw0KGgo=")


def test_many_columns_end_in_a_short_message(ingest):
    with pytest.raises(InputError) as caught:
        ingest("text," + "b," * 20_000 + "c\n" + "d," * 20_000 + "x,e\n", header="yes")
    assert len(str(caught.value)) < 2500
