"""Our own JSON files: what they may say, and the words for what they may not."""

import json
from dataclasses import dataclass
from enum import StrEnum

import pytest

from embedtune.manifests import OtherFormatError, checked_as, parse_as


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Part:
    name: str
    rows: int

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a part without a name")


@dataclass(frozen=True)
class Whole:
    colour: Colour
    parts: tuple[Part, ...]
    shares: tuple[tuple[str, float], ...] = ()
    note: str | None = None


GOOD = {"colour": "red", "parts": [{"name": "a", "rows": 1}]}


def with_part(**changes: object) -> dict[str, object]:
    return {**GOOD, "parts": [{"name": "a", "rows": 1}, {"name": "b", "rows": 2, **changes}]}


def test_a_dataclass_comes_back_with_its_own_types() -> None:
    found = checked_as(Whole, {**GOOD, "shares": [["a", 1]]})
    assert found == Whole(Colour.RED, (Part("a", 1),), (("a", 1.0),))
    assert isinstance(found.shares[0][1], float)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({**GOOD, "shade": 1}, "the key 'shade' is not known"),
        (with_part(size=1), "the key 'parts.1.size' is not known"),
        (with_part(**{"\x1b" * 99: 1}), "the key 'parts.1." + r"\x1b" * 12 + r"\x… is not known"),
        ({"colour": "red"}, "'parts' is missing"),
        (with_part(rows="2"), "'parts.1.rows' is '2'; input should be a valid integer"),
        (with_part(rows=True), "'parts.1.rows' is True; input should be a valid integer"),
        (with_part(rows=2.0), "'parts.1.rows' is 2.0; input should be a valid integer"),
        (with_part(name=""), "'parts.1': a part without a name"),
        ({**GOOD, "colour": "x" * 99}, f"'colour' is '{'x' * 58}…; input should be 'red'"),
        ({**GOOD, "note": 3}, "'note' is 3; input should be a valid string"),
        ({**GOOD, "parts": "a"}, "'parts' is 'a'; input should be a valid array"),
    ],
)
def test_what_is_wrong_is_said_in_words(data: object, words: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011, the words are compared whole
        checked_as(Whole, data)
    assert str(raised.value) == words


def test_head_is_checked_first_and_left_out() -> None:
    assert parse_as(Whole, json.dumps({**GOOD, "format": "ours", "version": 3}), "ours", 3).colour is Colour.RED
    for head in ({"format": "ours", "version": 4}, {"format": "theirs", "version": 3}, {"version": 3}):
        with pytest.raises(OtherFormatError, match=r"this version of embedtune reads 'ours' version 3$"):
            parse_as(Whole, json.dumps({"unknown": 1, **head}), "ours", 3)
    with pytest.raises(OtherFormatError, match=r"^is of format None version None;"):
        parse_as(Whole, b"[]", "ours", 3)


@pytest.mark.parametrize("text", [b"", b"\xff", "{", "[" * 100_000, f'{{"format": {"1" * 5000}}}'])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011, each kind of damage has words of its own
        parse_as(Whole, text, "ours", 3)
    assert not isinstance(raised.value, OtherFormatError)
