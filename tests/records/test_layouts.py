"""What follows from the columns of a layout."""

import pytest

from embedtune.records.layouts import Layout

FACTS = {
    Layout.LABELLED: {"has_labels", "is_trainable"},
    Layout.PAIRS: {"has_roles", "is_trainable"},
    Layout.TEXT_IMAGE: {"has_parents", "is_trainable"},
    Layout.SCORED: {"has_parents", "has_scores", "is_trainable"},
    Layout.MATCHES: {"has_roles", "is_ranked", "is_trainable"},
    Layout.BEIR: {"has_roles", "is_ranked", "has_splits", "is_trainable"},
    Layout.PLAIN: set(),
}


@pytest.mark.parametrize("layout", FACTS)
def test_what_follows_from_contents_and_values(layout):
    names = [name for name in vars(Layout) if name.startswith(("has_", "is_"))]
    assert {name for name in names if getattr(layout, name)} == FACTS[layout]


def test_columns_follow_each_other():
    assert Layout.BEIR.columns == ("query", "document", "relevance", "split")
