"""What follows from the facts of a layout."""

from embedtune.records.layouts import Layout


def of(fact: str) -> set[str]:
    return {layout.value for layout in Layout if getattr(layout, fact)}


def test_what_follows_from_contents_and_values():
    assert of("has_labels") == {"labelled"}
    assert of("has_roles") == {"pairs", "matches", "beir"}
    assert of("has_parents") == {"text-image", "scored"}
    assert of("has_scores") == {"scored"}
    assert of("is_ranked") == {"matches", "beir"}
    assert of("has_splits") == {"beir"}
    assert of("is_trainable") == {layout.value for layout in Layout} - {"plain"}
    assert Layout.BEIR.columns == ("query", "document", "relevance", "split")
