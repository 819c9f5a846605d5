"""Options that are JSON objects: each of their fields is a flag as well."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin, get_type_hints

from docstring_parser import parse_from_object

from embedtune.cli.flags import flag
from embedtune.cli.options import Option
from embedtune.errors import ConfigError
from embedtune.models.options import ModelOptions
from embedtune.retrieval.options import EvalOptions
from embedtune.training.options import TrainOptions

OPTION_KINDS: Mapping[str, Any] = {kind.parameter: kind for kind in (ModelOptions, TrainOptions, EvalOptions)}
"""What holds the fields of each such option."""


def with_fields(options: Iterable[Option], kinds: Mapping[str, Any] = OPTION_KINDS) -> list[Option]:
    """Return options, with one for each field behind those that are JSON objects."""
    return [each for option in options for each in (option, *_fields(option.name, kinds.get(option.name)))]


def merged(values: dict[str, Any], kinds: Mapping[str, Any] = OPTION_KINDS) -> dict[str, Any]:
    """Return a command's values with those of fields put into their JSON objects.

    Raises:
        ConfigError: a field has a value that is not accepted, or one here and another in the object.
    """
    values = dict(values)
    for parameter, kind in kinds.items():
        if parameter in values:
            names = {field.name: _name(parameter, field.name) for field in dataclasses.fields(kind)}
            found = {name: values.pop(long, None) for name, long in names.items()}
            given = {name: value for name, value in found.items() if value is not None and value != []}
            values[parameter] = _merged(parameter, kind, values[parameter], given)
    return values


def _name(parameter: str, field: str) -> str:
    return f"{parameter.removesuffix('options')}{field}"


def _fields(parameter: str, kind: Any) -> list[Option]:
    if kind is None:
        return []
    texts = {entry.arg_name: entry.description or "" for entry in parse_from_object(kind).params}
    types = get_type_hints(kind)
    return [
        Option(
            _name(parameter, field.name),
            _flag_type(types[field.name]),
            None,
            f"{texts[field.name]}{_shown(field.default)}",
            () if get_origin(types[field.name]) is tuple else tuple(filter(None, field.metadata.get("choices", ()))),
        )
        for field in dataclasses.fields(kind)
    ]


def _flag_type(annotation: Any) -> object:
    """Return how typer names a type; an option that may be given several times is a list there."""
    if get_origin(annotation) is tuple:
        return list[get_args(annotation)[0]]  # type: ignore[misc]
    return next((each for each in get_args(annotation) if each is not type(None)), annotation)


def _shown(default: object) -> str:
    if isinstance(default, tuple):
        default = ", ".join(map(str, default))
    return "" if default in (None, "") else f" Default: {default}."


def _merged(parameter: str, kind: Any, text: str, given: dict[str, Any]) -> str:
    options = _read(parameter, kind, text, {})
    written = json.loads(text) if text.strip() else {}
    for name, value in given.items():
        said = getattr(options, name)
        if name in written and said != (tuple(value) if isinstance(value, list) else value):
            switch = flag(_name(parameter, name))
            raise ConfigError(f"{switch} is {value!r}, but {flag(parameter)} says {written[name]!r}. Give it once.")
    both = json.dumps({**written, **given})
    _read(parameter, kind, both, given)
    return both if given else text


def _read(parameter: str, kind: Any, text: str, given: dict[str, Any]) -> object:
    """Return the options, or say what is wrong with them by what they are called here."""
    try:
        return kind.from_json(text)
    except ConfigError as error:
        message = str(error)
        for name in given:
            message = message.replace(f"{kind.parameter}: {name} is", f"{flag(_name(parameter, name))} is")
        raise ConfigError(message.replace(kind.parameter, parameter, 1)) from error
