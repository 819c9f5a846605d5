import dataclasses

import pytest

from embedtune.errors import InputError
from embedtune.records.csv.columns import Columns
from embedtune.records.csv.columns import find_columns as find_columns_for
from embedtune.records.csv.layout_by_content import detect_layout
from embedtune.records.csv.options import CSVOptions, IngestRequest
from embedtune.records.layouts import Layout, Modality

TICKETS = [[f"my parcel {i} is late", ["late", "broken", "refund"][i % 3]] for i in range(12)]
TEXT, IMAGE, MESH = Modality.TEXT, Modality.IMAGE, Modality.MESH
FAQ = [[f"question {i}", f"This is the long answer number {i % 4}."] for i in range(12)]


def find_columns(records, layout="auto", header="auto", **options):
    return find_columns_for(records, IngestRequest(layout, CSVOptions(header=header, **options)))


def test_the_unnamed_index_of_pandas():
    rows = [[str(number), *row] for number, row in enumerate(TICKETS)]
    assert find_columns([["", "text", "label"], *rows], "auto", "auto") == Columns(
        Layout.LABELLED, (TEXT,), True, ("", "text", "label"), (1, 2)
    )
    unknown = find_columns([["", "meldung", "art"], *rows], "auto", "auto")
    assert (unknown.layout, unknown.used) == (Layout.LABELLED, (1, 2))
    texts = find_columns([["", "text"], *([str(i), row[0]] for i, row in enumerate(TICKETS))])
    assert (texts.layout, texts.used) == (Layout.PLAIN, (1,))
    named = find_columns([["", "left", "score"], *([f"a man {i}", f"a dog {i}", "0.5"] for i in range(12))])
    assert (named.layout, named.used) == (Layout.SCORED, (0, 1, 2))


def test_names_of_rows_as_r_writes_them():
    rows = [[str(number), *row] for number, row in enumerate(TICKETS, 1)]
    assert find_columns([["text", "label"], *rows]) == Columns(
        Layout.LABELLED, (TEXT,), True, ("", "text", "label"), (1, 2)
    )
    faq = [[f"row {number}".replace(" ", ""), *row] for number, row in enumerate(FAQ)]
    assert find_columns([["frage", "antwort"], *faq]).used == (1, 2)
    assert find_columns([["Anliegen", "Reaktion"], *faq]).used == (1, 2)
    scored = [[str(number), f"a man {number}", f"a dog {number}", "0.5"] for number in range(12)]
    assert find_columns([["left", "right", "grade"], *scored]).used == (1, 2, 3)


def test_two_columns_of_one_name_are_chosen_by_number():
    records = [["text", "label", "label"], *([*row, "x"] for row in TICKETS)]
    with pytest.raises(InputError, match=r"'label' and 'label' could both be the label.*numbers"):
        find_columns(records)
    with pytest.raises(InputError, match=r"several of the columns text, label, label have this name\. Give numbers"):
        find_columns(records, columns=["text", "label"])
    assert find_columns(records, columns=[1, 2]).used == (0, 1)


@pytest.mark.parametrize(
    ("names", "layout", "used"),
    [
        (["text", "label"], Layout.LABELLED, (0, 1)),
        (["category", "sentence"], Layout.LABELLED, (1, 0)),
        (["title", "class"], Layout.LABELLED, (0, 1)),
        (["question", "label"], Layout.LABELLED, (0, 1)),
        (["whatever", "code"], Layout.LABELLED, (0, 1)),
        (["answer", "question"], Layout.PAIRS, (1, 0)),
        (["query", "text"], Layout.PAIRS, (0, 1)),
        (["anchor", "positive"], Layout.PAIRS, (0, 1)),
    ],
)
def test_layout_and_order_by_name(names, layout, used):
    found = find_columns([names, ["a", "b"], ["c", "d"]], "auto", "auto")
    modalities = (TEXT,) * (1 if layout is Layout.LABELLED else 2)
    assert dataclasses.replace(found, warnings=()) == Columns(layout, modalities, True, tuple(names), used)


def test_known_names_pick_among_many_columns():
    found = find_columns([["id", "question", "answer", "wrong_answer"], ["1", "q", "a", "w"]], "auto", "auto")
    assert (found.layout, found.used) == (Layout.MATCHES, (1, 2, 3))


