import numpy as np
import pytest
from docarray import DocumentArray

from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.samples.covid_qa import SOURCE, covid_qa, covid_qa_documents, read_covid_qa
from embedtune.samples.fetch import Mirror

HEADER = "question,answer,wrong_answer\n"


@pytest.fixture
def rows(at_hand):
    return read_covid_qa(at_hand)


def labels_of(document):
    return [match.tags["finetuner"]["label"] for match in document.matches]


def test_one_positive_then_the_wrong_answer_then_other_answers(rows, at_hand):
    documents = list(covid_qa(num_neg=4, mirror=at_hand))
    answers = {row.answer: row for row in rows}
    assert [document.text for document in documents] == [row.question for row in rows]
    for row, document in zip(rows, documents, strict=True):
        texts = [match.text for match in document.matches]
        assert labels_of(document) == [1, -1, -1, -1, -1]
        assert texts[:2] == [row.answer, row.wrong_answer]
        assert len(set(texts)) == 5
        assert set(texts[2:]) <= set(answers)
        ids = [f"covid-qa-{answers[text].number:04}-answer" for text in texts[2:]]
        assert [match.id for match in document.matches[2:]] == ids


def test_exact_matches(tiny):
    first = next(iter(covid_qa(mirror=tiny)))
    assert (first.id, first.text) == ("covid-qa-0000-question", "How does it spread?")
    assert [(match.id, match.text) for match in first.matches] == [
        ("covid-qa-0000-answer", "By droplets."),
        ("covid-qa-0000-wrong-answer", "No, it does not."),
    ]
    third = covid_qa_documents(mirror=tiny)[2]
    assert third.matches[0].text == "Ten\ndays."


@pytest.mark.parametrize("num_neg", [0, 1])
def test_the_wrong_answer_is_always_a_negative(num_neg, tiny):
    assert {tuple(labels_of(document)) for document in covid_qa(num_neg=num_neg, mirror=tiny)} == {(1, -1)}


def test_all_other_answers(tiny):
    for document in covid_qa(num_neg=4, mirror=tiny):
        texts = [match.text for match in document.matches]
        assert len(set(texts)) == 5


def test_answers_that_read_the_same_are_no_negatives(public, cache):
    content = HEADER + "a?,yes,no\nb?,yes,no\nc?,no,yes\nd?,maybe,no\n"
    with public.serve({"dataset.csv": content.encode()}) as server:
        documents = covid_qa_documents(num_neg=2, mirror=Mirror(server.url))
        assert [[match.text for match in document.matches] for document in documents] == [
            ["yes", "no", "maybe"],
            ["yes", "no", "maybe"],
            ["no", "yes", "maybe"],
            ["maybe", "no", "yes"],
        ]
        with pytest.raises(ConfigError, match=r"num_neg is 3; 0 to 2 are accepted, because .* has 3 different answers"):
            covid_qa(num_neg=3, mirror=Mirror(server.url))


def test_labels_of_ones_own(tiny):
    assert labels_of(next(iter(covid_qa(1, 3, pos_value=1, neg_value=0, mirror=tiny)))) == [1, 0, 0, 0]


def test_seeded(at_hand):
    def ids(seed):
        return [[match.id for match in document.matches] for document in covid_qa(num_neg=4, seed=seed, mirror=at_hand)]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)


def test_parts_are_every_second_row(rows, at_hand):
    test = covid_qa_documents(num_neg=1, is_testset=True, mirror=at_hand)
    train = covid_qa_documents(num_neg=1, is_testset=False, mirror=at_hand)
    assert [document.text for document in test] == [row.question for row in rows[0::2]]
    assert [document.text for document in train] == [row.question for row in rows[1::2]]


def test_no_answer_of_the_test_part_is_drawn_for_training(at_hand, rows):
    most = len(rows) // 2 - 1
    for document in covid_qa(2, most, is_testset=False, mirror=at_hand):
        assert {int(match.id.split("-")[2]) % 2 for match in document.matches} == {1}


def test_num_total_takes_the_first(tiny):
    assert [document.id for document in covid_qa(2, mirror=tiny)] == [
        "covid-qa-0000-question",
        "covid-qa-0001-question",
    ]


def test_token_ids_are_exact(tiny):
    documents = covid_qa_documents(num_neg=2, to_ndarray=True, mirror=tiny)
    first = documents[0]
    assert first.tensor.dtype == np.int64
    # how does it spread ? | by droplets . | no , it does not .
    assert first.tensor.tolist() == [1, 2, 3, 4, 5, *[0] * 95]
    assert first.matches[0].tensor.tolist() == [6, 7, 8, *[0] * 97]
    assert first.matches[1].tensor.tolist() == [9, 10, 3, 2, 11, 8, *[0] * 94]
    assert first.matches[0].tags == {"text": "By droplets.", "finetuner": {"label": 1}}
    assert (first.content_type, first.tags["text"]) == ("tensor", "How does it spread?")
    assert documents[1].matches[1].tensor.tolist() == [6, 7, 8, *[0] * 97]


