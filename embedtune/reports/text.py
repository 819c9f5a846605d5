"""Texts that users brought, made fit for a page: one line, no control characters, of bounded length."""

import json
import re

MAX_CHARACTERS = 400
"""Length to which a page shortens any text that has no shorter limit of its own."""

_WHITE_SPACE = re.compile(r"\s+")
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff]")
_MARKDOWN = re.compile(r"([\\*_{}\[\]()<>#+\-.!|&~:@$^=])")


def shorten(text: str, characters: int) -> str:
    """Return the text on one line, with an ellipsis where it is longer than a limit.

    Control characters, lone surrogates and the characters that override the writing direction (which could make the
    rest of the page read backwards) become U+FFFD, so that a reader sees that something was there.

    Args:
        text: Any text.
        characters: Greatest length of what is returned, at least 1.
    """
    # A reader sees at most `characters`; looking at a few times as many bounds the work for a text of megabytes.
    whole = text.strip()
    window = whole[: characters * 8]
    line = _UNFIT.sub("\N{REPLACEMENT CHARACTER}", _WHITE_SPACE.sub(" ", window)).strip()
    if len(line) <= characters and len(window) == len(whole):
        return line
    return line[: characters - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def escape_markdown(text: str) -> str:
    r"""Return a text of one line so that Markdown shows it as it is, in a table cell too.

    Backslashes are what CommonMark and markdown-to-jsx (the viewer of Kubeflow Pipelines) both understand; a colon gets
    one because bare addresses would become links. A backtick becomes its look-alike U+02CB: markdown-to-jsx 7 takes
    escaped backticks of two table cells for a code span and merges the cells.
    """
    return _MARKDOWN.sub(r"\\\1", text.replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}"))


def setting(value: object) -> str:
    """Write the value of an option as a person would give it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