def test_names_that_fit_both_layouts_ask():
    records = [["query", "document", "label"], ["q", "d", "1"], ["r", "e", "2"]]
    with pytest.raises(InputError, match="Set the layout to 'labelled' or 'pairs'"):
        find_columns(records, "auto", "auto")
    assert find_columns(records, "pairs", "auto").used == (0, 1)
    assert find_columns(records, "labelled", "auto").used == (0, 2)


def test_two_columns_for_one_role_are_refused():
    with pytest.raises(InputError, match="'category' and 'code' could both be the label"):
        find_columns([["text", "category", "code"], ["a", "b", "c"]], "auto", "auto")


def test_three_columns_without_known_names_are_refused():
    with pytest.raises(InputError, match=r"3 columns without a known header.*first,second,score; or a header"):
        find_columns([["a b?", "c", "x"], ["d", "e", "y"]])
    with pytest.raises(InputError, match=r"3 columns, but the layout pairs needs 2.*CSV option `columns`"):
        find_columns([["a b?", "c", "0.5"], ["d", "e", "0.1"]], "pairs", "auto")


def test_a_header_alone_is_refused():
    with pytest.raises(InputError, match=r"header \(text, label\) but not one row"):
        find_columns([["text", "label"]], "auto", "auto")


def test_one_column_under_a_set_dialect_is_refused():
    with pytest.raises(InputError, match=r"1 column .*needs 2.*set the CSV option `dialect`"):
        find_columns([["a;b"], ["c;d"]], "pairs", "auto")


def test_header_can_be_set():
    assert not find_columns([["text", "label"], *TICKETS], "labelled", "no").header
    assert find_columns([["my own", "names here"], *TICKETS], "labelled", "yes").names == ("my own", "names here")


