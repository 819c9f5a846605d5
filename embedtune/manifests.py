"""What our own JSON files say, as the dataclasses that wrote it: of exactly these types, and with no other key."""

import json
from collections.abc import Hashable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from embedtune.text import shortened

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")

_SHOWN = 60


class OtherFormatError(ValueError):
    """The file is of another format or version; the message is the end of a sentence that begins with its name."""


def parse_as(kind: type[T], text: str | bytes, file_format: str, version: int) -> T:
    """Read a file that says of which format and version it is, beside the fields of a dataclass.

    Args:
        kind: The dataclass. Its `__post_init__` may refuse values with a ValueError.
        text: The JSON, an object.
        file_format: What it must have as 'format'.
        version: What it must have as 'version'.

    Raises:
        OtherFormatError: it has another format or version.
        ValueError: it is no JSON, lacks a key, has one that is not known, or a value that is not accepted; the message
            says which.
    """
    try:
        data = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    found = (data.get("format"), data.get("version")) if isinstance(data, Mapping) else (None, None)
    if found != (file_format, version):
        raise OtherFormatError(
            f"is of format {_shown(found[0])} version {_shown(found[1])}; this version of embedtune reads "
            f"{file_format!r} version {version}"
        )
    return checked_as(kind, {key: value for key, value in data.items() if key not in ("format", "version")})


def checked_as(kind: type[T], data: object) -> T:
    """Return a dataclass of what JSON holds, without turning a value into one of another type.

    Raises:
        ValueError: a key is missing or not known, or a value is not accepted; the message says which.
    """
    from pydantic import ValidationError  # takes a tenth of a second, which --help need not

    try:
        as_json = json.dumps(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    try:
        # As JSON again: of Python's own objects, strict would take no list for a tuple and no text for an enumeration.
        checked: T = _adapter(cast(Hashable, kind)).validate_json(as_json, strict=True, extra="forbid")
    except ValidationError as error:
        raise ValueError(_in_words(error)) from error
    return checked


@cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    """Return what checks a dataclass; making it takes as long as checking a hundred."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _in_words(error: "ValidationError") -> str:
    """Return what is wrong with the first field that something is wrong with."""
    found = error.errors(include_url=False)[0]
    place, kind = _shown(".".join(map(str, found["loc"]))) if found["loc"] else "the whole", found["type"]
    if kind == "missing":
        return f"{place} is missing"
    if kind == "unexpected_keyword_argument":
        return f"the key {place} is not known"
    if kind == "value_error":
        return f"{place + ': ' if found['loc'] else ''}{found['ctx']['error']}"
    expected: str = found["msg"]
    return f"{place} is {_shown(found['input'])}; {expected[:1].lower()}{expected[1:]}"


def _shown(value: object) -> str:
    return shortened(repr(value), _SHOWN)