def test_parts_agree_in_their_token_ids(tiny):
    def tensors(part):
        found = covid_qa(to_ndarray=True, is_testset=part, mirror=tiny)
        return {document.id: document.tensor.tolist() for document in found}

    assert tensors(None) == tensors(True) | tensors(False)


def test_longer_texts_are_cut(public, cache):
    content = f"{HEADER}{' b' * 60}{' a' * 41},A,b\n"
    with public.serve({"dataset.csv": content.encode()}) as server:
        (document,) = covid_qa(to_ndarray=True, mirror=Mirror(server.url))
    assert document.tensor.tolist() == [1] * 60 + [2] * 40
    assert document.matches[0].tensor.tolist() == [2] + [0] * 99


def test_survives_the_protobuf_form(tiny):
    data = covid_qa_documents(mirror=tiny).to_bytes(protocol="protobuf-array", compress="gzip")
    again = DocumentArray.from_bytes(data, protocol="protobuf-array", compress="gzip")
    assert again[0].matches[1].tags == {"finetuner": {"label": -1.0}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_total": 6}, "num_total is 6; this part of Covid QA has 5"),
        ({"num_total": 3, "is_testset": False}, "this part of Covid QA has 2"),
        ({"num_total": 0}, "num_total is 0"),
        ({"num_neg": 5}, "num_neg is 5; 0 to 4 are accepted"),
        ({"num_neg": -1}, "num_neg is -1"),
        ({"pos_value": -1}, "both -1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_options_out_of_range_are_refused_at_the_call(options, message, tiny):
    with pytest.raises(ConfigError, match=message):
        covid_qa(**options, mirror=tiny)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with ''"),
        (HEADER.encode(), "has a header and no rows"),
        (b"<html><body>Not here</body></html>", "starts with '<html><body>Not here</body></html>'; a header with"),
        (b"question,answer\na,b\n", "a header with question, answer and wrong_answer"),
        (b"question,answer,answer,wrong_answer\na,b,c,d\n", "each once"),
        (f"{HEADER}a,b\n".encode(), "Row 1 of dataset.csv has .* none for question, answer or wrong_answer"),
        (f"{HEADER}a,b,c\nd,e,f,g\n".encode(), "Row 2 of dataset.csv has more cells than the header"),
        (f"{HEADER}a,b,c\nd, ,f\n".encode(), "Row 2 .* none for"),
        (f'{HEADER}a,b,c\nd,e,"f'.encode(), "not a complete CSV file"),
        (HEADER.encode() + "a,b,ü".encode("latin-1"), "not a complete CSV file in UTF-8"),
        (f"{HEADER}a,b,{'c' * 200_000}".encode(), "field larger than field limit"),
    ],
)
def test_files_that_are_not_covid_qa_are_refused_and_not_kept(content, message, public, cache):
    with public.serve({"dataset.csv": content}) as server, pytest.raises(InputError, match=message):
        covid_qa(mirror=Mirror(server.url))
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_byte_order_mark_crlf_blank_lines_and_further_columns(public, cache):
    content = "\ufeffid,wrong_answer,question,answer\r\n1,no,a?,yes\r\n\r\n2,yes,b?,no\r\n"
    with public.serve({"dataset.csv": content.encode()}) as server:
        rows = read_covid_qa(Mirror(server.url))
    assert [(row.number, row.question, row.answer, row.wrong_answer) for row in rows] == [
        (0, "a?", "yes", "no"),
        (1, "b?", "no", "yes"),
    ]


def test_once_fetched_it_needs_no_server(public, cache):
    with public.serve(public.tiny_files()) as server:
        mirror = Mirror(server.url)
        before = covid_qa_documents(mirror=mirror)
    assert [document.text for document in covid_qa(mirror=mirror)] == [document.text for document in before]


def test_a_copy_in_the_cache_that_was_damaged_later_is_named(tiny_server, cache):
    mirror = Mirror(tiny_server.url)
    read_covid_qa(mirror)
    (path,) = cache.rglob("dataset.csv")
    path.write_text("question,answer,wrong_answer\na,b\n")
    with pytest.raises(InputError, match=f"Row 1 of {path} .* Remove it to fetch it again"):
        read_covid_qa(mirror)


def test_where_it_cannot_be_had_the_error_says_why_and_what_to_do(cache, monkeypatch):
    assert SOURCE.base_url == "https://static.jina.ai/chatbot/"
    monkeypatch.setenv("EMBEDTUNE_COVID_QA_URL", "http://127.0.0.1:9/")
    with pytest.raises(StorageError, match=r"has been shut down.*--base-url.*EMBEDTUNE_COVID_QA_URL"):
        covid_qa()
