"""Options that travel as one JSON string: an object with the fields of a dataclass, checked one by one."""

import dataclasses
import json
import types
from typing import Any, ClassVar, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from embedtune.errors import ConfigError
from embedtune.names import similar_names
from embedtune.text import shortened

T = TypeVar("T")

_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a string in quotes"}
_MANY = {str: "strings", int: "whole numbers"}
_SHOWN = 200


class Options:
    """A dataclass of options that travel as one JSON string; `parameter` is what they are called."""

    parameter: ClassVar[str]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the options from a JSON object.

        Raises:
            ConfigError: not a JSON object, an unknown key, or a value that is not accepted.
        """
        return options_from_json(cls, text, cls.parameter)

    def _check(self, passed: bool, name: str, value: object, accepted: str) -> None:
        """Refuse a value that is not accepted.

        Raises:
            ConfigError: it is not.
        """
        if not passed:
            raise ConfigError(f"{self.parameter}: {name} is {value!r}; accepted: {accepted}.")


def options_from_json(kind: type[T], text: str, parameter: str) -> T:
    """Read options from a JSON object.

    Args:
        kind: A dataclass whose fields are bool, int, float, str, tuples of any number of str or of int, or one of these
            or None.
        text: A JSON object with any of its fields; '' or '{}' means all defaults.
        parameter: What the options are called, such as train_options.

    Raises:
        ConfigError: not a JSON object, an unknown key, or a value of another type or not accepted.
    """
    fields = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    try:
        values = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits is a ValueError, deep nesting a RecursionError.
        raise ConfigError(
            f"{parameter} is {shortened(text, _SHOWN)!r}, which is not JSON. Write an object such as {{}} or one with "
            f"any of the keys {', '.join(fields)}, in double quotes."
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"{parameter} is {shortened(text, _SHOWN)!r}, which is no JSON object. Write one with any of the keys "
            f"{', '.join(fields)}."
        )
    for key in sorted(set(values) - set(fields)):
        near = similar_names(key, fields)
        hint = f" Perhaps {near[0]!r} is meant." if near else ""
        raise ConfigError(f"{parameter} has the unknown key {key!r}.{hint} Accepted: {', '.join(fields)}.")
    hints = get_type_hints(kind)
    return kind(**{key: _checked(value, hints[key], f"{parameter}: {key}") for key, value in values.items()})


def _checked(value: Any, annotation: Any, name: str) -> Any:
    """Return a value as its field holds it.

    Raises:
        ConfigError: it is of another type.
    """
    if get_origin(annotation) in (Union, types.UnionType):
        if value is None:
            return None
        (annotation,) = (each for each in get_args(annotation) if each is not type(None))
    if get_origin(annotation) is tuple:
        kind, _ = get_args(annotation)
        if isinstance(value, list) and all(type(each) is kind for each in value):
            return tuple(value)
        raise ConfigError(f"{name} is {value!r}; accepted: a list of {_MANY[kind]}.")
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not annotation:
        raise ConfigError(f"{name} is {value!r}; accepted: {_NAMES[annotation]}.")
    return value
