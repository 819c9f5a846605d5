"""Files that can be read in two ways are asked about, and those that cannot are read."""

import json

import pytest

from embedtune.errors import ConfigError, InputError
from embedtune.records.csv.ingest import ingest_csv
from embedtune.records.csv.options import CSVOptions, CSVSource, IngestRequest
from embedtune.records.output import open_output
from embedtune.records.rows import read_rows


@pytest.fixture
def ingest(tmp_path):
    def read(*contents, layout="auto", share=0.0, **options):
        sources = []
        for number, content in enumerate(contents, 1):
            path = tmp_path / f"{number}.csv"
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            sources.append(CSVSource(path, path.name))
        request = IngestRequest(layout, CSVOptions.from_json(json.dumps(options)))
        with open_output(tmp_path / "rows", tmp_path / "bad.csv", share) as output:
            report = ingest_csv(sources, output, request)
        return report, [tuple(row.values())[1:] for row in read_rows(tmp_path / "rows")[1].to_pylist()]

    return read


def rows(pattern: str, count: int = 20) -> str:
    """Return lines with their number for `{i}`, and what recurs every second one for `{j}`."""
    return "".join(pattern.format(i=i, j=i % 2) + "\n" for i in range(count))


@pytest.mark.parametrize(
    ("header", "pattern"),
    [
        ("sentence1,sentence2,label", "a man {i},a dog {i},{j}"),
        ("id,sentence1,sentence2,is_duplicate", "{i},a man {i},a dog {i},{j}"),
        ("query,document,is_relevant", "a man {i},a dog {i},{j}"),
        ("query,passage,judgement", "a man {i},a dog {i},grade {j}"),
        ("query,passage,rating", "a man {i},a dog {i},0.{i}"),
    ],
)
def test_pairs_that_may_be_judged(ingest, header, pattern):
    content = f"{header}\n{rows(pattern)}"
    with pytest.raises(InputError, match=r"could be (pairs, or pairs of which|labelled or pairs)"):
        ingest(content)
    assert ingest(content, layout="pairs")[1][0] == ("a man 0", "a dog 0")


def test_judged_pairs_are_read_as_the_message_says(ingest):
    content = "id,sentence1,sentence2,is_duplicate\n" + rows("{i},a man {i},a dog {i},{j}")
    columns = ["sentence1", "sentence2", "is_duplicate"]
    with pytest.raises(InputError, match='"sentence1", "sentence2", "is_duplicate"'):
        ingest(content)
    assert ingest(content, layout="scored", columns=columns)[1][1] == ("a man 1", "a dog 1", 1.0)
    scored = "sentence_A,sentence_B,relatedness_score\n" + rows("a man {i},a dog {i},0.{j}")
    assert ingest(scored)[0].layout == "scored"


def test_columns_that_judge_nothing_leave_pairs(ingest):
    content = "id,qid,query,document,lang,note\n" + rows("{i},{j},a man {i},a dog {i},en,remark number {i} here")
    assert ingest(content)[0].layout == "pairs"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user,tweet,label\n" + rows("ann{i},a long tweet {i},{j}"), "from 0 to 1, which may be labels"),
        ("author,comment_text,toxic\n" + rows("ann {i},a long comment {i},{j}"), "from 0 to 1, which may be labels"),
        (rows("3f2{i}-ab,a long text {i},{j}"), "from 0 to 1, which may be labels"),
        (rows("3f2{i}-ab,a long text {i},0.{i}"), "from 0 to 1, which may be labels"),
    ],
)
def test_numbers_from_0_to_1_that_may_be_labels(ingest, content, message):
    with pytest.raises(InputError, match=message) as caught:
        ingest(content)
    assert "divide them" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (rows("ham{j}\tGo until you are at the point {i}"), "look like labels"),
        ("v1,v2\n" + rows("ham,Go until you are at the point {i}"), "look like labels"),
        (rows("sports,some text {i}"), "look like labels"),
        (rows('{i},"news text {i}"'), "look like numbers, dates or keys"),
        ("doc_id,text\n" + rows("d{i},news text {i}"), "look like numbers, dates or keys"),
        ("timestamp,text\n" + rows("2024-01-01 10:00:{i:02},news text {i}"), "look like numbers, dates or keys"),
        (rows("kind {j},im/{i}.png"), "labelled images or pairs"),
        (rows("{i},im/{i}.png"), "labelled images or pairs"),
        (rows("chair {i},im/{i}.off"), "labelled images or pairs"),
    ],
)
def test_a_first_column_that_is_no_query(ingest, content, message):
    with pytest.raises(InputError, match=message):
        ingest(content)


