"""Texts: cut to a length that fits a message or a field, and without what nobody can see."""

import unicodedata
from collections.abc import Sequence

_SHOWN = 300
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_UNSEEN_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Signs without ink of other categories: those of Default_Ignorable_Code_Point in Unicode's DerivedCoreProperties.txt
that are letters or marks, and the Braille pattern without a dot."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_VARIATION_SELECTORS = ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))


def shortened(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters, with an ellipsis where something was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def excerpt(text: str) -> str:
    """Return a text in quotes, its control characters escaped, cut to a length that fits a sentence."""
    return repr(shortened(text, 60))


def shown_names(names: Sequence[str], separator: str = ", ") -> str:
    """Return names in one line, cut to a length that fits a message: a hostile file may have a million columns."""
    return shortened(separator.join(names[:_SHOWN]), _SHOWN)


def spreadsheet_cell(text: str) -> str:
    """Put an apostrophe before a value that a spreadsheet would take for a formula."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def stripped(text: str) -> str:
    """Return a text without the white space around it; '' where no sign of it can be seen."""
    text = text.strip()
    if "!" <= text[:1] <= "~" or not all(map(is_unseen, text)):
        return text
    return ""


def is_unseen(sign: str) -> bool:
    """Tell whether a character is white space, a control or format character, or another one without ink."""
    return (
        unicodedata.category(sign) in _UNSEEN_CATEGORIES
        or sign in _UNSEEN_LETTERS
        or any(first <= ord(sign) <= last for first, last in _VARIATION_SELECTORS)
    )
