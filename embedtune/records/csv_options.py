"""How a CSV is to be read; everything is detected unless it is set."""

import codecs
import dataclasses
import json
from dataclasses import dataclass

from embedtune.errors import ConfigError
from embedtune.records.dialects import NAMED_DIALECTS

AUTO = "auto"
"""The value that asks for detection."""

_HEADERS = (AUTO, "yes", "no")
# They decode to half surrogate pairs, which no file we write can hold, or are made for host names.
_NOT_FOR_FILES = ("utf-7", "unicode-escape", "raw-unicode-escape", "idna", "punycode")


@dataclass(frozen=True)
class CSVOptions:
    """Options for reading a CSV."""

    dialect: str = AUTO
    """'auto', or a key of `dialects.NAMED_DIALECTS`: excel, excel-tab, unix, semicolon, pipe, lines."""
    encoding: str = AUTO
    """'auto' (the byte order mark if there is one, else UTF-8), or any text codec of Python, such as cp1252."""
    header: str = AUTO
    """'yes': the first row holds column names; 'no': it holds data; 'auto': see `columns.detect_header`."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: an option has a value that is not accepted.
        """
        for name, value in dataclasses.asdict(self).items():
            if not isinstance(value, str):
                raise ConfigError(f"CSV option {name}={value!r} is not a string. Write it in quotes.")
        _check_choice("dialect", self.dialect, (AUTO, *NAMED_DIALECTS))
        _check_choice("header", self.header, _HEADERS)
        if self.encoding != AUTO and not _is_text_codec(self.encoding):
            raise ConfigError(
                f"CSV option encoding={self.encoding!r} is not a text encoding that Python knows. Accepted: 'auto', "
                "'utf-8', 'utf-16', 'cp1252', 'latin-1' and the others of Python's codecs module."
            )

    @classmethod
    def from_json(cls, text: str) -> "CSVOptions":
        """Read options from the JSON object in which they travel as a pipeline parameter.

        Args:
            text: A JSON object with any of this class's fields; '' or '{}' means all defaults.

        Raises:
            ConfigError: not a JSON object, an unknown key, or a value that is not accepted.
        """
        accepted = ", ".join(field.name for field in dataclasses.fields(cls))
        try:
            values = json.loads(text) if text.strip() else {}
        except json.JSONDecodeError as error:
            raise ConfigError(
                f'The CSV options {text!r} are not JSON: {error}. Write an object such as {{"dialect": "excel-tab"}}.'
            ) from error
        if not isinstance(values, dict):
            raise ConfigError(f"The CSV options {text!r} are not a JSON object. Write one with keys of {accepted}.")
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ConfigError(f"Unknown CSV option {unknown[0]!r}. Accepted: {accepted}.")
        return cls(**values)


def _check_choice(name: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise ConfigError(f"CSV option {name}={value!r} is not accepted. Choose one of {', '.join(accepted)}.")


def _is_text_codec(name: str) -> bool:
    try:
        "".encode(name)
        return codecs.lookup(name).name not in _NOT_FOR_FILES
    except (LookupError, ValueError):
        return False
