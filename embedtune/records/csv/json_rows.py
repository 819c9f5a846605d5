"""Rows that are objects of JSON: one a line, or the entries of an array."""

import json
from collections.abc import Mapping
from typing import Any

from embedtune.errors import InputError

Values = Mapping[str, Any]
"""The values of one row by the names of their columns: texts, None, and lists or objects, which cannot be read."""

_TOO_DEEP = "nested too deeply"


def parse_row(text: str) -> Values | str:
    """Return the values of one object, or what is wrong with it; numbers stay as they are written."""
    try:
        return _checked(_decoder.decode(text.strip().removeprefix("\ufeff")))
    except json.JSONDecodeError as error:
        return f"no JSON from character {error.pos + 1} on"
    except RecursionError:
        return f"no JSON: {_TOO_DEEP}"
    except ValueError as error:  # in our own words, see `_object`
        return str(error)


def parse_array(text: str, origin: str) -> list[tuple[Values | str, str]]:
    """Return of each entry of an array the values, or what is wrong with it, and its text.

    Args:
        text: The whole file.
        origin: What to call it in a message.

    Raises:
        InputError: it is no JSON, or no array.
    """
    try:
        entries = _decoder.decode(text.removeprefix("\ufeff").strip())
    except json.JSONDecodeError as error:
        raise _not_whole(origin, f"line {error.lineno}: not from character {error.colno} on") from error
    except RecursionError as error:
        raise _not_whole(origin, _TOO_DEEP) from error
    except ValueError as error:
        raise _not_whole(origin, str(error)) from error
    if not isinstance(entries, list):
        raise InputError(
            f"{origin} is JSON, but no array of objects such as "
            '[{"text": "…", "label": "…"}]. Write one, or one object a line.'
        )
    return [(_checked(entry), json.dumps(entry, ensure_ascii=False)) for entry in entries]


def _not_whole(origin: str, why: str) -> InputError:
    return InputError(f"{origin} is no whole JSON ({why}). Write an array of objects, or one object a line.")


def _checked(entry: object) -> Values | str:
    if not isinstance(entry, dict):
        return "no JSON object"
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in entry.items()}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        doubled = next(name for name, _ in pairs if [each for each, _ in pairs].count(name) > 1)
        raise ValueError(f"the name {doubled!r} stands twice in one object")
    return entry


def _constant(name: str) -> str | None:
    return None if name == "NaN" else name


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=_constant)