def test_layout_by_content():
    assert detect_layout(TICKETS) is Layout.LABELLED
    assert detect_layout(FAQ) is Layout.PAIRS
    assert detect_layout([["Rice dishes", "Chicken curry"], ["Rice dishes", "Risotto"]]) is Layout.PAIRS
    assert detect_layout([[f"text {i}", str(i // 2)] for i in range(20)]) is Layout.LABELLED


def test_long_documents_without_blanks_are_pairs():
    answers = ["请把盐放在桌子上面然后等待十五分钟再继续下一步操作", "水烧开以后把火调小慢慢煮大约二十分钟左右就可以了"]
    assert detect_layout([[f"问题{i}", answers[i % 2]] for i in range(10)]) is Layout.PAIRS


@pytest.mark.parametrize(
    "rows",
    [
        [[f"text {i}", str(i)] for i in range(20)],
        [["shoes", "boots"], ["shoes", "sneakers"], ["footwear", "boots"], ["footwear", "sneakers"]],
        [[f"text {i}", f"label {i if i > 6 else 0}"] for i in range(20)],
    ],
    ids=["numbers that do not repeat", "both sides repeat", "a third repeats"],
)
def test_a_layout_that_cannot_be_told_is_asked_for(rows):
    with pytest.raises(InputError, match="Set the layout"):
        detect_layout(rows)
    assert find_columns(rows, "labelled", "no").layout is Layout.LABELLED


WEATHER = [["nice day", "good day", "0.9"], ["nice day", "bad day", "0"]]
TRIPLETS = [["q1", "a1", "w1", "x1"], ["q2", "a2", "w2", ""]]
CAPTIONS = [["a photo of an apple", "apple.jpg"], ["a photo of an orange", "s3://fruit/orange.PNG"]]


def test_scores_by_content():
    found = find_columns(WEATHER)
    assert found == Columns(Layout.SCORED, (TEXT, TEXT), False, ("column 1", "column 2", "column 3"), (0, 1, 2))
    assert find_columns(WEATHER[:1]).layout is Layout.SCORED
    with pytest.raises(InputError, match=r"The third holds numbers, but scores are from 0 to 1"):
        find_columns([["a", "b", "4.5"], ["c", "d", "2"]])
    with pytest.raises(InputError, match="3 columns without"):
        find_columns([["1", "some text", "0"], ["2", "other text", "1"]])


@pytest.mark.parametrize(
    ("names", "layout", "used"),
    [
        (["sentence1", "sentence2", "score"], Layout.SCORED, (0, 1, 2)),
        (["score", "query", "document"], Layout.SCORED, (1, 2, 0)),
        (["Text A", "text-b", "similarity"], Layout.SCORED, (0, 1, 2)),
        (["this", "that", "score"], Layout.SCORED, (0, 1, 2)),
        (["question", "answer", "wrong_answer"], Layout.MATCHES, (0, 1, 2)),
        (["negative 2", "anchor", "negative1", "positive"], Layout.MATCHES, (1, 3, 0, 2)),
        (["sentence1", "sentence2"], Layout.PAIRS, (0, 1)),
    ],
)
def test_more_layouts_by_name(names, layout, used):
    found = find_columns([names, ["a", "b", "0.5", "d"][: len(names)], ["e", "f", "0.2", "g"][: len(names)]])
    assert (found.layout, found.used) == (layout, used)


def test_matches_without_telling_names_need_the_layout():
    with pytest.raises(InputError, match="4 columns without"):
        find_columns(TRIPLETS)
    assert find_columns(TRIPLETS, "matches").used == (0, 1, 2, 3)


def test_text_and_image_in_either_order():
    assert find_columns(CAPTIONS) == Columns(Layout.TEXT_IMAGE, (TEXT, IMAGE), False, ("column 1", "column 2"), (0, 1))
    swapped = [row[::-1] for row in CAPTIONS]
    assert find_columns(swapped).used == (1, 0)
    assert find_columns([["image", "caption"], *swapped]).used == (1, 0)
    records = [["caption", "image_url"], ["a", "https://x.org/1"], ["b", "https://x.org/2"]]
    assert find_columns(records).modalities[1] is IMAGE


@pytest.mark.parametrize(
    "value",
    ["a1b2c3{}", "{}", "pics/red/my pic {}", "3f2504e0-4f89-11d3-9a0c-{:012d}", "scan {}.heic", "a red shoe, no. {}"],
)
@pytest.mark.parametrize(
    "name", ["image", "Photo", "img", "mesh", "picture_id", "path", "file", "file name", "image-path"]
)
def test_names_of_media_over_values_without_their_endings_are_asked_for(name, value):
    for second in ("label", "caption"):
        rows = [
            [value.format(n), f"kind {n % 2}" if second == "label" else f"what is to be seen on the {n}th"]
            for n in range(8)
        ]
        with pytest.raises(InputError, match=r"named like images or meshes, but values such as .*'text-to-text'"):
            find_columns([[name, second], *rows])
    assert find_columns([[name, "label"], *rows], task="text-to-text").modalities[0] is TEXT


def test_names_of_pages_over_web_addresses_and_columns_that_are_not_used_are_no_media():
    pages = [[f"https://x.org/{n}", f"kind {n % 2}"] for n in range(8)]
    assert find_columns([["url", "label"], *pages]).modalities == (TEXT,)
    rows = [[f"a text no. {n}", f"kind {n % 2}", f"a1b2c3{n}"] for n in range(8)]
    for name in ("image_id", "file", "photo"):
        assert find_columns([["text", "label", name], *rows]).used == (0, 1)
    rows = [[f"a text no. {n}", f"kind {n % 2}", f"docs/page{n}.html"] for n in range(8)]
    assert find_columns([["text", "label", "path"], *rows]).used == (0, 1)


def test_labelled_images_or_captions_are_asked_for():
    rows = [["a.jpg", "apple"], ["b.jpg", "apple"], ["c.jpg", "pear"], ["d.jpg", "pear"]]
    with pytest.raises(
        InputError, match=r"labelled images or pairs of image and text: 100% of 4 different.*is_labeled"
    ):
        find_columns(rows)
    labelled = find_columns(rows, is_labeled=True)
    assert (labelled.layout, labelled.modalities, labelled.used) == (Layout.LABELLED, (IMAGE,), (0, 1))
    assert find_columns(rows, task="image-to-image") == labelled
    assert find_columns([["image", "label"], *rows]).layout is Layout.LABELLED
    captions = find_columns(rows, is_labeled=False)
    assert (captions.layout, captions.used) == (Layout.TEXT_IMAGE, (1, 0))
    assert find_columns(rows, task="text-to-image") == captions
    assert find_columns([[f"{i}.jpg", str(i % 2)] for i in range(4)]).layout is Layout.LABELLED
    assert find_columns([[f"{i}.off", f"chair {i % 2}"] for i in range(4)]).modalities == (MESH,)


def test_pairs_of_images_and_the_task():
    rows = [[f"{i}.jpg", f"{i % 3}.png"] for i in range(6)]
    assert find_columns(rows).modalities == (IMAGE, IMAGE)
    assert find_columns(rows, "pairs", task="text-to-text").modalities == (TEXT, TEXT)
    assert find_columns([["id/1", "id/2"], ["id/3", "id/4"]], "pairs", task="image-to-image").modalities == (IMAGE,) * 2
    with pytest.raises(InputError, match=r"layout pairs needs contents of one modality.*column 2: image"):
        find_columns(CAPTIONS, "pairs")
    with pytest.raises(InputError, match="Both of the columns column 1 and column 2 hold addresses"):
        find_columns(rows, "text-image")
    assert find_columns(rows, columns=[2, 1], task="text-to-image").used == (1, 0)


def test_a_column_that_may_be_addresses_is_asked_for():
    rows = [["https://a.org/x", "news"], ["https://a.org/y", "news"], ["https://a.org/z", "sport"]]
    with pytest.raises(InputError, match=r"cannot be told what the column 1 is: 100%.*https://a.org/x.*`task`"):
        find_columns(rows)
    assert find_columns(rows, is_labeled=True, task="text-to-text").modalities == (TEXT,)
    half = [["a.jpg", "x"], ["some words", "x"], ["b.jpg", "y"]]
    with pytest.raises(InputError, match="67% of its values"):
        find_columns(half, is_labeled=True)


def test_is_labelled():
    assert find_columns(FAQ, is_labeled=True).layout is Layout.LABELLED
    assert find_columns(TICKETS, is_labeled=False).layout is Layout.PAIRS
    assert find_columns(WEATHER, is_labeled=False).layout is Layout.SCORED
    records = [["query", "document", "label"], ["q", "d", "1"], ["r", "e", "2"]]
    assert find_columns(records, is_labeled=False).layout is Layout.PAIRS
    assert find_columns(records, is_labeled=True).used == (0, 2)


def test_columns_are_chosen_by_name_or_number():
    records = [["id", "wie", "text", "art"], *([str(i), "w", *TICKETS[i]] for i in range(12))]
    chosen = find_columns(records, columns=["text", "art"])
    assert (chosen.layout, chosen.header, chosen.used) == (Layout.LABELLED, True, (2, 3))
    assert find_columns(records, "pairs", columns=[4, 3]).used == (3, 2)
    assert find_columns(records[1:], "labelled", columns=[3, 4]).header is False
    assert find_columns(records, columns=["wie"]).layout is Layout.PLAIN
    unknown = [["meine frage", "x"], ["Wo?", "y"]]
    assert find_columns(unknown, "pairs", columns=["meine frage", "x"]).header is True
    with pytest.raises(InputError, match=r"names 'kind', but the file has the columns id, wie, text, art"):
        find_columns(records, header="yes", columns=["text", "kind"])
    with pytest.raises(InputError, match=r"names 5, but the file has"):
        find_columns(records, columns=[1, 5])


def test_plain_texts():
    assert find_columns([["one"], ["two"]]).layout is Layout.PLAIN
    assert find_columns([["text"], ["two"]]).header is True
    assert find_columns([["one", "two", "three", "four"]]).used == (0, 1, 2, 3)
    assert find_columns([["one", "two"]], "plain").used == (0, 1)
    assert find_columns([["id", "text"], ["1", "a"], ["2", "b"]], "plain").used == (1,)
    assert find_columns([["a", "b"], ["c", "d"]], "plain", dialect="excel").used == (0, 1)
    with pytest.raises(InputError, match=r"each row or each value is a text.*'lines'"):
        find_columns([["a", "b"], ["c", "d"]], "plain")
    with pytest.raises(InputError, match="not clear which one holds the texts"):
        find_columns([["title", "text"], ["a", "b"]], "plain")
    with pytest.raises(InputError, match=r"layout plain needs texts.*a column with their labels.*`embedtune encode`"):
        find_columns([["a.jpg"], ["b.jpg"]])


def test_a_label_by_name_that_holds_documents_is_asked_about():
    texts = [["source", "target"], *([f"text {i}", f"the text of number {i} in other words"] for i in range(20))]
    with pytest.raises(InputError, match=r"'target' is named as a label, but it holds long texts.*'pairs'"):
        find_columns(texts)
    assert find_columns(texts, "pairs").used == (0, 1)
    assert find_columns(texts, "labelled").layout is Layout.LABELLED


def test_numbers_without_a_name_may_judge_pairs():
    rows = [[f"a man {i}", f"a dog {i}", f"0.{i}"] for i in range(12)]
    with pytest.raises(InputError, match=r"could be pairs, or pairs of which '' says"):
        find_columns([["first", "second", ""], *rows])
    assert find_columns([["", "first", "second"], *([str(i), *row[:2]] for i, row in enumerate(rows))]).used == (1, 2)
