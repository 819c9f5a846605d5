"""Options that are JSON objects or lists of whatever names they hold, and no dataclass's fields."""

import json
from typing import get_origin

from embedtune.errors import ConfigError

_ACCEPTED: dict[type, tuple[str, str]] = {dict: ("object", "{}"), list: ("list", "[]")}


def json_kind(annotation: object) -> type | None:
    """Return dict or list where a type is one of these, None of others."""
    return next((kind for kind in _ACCEPTED if get_origin(annotation) is kind), None)


def json_value(name: str, text: str, kind: type) -> object:
    """Return what an option holds.

    Args:
        name: Of the option, with underscores.
        text: As it was typed.
        kind: dict or list.

    Raises:
        ConfigError: it is not JSON, or of another kind.
    """
    what, example = _ACCEPTED[kind]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        at = f" from character {error.pos + 1} on" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigError(f"{name} is {text!r}, which is not JSON{at}. {example} is none.") from error
    if not isinstance(value, kind):
        raise ConfigError(f"{name} is {text!r}; accepted: a JSON {what}.")
    return value
