import pytest

from embedtune.errors import InputError
from embedtune.records.columns import Columns, detect_header, detect_layout, find_columns
from embedtune.records.layouts import Layout

TICKETS = [[f"my parcel {i} is late", ["late", "broken", "refund"][i % 3]] for i in range(12)]
FAQ = [[f"question {i}", f"This is the long answer number {i % 4}."] for i in range(12)]


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (["text", "label"], True),
        (["Label", "TEXT"], True),
        (["utterance", "Intent"], True),
        (["search term", "anything"], True),
        (["my parcel is late", "late"], False),
        (["Hello", "greeting"], False),
        (["label", "label"], False),
        (["Where is it?", "label"], False),
        (["text", ""], False),
        (["text", "late"], False),  # the label `late` occurs again below
    ],
)
def test_header_over_texts(first, expected):
    assert detect_header([first, *TICKETS]) is expected


def test_unknown_names_over_numbers_are_a_header():
    rows = [["Wo ist es?", "17"], ["Wann kommt es?", "17"], ["Warum?", "18"]]
    assert detect_header([["frage", "nummer"], *rows])
    assert not detect_header([["frage", "nummer"], *rows[:2]])
    assert not detect_header(rows)


def test_a_known_name_that_is_also_a_text_further_down():
    rows = [["what is a text", "noun"], ["text", "noun"], ["run", "verb"]]
    assert detect_header([["text", "label"], *rows])
    assert find_columns([["query", "answer"], ["query", "a question"], ["x", "y"]], "auto", "auto").header


def test_the_unnamed_index_of_pandas():
    rows = [[str(number), *row] for number, row in enumerate(TICKETS)]
    assert find_columns([["", "text", "label"], *rows], "auto", "auto") == Columns(
        Layout.LABELLED, True, ("", "text", "label"), (1, 2)
    )
    unknown = find_columns([["", "meldung", "art"], *rows], "auto", "auto")
    assert (unknown.layout, unknown.used) == (Layout.LABELLED, (1, 2))
    assert not detect_header([["", "text", "label"], ["a", *TICKETS[0]]])
    assert not detect_header([["", "text"], ["1", "late"]])


def test_a_known_word_that_recurs_in_its_column_is_data():
    assert not detect_header([["Hello", "question"], ["Why", "question"], ["Go", "statement"]])


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
    assert found == Columns(layout, True, tuple(names), used)


def test_known_names_pick_among_many_columns():
    found = find_columns([["id", "question", "answer", "wrong_answer"], ["1", "q", "a", "w"]], "auto", "auto")
    assert (found.layout, found.used) == (Layout.PAIRS, (1, 2))


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
    with pytest.raises(InputError, match=r"3 columns without a known header.*Accepted: two columns, or a header"):
        find_columns([["a b?", "c", "0.5"], ["d", "e", "0.1"]], "pairs", "auto")


def test_a_header_alone_is_refused():
    with pytest.raises(InputError, match=r"header \(text, label\) but not one row"):
        find_columns([["text", "label"]], "auto", "auto")


def test_one_column_under_a_set_dialect_is_refused():
    with pytest.raises(InputError, match=r"one column.*set the CSV option `dialect`"):
        find_columns([["a;b"], ["c;d"]], "auto", "auto")


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
