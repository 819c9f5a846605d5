"""How the fields of configurations are called on a command line."""

import dataclasses
import re
from collections.abc import Iterable

from embedtune.names import similar_names

_FIELD = re.compile(r"(\w+)(?= is |=| has |: )")
_CSV = re.compile(r"(The |Unknown )?CSV options?\b")
_CSV_OPTIONS = ("csv_options", "data_csv_options")


def flag(name: str) -> str:
    """Return the flag of an option."""
    return f"--{name.replace('_', '-')}"


def with_flags(message: str, names: Iterable[str]) -> str:
    """Return what is wrong with an option in the words that were typed.

    Args:
        message: Of a ConfigError. One about a field begins with its name.
        names: The command's options. A pipeline's end with the field's name.
    """
    known = list(names)
    csv = next((name for name in _CSV_OPTIONS if name in known), "")
    if csv and _CSV.match(message):
        return f"{flag(csv)}: {message}"
    field = _FIELD.match(message)
    named = [] if field is None else [name for name in known if name == field[1] or name.endswith(f"_{field[1]}")]
    return message if field is None or len(named) != 1 else flag(named[0]) + message[field.end() :]


def near_options(option: str, names: Iterable[str]) -> str:
    """Return which option, or which key of the CSV options, somebody may have meant; '' if nothing is near.

    Args:
        option: What was typed, such as --delimiter.
        names: The command's options.
    """
    known, word = list(names), option.strip("-").replace("-", "_").lower()
    found = similar_names(word, known)
    csv = next((name for name in _CSV_OPTIONS if name in known), "")
    if csv and not found:
        # The records' configuration takes a moment to import, which only this needs.
        from embedtune.records.csv.options import CSVOptions

        keys = similar_names(word, [field.name for field in dataclasses.fields(CSVOptions)])
        return f" {keys[0]} is a key of {flag(csv)}, which takes a JSON object." if keys else ""
    return f" Perhaps {' or '.join(map(flag, found))}?" if found else ""
