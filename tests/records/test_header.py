import pytest

from embedtune.records.header import detect_header

TICKETS = [[f"my parcel {i} is late", ["late", "broken", "refund"][i % 3]] for i in range(12)]


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
    assert detect_header([["query", "answer"], ["query", "a question"], ["x", "y"]])


def test_a_known_word_that_recurs_in_its_column_is_data():
    assert not detect_header([["Hello", "question"], ["Why", "question"], ["Go", "statement"]])


def test_unknown_names_over_addresses_are_a_header():
    rows = [["a red shoe", "a.jpg"], ["a hat", "b.jpg"], ["a coat", "c.png"]]
    assert detect_header([["beschreibung", "bild"], *rows])
    assert not detect_header([["hut", "d.jpg"], *rows])
    assert not detect_header([["beschreibung", "bild"], *rows[:2]])


def test_a_name_that_is_as_likely_a_value_tells_nothing_alone():
    assert not detect_header([["photo", "noun"], ["run", "verb"]])
    assert not detect_header([["second", "Zweite"], ["third", "Dritte"]])
    assert detect_header([["photo", "description"], ["a.jpg", "a shoe"]])
    assert detect_header([["first", "second", "score"], ["a", "b", "1"]])


def test_a_single_column():
    assert detect_header([["Review"], ["price"], ["returns"]])
    assert not detect_header([["Review"], ["price"], ["Review"]])
    assert not detect_header([["label"], ["price"]])


def test_data_that_looks_like_a_header_and_a_header_that_looks_like_data():
    assert detect_header([["question", "greeting"], ["Hello there", "salutation"]])
    assert not detect_header([["utterance_de", "intent_name"], ["Guten Tag", "greeting"]])
