"""What is said of texts that a model cuts or cannot tell apart."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from embedtune.models.card import CutTexts
from embedtune.reports.cut_texts import cut_warnings, length_warning, text_rows, text_warnings
from tests.comparisons import side, with_side

FINE = CutTexts(texts=1000, cut=50, alike=10, unknown=0, max_length=128)


def test_a_few_are_a_fact_and_no_warning() -> None:
    (row,) = text_rows(FINE)
    assert (row.name, row.cut, row.alike, row.known) == ("Training", 0.05, 0.01, None)
    assert text_rows(None) == ()
    assert list(cut_warnings((FINE, "queries"))) == []
    assert list(cut_warnings((CutTexts(0, 0, 0, 0, 128), "queries"))) == []


def test_many_that_are_cut() -> None:
    (warning,) = cut_warnings((CutTexts(1000, 51, 0, 0, 128), "queries"), (FINE, "training texts"))
    assert warning.startswith("51 of 1,000 queries (5.1%) are longer than the 128 tokens that the model reads")
    assert "Raise model_max_length" in warning


@pytest.mark.parametrize(("unknown", "cure"), [(0, "Raise model_max_length"), (11, "Choose a backbone that knows")])
def test_many_that_are_alike(unknown: int, cure: str) -> None:
    (warning,) = cut_warnings((CutTexts(1000, 50, 11, unknown, 128), "training texts"))
    assert warning.startswith("11 of 1,000 training texts (1.1%) are the same to the model as another text")
    assert cure in warning


def test_several_parts_share_a_sentence() -> None:
    parts = [CutTexts(number, number, number, 0, 128) for number in (48, 6, 7)]
    cut, alike = text_warnings(parts[0], side("tuned", query_texts=parts[1], index_texts=parts[2]))
    listed = "48 of 48 training texts (100.0%), 6 of 6 queries (100.0%) and 7 of 7 index documents (100.0%) are "
    assert cut.startswith(f"{listed}longer than the 128 tokens")
    assert alike.startswith(f"{listed}the same to the model")


def test_texts_that_are_not_new() -> None:
    fine = side("tuned", query_texts=FINE, index_texts=FINE)
    assert text_warnings(None, fine) == ()
    (warning,) = text_warnings(FINE, replace(fine, seen_queries=3, seen_index=12))
    assert warning.startswith(
        "3 held-out queries and 12 index documents are read as the same tokens as a training text"
    )


def test_a_base_that_reads_more_than_the_tuned_model(samples: SimpleNamespace) -> None:
    assert length_warning(samples.COMPARISON) == (
        "The base model is judged as it was published, reading 256 tokens; the tuned model reads 128 and cuts 31 of "
        "412 queries instead of 3 and 92 of 1,653 documents instead of 7. Raise model_max_length, or set it to 0 to "
        "keep the backbone's own."
    )
    fine = {"query_texts": FINE, "index_texts": FINE}
    assert length_warning(with_side(with_side(samples.COMPARISON, "base", **fine), "tuned", **fine)) == ""
    assert length_warning(with_side(samples.COMPARISON, "base", query_texts=None, index_texts=None)) == ""
