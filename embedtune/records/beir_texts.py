"""The texts of a BEIR folder: lines of JSON, kept in a temporary file with their ids in memory."""

import gzip
import io
import json
import os
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from embedtune.errors import InputError, StorageError, reason
from embedtune.progress import Advance
from embedtune.text import stripped

LINE_LIMIT = 16 << 20
"""Bytes of the longest line that is read; bounds the memory."""

_TOLD_EVERY = 1 << 20


class EmptyTextError(ValueError):
    """A text that is empty, of this id."""

    def __init__(self, identifier: str) -> None:
        """Say so."""
        super().__init__("the text is empty")
        self.identifier = identifier


class TextStore:
    """Texts by id, in a file that is read at random; memory holds each id once, and for each text 16 bytes."""

    def __init__(self, file: BinaryIO) -> None:
        """Begin with an empty file, opened for writing and reading."""
        self.numbers: dict[str, int] = {}  # of each id that of its text, in the order of adding
        self.lines = array("q")  # of each text the line that it came from
        self._file = file
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self.lines)

    def add(self, line: int, identifier: str, text: bytes) -> None:
        """Add a text in UTF-8; the same text of the same id is passed over, another one raises ValueError."""
        number = self.numbers.get(identifier)
        if number is not None:
            if self._bytes(number) != text:
                raise ValueError(f"line {self.lines[number]} has the same _id and another text")
            return
        self.numbers[identifier] = len(self.lines)
        self.lines.append(line)
        self._ends.append(self._ends[-1] + len(text))
        self._file.write(text)

    def text(self, number: int) -> str:
        """Return a text by its number."""
        return self._bytes(number).decode()

    def _bytes(self, number: int) -> bytes:
        start, end = self._ends[number], self._ends[number + 1]
        self._file.flush()
        return os.pread(self._file.fileno(), end - start, start)


def read_lines(path: Path, advance: Advance) -> Iterator[tuple[int, bytes, str]]:
    """Yield the lines of a file, plain or compressed with gzip, that are not blank: number from 1, bytes, problem.

    The bytes are without the line end, and cut where the line is longer than LINE_LIMIT; then the problem is not ''.
    """
    try:
        with path.open("rb") as file:
            unpacked = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
            yield from _lines(io.BufferedReader(unpacked, _TOLD_EVERY), file, advance)
    except FileNotFoundError as error:
        raise StorageError(
            f"{path.name} does not exist any more. Keep the files in place while they are read."
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path.name} is no whole gzip file. Copy it again, or unpack it.") from error
    except OSError as error:
        raise StorageError(f"{path.name} cannot be read: {reason(error)}.") from error


def parse_text(raw: bytes) -> tuple[str, bytes]:
    """Return id and text (in UTF-8) of a line of JSON; a ValueError says why a row cannot hold it.

    The text is `title + ' ' + text` without white space around it, or `text` where there is no title, as BEIR's own
    models are given it (https://github.com/beir-cellar/beir, retrieval/models/sentence_bert.py).
    """
    entry = _parse_object(raw)
    identifier, text, title = entry.get("_id"), entry.get("text"), entry.get("title")
    if not isinstance(identifier, str | int) or isinstance(identifier, bool):
        raise ValueError("_id is no text" if "_id" in entry else "no _id")
    if "text" not in entry:
        raise ValueError("no text")
    if not isinstance(text, str | None):
        raise ValueError("text is no text")
    if not isinstance(title, str | None):
        raise ValueError("title is no text")
    content = stripped(f"{title or ''} {text or ''}")
    identifier = str(identifier).strip()
    if not identifier:
        raise ValueError("the _id is empty")
    if not content:
        raise EmptyTextError(identifier)
    if "\0" in content:
        raise ValueError("the text contains a NUL character")
    try:
        return identifier, content.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the text contains half a surrogate pair") from error


def _parse_object(raw: bytes) -> dict[str, object]:
    try:
        entry = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start + 1}") from error
    except RecursionError as error:
        raise ValueError("no JSON of one object: nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON from character {error.pos + 1} on") from error
    except ValueError as error:
        raise ValueError("no JSON: a number with too many digits") from error
    if not isinstance(entry, dict):
        raise ValueError("no JSON object")
    return entry


def _lines(reader: io.BufferedReader, file: BinaryIO, advance: Advance) -> Iterator[tuple[int, bytes, str]]:
    number = told = 0
    while line := reader.readline(LINE_LIMIT):
        number += 1
        problem = ""
        if len(line) == LINE_LIMIT and not line.endswith(b"\n"):
            problem = f"longer than {LINE_LIMIT >> 20} MiB"
            while (rest := reader.readline(LINE_LIMIT)) and not rest.endswith(b"\n"):
                pass
        if file.tell() - told >= _TOLD_EVERY:
            advance(file.tell() - told)
            told = file.tell()
        line = line.rstrip(b"\r\n")
        if line.strip():
            yield number, line, problem
    advance(file.tell() - told)
