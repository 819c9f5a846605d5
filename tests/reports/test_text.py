"""User texts: one line, bounded, free of control characters, literal in Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from embedtune.reports.text import escape_markdown, setting, shorten


def test_shorten_keeps_a_text_that_fits() -> None:
    assert shorten("twelve chars", 12) == "twelve chars"


def test_settings_are_written_as_they_are_given() -> None:
    assert [setting(value) for value in ("é", 0.01, None, {"pooling": "", "gem": True, "é": [1]})] == [
        "é",
        "0.01",
        "null",
        '{"pooling": "", "gem": true, "é": [1]}',
    ]


def test_shorten_says_that_something_is_missing() -> None:
    assert shorten("twelve chars!", 12) == "twelve char…"


def test_shorten_does_not_end_in_a_space_before_the_ellipsis() -> None:
    assert shorten("one two three", 5) == "one…"


def test_white_space_becomes_one_space() -> None:
    assert shorten(" a\r\n\tb\u2028c\u00a0 d ", 20) == "a b c d"


@pytest.mark.parametrize("unfit", ["\x00", "\x07", "\x1b", "\x7f", "\x9f", "\u202e", "\u2066", "\ud800", "\uffff"])
def test_unfit_characters_are_shown_as_replaced(unfit: str) -> None:
    assert shorten(f"a{unfit}b", 10) == "a\ufffdb"


def test_right_to_left_scripts_and_joined_emoji_stay() -> None:
    text = "هل يمكن \u200f👩\u200d🔬"
    assert shorten(text, 40) == text


def test_a_cut_in_a_long_gap_is_not_silent() -> None:
    assert shorten("a" + " " * 1000 + "b", 10) == "a…"


def test_a_huge_text_is_quick() -> None:
    assert shorten("word " * 2_000_000, 10) == "word word…"


@given(st.text(alphabet=st.characters(), max_size=300), st.integers(1, 50))
def test_what_is_returned_is_bounded_and_can_be_written(text: str, characters: int) -> None:
    line = shorten(text, characters)
    assert len(line) <= characters
    assert "\n" not in line
    line.encode("utf-8")
    assert shorten(line, characters) == line


@given(st.text(alphabet="ab1 .:!-+#*_~[]()<>{}|\\`&;@/=^$\"'", max_size=60))
def test_markdown_shows_the_text_itself(text: str) -> None:
    line = shorten(text, 100)
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(f"Text: {escape_markdown(line)}")
    children = [child for token in tokens for child in token.children or []]
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == f"Text: {line}".rstrip().replace("`", "ˋ")


@given(st.text(alphabet="ab |\\`*", max_size=30))
def test_markdown_keeps_table_cells_apart(text: str) -> None:
    cell = escape_markdown(shorten(text, 100))
    html = MarkdownIt("commonmark").enable("table").render(f"| A | B |\n| - | - |\n| {cell} | {cell} |\n")
    assert html.count("<td>") == 2
