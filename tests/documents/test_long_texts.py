"""What can be said of long texts before there is a tokenizer."""

import pytest

from embedtune.documents.build import BuildOptions, build_documents
from embedtune.documents.data_warnings import long_warnings
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat, open_rows

GREETING = " ".join(f"word{number}" for number in range(128))


@pytest.fixture
def summarise(tmp_path):
    def summary(texts):
        with open_rows(tmp_path / "rows", RowsFormat(Layout.LABELLED, (Modality.TEXT,))) as writer:
            labels = [f"label {number % 4}" for number in range(len(texts))]
            writer.write([list(range(1, len(texts) + 1)), texts, labels])
        folders = tmp_path / "train", tmp_path / "evaluation"
        return build_documents(tmp_path / "rows", *folders, tmp_path / "aside.csv", BuildOptions())

    return summary


def test_texts_that_begin_with_the_same_words(summarise):
    short = [f"short text {number}" for number in range(36)]
    alone = " ".join(f"another{number}" for number in range(129))
    summary = summarise([*short, f"{GREETING} one", f"{GREETING.upper()}  two", GREETING, alone])
    assert (summary.long_texts, summary.alike_texts) == (3, 2)
    cut, alike = (warning for warning in summary.warnings if "words" in warning)
    assert cut.startswith("3 of 40 texts (7.5%) have more than 128 words, so a model that reads 128 tokens cuts them")
    assert alike.startswith("2 of 40 texts (5.0%) begin with the same 128 words as another one")


def test_another_spelling_of_a_long_text_is_not_another_text(summarise):
    summary = summarise([*(f"short text {number}" for number in range(38)), f"{GREETING} one", f"{GREETING} ONE"])
    assert (summary.long_texts, summary.alike_texts) == (2, 0)


def test_a_few_are_a_fact_and_no_warning():
    assert long_warnings(1000, 50, 10) == []
    assert len(long_warnings(1000, 51, 11)) == 2
    assert long_warnings(0, 0, 0) == []