def test_labels_that_stand_first_are_read_as_the_message_says(ingest):
    texts = rows("ham{j}\tGo until you are at the point {i}")
    assert ingest(texts, layout="labelled", columns=[2, 1])[1][1] == ("Go until you are at the point 1", "ham1")
    images = rows("kind {j},im/{i}.png")
    assert ingest(images, layout="labelled", columns=[2, 1])[1][1] == ("im/1.png", "kind 1")


def test_short_queries_are_still_queries(ingest):
    assert ingest(rows("apple tree {j},some fruit {i}"))[0].layout == "pairs"
    words = ["apple", "pear", "plum", "fig"]
    assert ingest("".join(f"{word},a sort of fruit named {word}\n" for word in words))[0].layout == "pairs"


def test_addresses_with_blanks(ingest):
    named = ingest("image_path,label\n" + rows("My Photos/a {i}.png,kind {j}"))
    assert (named[0].modalities, named[1][1]) == (("image",), ("My Photos/a 1.png", "kind 1"))
    with pytest.raises(InputError, match=r"My Photos/a 0\.png.*only under a name such as image_path"):
        ingest(rows("My Photos/a {i}.png,kind {j}"))
    sentences = rows("Why can I not open the file {i}.png,kind {j}")
    assert ingest(sentences)[0].modalities == ("text",)


@pytest.mark.parametrize(
    ("encoding", "codec"), [("utf-16", "utf-16-le"), ("utf-16", "utf-16-be"), ("utf-32", "utf-32-le")]
)
def test_no_byte_order_mark(ingest, encoding, codec):
    content = ("text,label\n" + rows("text {i},kind {j}")).encode(codec)
    with pytest.raises(InputError, match=rf"no byte order mark.*{encoding}-le .*or {encoding}-be"):
        ingest(content, encoding=encoding)
    assert len(ingest(content, encoding=codec)[1]) == 20


@pytest.mark.parametrize("text", ['{"size": ' + "9" * 5000 + "}", "[" * 100_000])
def test_options_that_json_cannot_hold(text):
    with pytest.raises(ConfigError, match="are not JSON") as caught:
        CSVOptions.from_json(text)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("header", "layout"), [("title,url", "pairs"), ("query,url", "pairs"), ("url,label", "labelled")]
)
def test_links_to_pages_are_texts(ingest, header, layout):
    link = "https://x.org/page/{i}"
    pattern = link + ",kind {j}" if header.startswith("url") else "a page {i}," + link
    report, _ = ingest(f"{header}\n{rows(pattern)}")
    assert (report.layout, set(report.modalities)) == (layout, {"text"})
    assert "contents text, detected" in report.describe()


def test_links_under_a_general_name_can_be_images(ingest):
    content = "title,url\n" + rows("a page {i},https://x.org/{i}")
    assert ingest(content, task="text-to-image")[0].modalities == ("text", "image")
    assert ingest(content.replace("url", "image_url"))[0].modalities == ("text", "image")
    endings = "title,url\n" + rows("a page {i},https://x.org/{i}.jpg")
    assert ingest(endings)[0].modalities == ("text", "image")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\n<!DOCTYPE html>\n<html><body>a, b</body></html>\n", "is no table but an HTML page"),
        ("<html lang='en'>\n<body>a, b</body></html>\n", "is no table but an HTML page"),
        ('<?xml version="1.0"?>\n<rows><row a="b, c"/></rows>\n', "is no table but XML"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n", "a pointer of Git LFS.*git lfs pull"),
        (rows("__label__{j} a text, number {i}"), "a file of fastText.*text,label"),
        (rows("a text {i}^kind {j}"), r"divided by '\^', which is not looked for.*these delimiters, or set.*'lines'"),
        (rows("a text {i}::kind {j}"), "divided by '::', which"),
        (rows("a text {i}~kind {j}"), "divided by '~', which"),
        (rows("a text {i}\x01kind {j}"), r"divided by '\\x01', which"),
        (rows('"a text {i}" "kind {j}"'), """divided by '" "', which"""),
        (rows("a text {i}     kind {j}"), "divided by a run of blanks, which"),
    ],
)
def test_other_formats(ingest, content, message):
    with pytest.raises(InputError, match=message):
        ingest(content)


@pytest.mark.parametrize("layout", ["plain", "labelled"])
def test_one_text_a_row_that_holds_a_rare_sign(ingest, layout):
    content = rows("a text {i}^ kind {j}")
    if layout == "labelled":
        with pytest.raises(InputError, match=r"The rows have one column.*divided by '\^'"):
            ingest(content, layout=layout)
    else:
        assert len(ingest(content, layout=layout)[1]) == len(ingest(content, dialect="lines")[1]) == 20
        assert len(ingest(rows("a text {i}") + "2^3\n")[1]) == 21


