"""Texts cut to a length that fits a message or a field."""


def shortened(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters, with an ellipsis where something was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def excerpt(text: str) -> str:
    """Return a text in quotes, its control characters escaped, cut to a length that fits a sentence."""
    return repr(shortened(text, 60))
