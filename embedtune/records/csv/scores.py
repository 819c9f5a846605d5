"""Read how similar two contents are."""

import re

from embedtune.text import excerpt

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?")
_LONGEST = 40


def parse_score(value: str) -> float | str:
    """Return the score that a stripped value of a CSV holds, 0 to 1, or what is wrong with it.

    Digits with a decimal point or comma and an exponent are accepted; Python's `nan`, `inf` and `1_000` are not.
    """
    if not value:
        return "the score is empty"
    if len(value) > _LONGEST or _NUMBER.fullmatch(value) is None:
        return f"the score {excerpt(value)} is not a number from 0 to 1"
    score = float(value.replace(",", "."))
    if not 0 <= score <= 1:
        return f"the score {value} is not from 0 to 1" + (
            "; scores of 0 to 5, for instance, are divided by 5" if score > 1 else ""
        )
    return score + 0.0