def test_braces_in_a_csv(ingest):
    assert len(ingest(rows("{{name}} number {i},kind {j}"))[1]) == 20
    assert len(ingest(rows('{{"a": {i}}}\tkind {j}'))[1]) == 20


@pytest.mark.parametrize("above", ["Export from CRM 2024,", "Export", "# made by us, 2024", "Export\nof today"])
def test_lines_above_the_header(ingest, above):
    with pytest.raises(InputError, match=r"header \(text, label\) seems to be row [23], below .*Remove"):
        ingest(f"{above}\ntext,label\n{rows('text {i},kind {j}')}", share=0.5)


def test_stray_quotes_swallow_no_rows(ingest):
    before, between, after = rows("table {i},kind {j}", 10), rows("lamp {i},kind {j}", 80), rows("rug {i},kind {j}")
    content = f'{before}"tv stand,a\n{between}monitor 24",b\n{after}'
    with pytest.raises(InputError, match=r"82 of 112 rows.*part of the malformed row of lines 11 to 92.*never closed"):
        ingest(content, layout="labelled")
    assert len(ingest(content, layout="labelled", share=0.9)[1]) == 30


def test_a_quoted_text_of_many_lines_is_one_value(ingest):
    poem = "Roses are red, they say\nviolets are blue, too\nsugar, sweet\nso, well\nare you"
    content = f'"{poem}",verse\n"{poem}\n, indeed",verse\n' + rows("text {i},kind {j}")
    assert ingest(content, layout="labelled")[1][0] == (poem, "verse")


def test_pieces_of_one_file_have_one_dialect(ingest):
    plain = rows("text {i},kind {j}")
    semicolons = rows("a; text {i},kind {j}", 5)
    assert ingest(plain, semicolons, layout="labelled")[1][-1][1:] == ("a; text 4", "kind 0")
    with pytest.raises(InputError, match=r"1\.csv and 2\.csv seem to differ in how they separate"):
        ingest(plain, rows("text {i};kind {j}", 5), layout="labelled")
    with pytest.raises(InputError, match=r"1\.csv and 2\.csv seem to differ in their dialect: The rows have one"):
        ingest(plain, rows("text {i};kind {j}"), rows("text {i}|kind {j}"), layout="labelled")
    quoted = rows('"a, text {i}", "kind, {j}"', 5)
    assert ingest(plain, quoted, layout="labelled")[1][-1][1:] == ("a, text 4", "kind, 0")


@pytest.mark.parametrize(("content", "names"), [("text {i},cat|sub{j}", "'pipe' or 'excel'"), ("text {i},A;B{j}", "")])
def test_delimiters_that_fit_equally_well(ingest, content, names):
    with pytest.raises(InputError, match=rf"splits the rows into 2 columns.*`dialect` to .*{names}"):
        ingest(rows(content))
    assert ingest(rows(content), layout="labelled", dialect="excel")[1][0][0] == "text 0"


def test_commas_in_sentences_and_decimals_are_no_delimiters(ingest):
    assert ingest(rows("Hello, you {i};kind {j}"))[0].csv.delimiter == ";"
    assert ingest(rows("a text {i};other text {i};0,{i}"))[0].layout == "scored"
    assert ingest(rows("a, text {i};other text {i};0,{i}"), layout="scored", header="no")[0].csv.delimiter == ";"


def test_chosen_columns_in_the_wrong_order(ingest):
    content = "text,label\n" + rows("text {i},kind {j}")
    with pytest.raises(
        InputError, match=r'order content, label, but \["label", "text"\].*Set it to \["text", "label"\]'
    ):
        ingest(content, columns=["label", "text"])
    assert ingest(content, columns=["text", "label"])[0].layout == "labelled"


def test_a_column_that_is_misspelt_is_named(tmp_path):
    source = tmp_path / "data.csv"
    source.write_text("text,label\n" + "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(20)), encoding="utf-8")
    request = IngestRequest(options=CSVOptions(columns=("text", "lable")))
    message = "columns names 'lable', but the file has the columns text, label"
    with pytest.raises(InputError, match=message), open_output(tmp_path / "rows", tmp_path / "bad.csv") as output:
        ingest_csv([CSVSource(source, str(source))], output, request)


def test_a_first_row_that_is_not_certain_is_told(ingest):
    report, read = ingest("Hello,greeting\n" + rows("my parcel {i} is late,kind {j}", 12))
    assert len(read) == 12
    assert report.warnings == (
        "The first row, 'Hello,greeting', was taken for names of the columns. Set the CSV option `header` to 'no' if "
        "it is data.",
    )
    assert ingest("Hello,kind 1\n" + rows("my parcel {i} is late,kind {j}", 12))[0].warnings == ()
