"""Find out what a file with a table is by its beginning: its form and encoding, or that it is none."""

import codecs
import io
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from embedtune.errors import InputError, StorageError, reason
from embedtune.records.csv.options import CSVSource

SAMPLE_BYTES = 1 << 20
"""How much of a file detection looks at."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OLDER = {
    "cp1252": "Western European",
    "cp1251": "Cyrillic",
    "cp932": "Japanese",
    "gb18030": "Chinese",
    "cp949": "Korean",
}
"""Encodings of older Windows exports, and what is written in them."""
_JAPANESE_ESCAPES = (b"\x1b$B", b"\x1b$@")
_NUL_SHARE = 0.1
_EMPTY_BYTES = 1 << 12
_FEW_LINES = 10
_LOOKED_THROUGH = 64
"""How many times the size of a sample is read at most, where lines are long."""

_OTHER_BYTES = (
    (b"\x1f\x8b", "compressed with gzip; unpack it"),
    (b"\xfd7zXZ\0", "compressed with xz; unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it"),
    (b"\x04\x22\x4d\x18", "compressed with lz4; unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (b"Rar!\x1a", "a RAR archive; unpack it"),
    (b"%PDF", "a PDF; export the table from where the PDF was made"),
    (b"\xd0\xcf\x11\xe0", "a document of older Office programs, such as Excel's .xls; export the sheet as CSV"),
    (b"SQLite format 3\0", "an SQLite database; export the table as CSV"),
    (b"{\\rtf", "a document in Rich Text Format; save it as plain text"),
    (b"ARROW1\0", "an Arrow or Feather file; write it as Parquet"),
    (b"Obj\x01", "an Avro file; write it as Parquet, JSON lines or CSV"),
    (b"\x93NUMPY", "an array of NumPy; write it as CSV"),
    (b"\x89HDF", "an HDF5 file; write it as Parquet or CSV"),
    (b"\x89PNG", "an image; give a folder per class, or a CSV that names images"),
    (b"\xff\xd8\xff", "an image; give a folder per class, or a CSV that names images"),
    (b"GIF89a", "an image; give a folder per class, or a CSV that names images"),
)
_ZIP = b"PK\x03\x04"
_IN_ZIP = (
    (b"xl/", "an Excel workbook; export the sheet as CSV"),
    (b"word/", "a Word document; save the table as CSV"),
    (b"opendocument", "an OpenDocument file; export the sheet as CSV"),
    (b"data.pkl", "a model of PyTorch; give data to train on"),
    (b".npy", "an archive of NumPy; write it as CSV"),
    (b"", "a ZIP archive whose name does not end in .zip; rename it, or unpack it"),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")

_HTML = re.compile(r"<!doctype html|<html[\s>]", re.IGNORECASE)
_XML = re.compile(r"<\?xml|<svg[\s>]", re.IGNORECASE)
_POINTER = "version https://git-lfs.github.com/spec/"
_FAST_TEXT = "__label__"

_INDENTED_JSON = re.compile(r"(\[\s*)?\{\s*\n\s*\"|\[\s*\n\s*\{")
_LONG_ARRAY = re.compile(r"\[\s*\{\s*\"")
_NEARLY_ALL = 0.9
_PARQUET_START = b"PAR1"


class TableForm(StrEnum):
    """What a file with a table is."""

    CSV = "CSV"
    JSON_LINES = "JSON lines"
    JSON = "JSON"
    PARQUET = "Parquet"


@dataclass(frozen=True)
class Sample:
    """The beginning of a file."""

    text: str
    """Decoded text without a byte order mark, up to the end of a line; perhaps without lines of megabytes."""
    encoding: str
    """Python's name of the encoding."""


def read_sample(source: CSVSource, encoding: str, limit: int = SAMPLE_BYTES) -> Sample:
    """Read and decode the first bytes of a file; with 'auto' by the byte order mark if there is one, else as UTF-8.

    Nothing else is ever guessed. Refused are a folder, an empty file, another format, and undecodable bytes.
    """
    data, complete = read_beginning(source, limit)
    if not data:
        raise InputError(
            f"{source.origin} is empty (0 bytes). Give a CSV with rows such as text,label or query,document."
        )
    other = _other_bytes(data)
    if other:
        raise InputError(f"{source.origin} is no table but {other}.")
    if encoding == "auto":
        encoding = _detect(source, data)
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data, complete)
        if not complete and len(text.splitlines()) < _FEW_LINES:
            text = _short_lines(source, encoding, limit) or text
    except UnicodeDecodeError as error:
        raise undecodable(source, encoding) from error
    except UnicodeError as error:
        raise unmarked(source, encoding) from error
    if not complete:
        # A record cut in two would look malformed.
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        text = text[:end] if end else text
    return Sample(text.removeprefix("\ufeff"), encoding)


def _short_lines(source: CSVSource, encoding: str, limit: int) -> str:
    """Return the first lines of a file of which some are as long as a whole sample; these are left out."""
    lines = list[str]()
    taken = seen = 0
    starts_line = True
    with source.path.open(encoding=encoding, newline="") as file:
        while taken < limit and seen < _LOOKED_THROUGH * limit and (line := file.readline(limit)):
            ends_line = line.endswith(("\n", "\r"))
            if starts_line and ends_line:
                lines.append(line)
                taken += len(line)
            seen += len(line)
            starts_line = ends_line
    return "".join(lines)


def table_form(source: CSVSource, encoding: str, dialect: object, limit: int = SAMPLE_BYTES) -> TableForm:
    """Tell what a file with a table is by its first bytes; only broken JSON is told by the name of the file.

    Encoding and dialect are the CSV options; texts, one a line, are no JSON. Refused is what `read_sample` refuses.
    """
    if read_beginning(source, len(_PARQUET_START))[0] == _PARQUET_START:
        return TableForm.PARQUET
    if dialect == "lines":
        return TableForm.CSV
    found = _json_form(read_sample(source, encoding, limit).text)
    suffix = source.origin.rpartition(".")[2].lower()
    if found == "array" or (not found and suffix == "json"):
        return TableForm.JSON
    return TableForm.JSON_LINES if found or suffix in ("jsonl", "ndjson") else TableForm.CSV


def other_format(text: str) -> str:
    """Say what a text is that is no table, and what to do with it; '' where nothing speaks against a table."""
    text = text.lstrip()
    if _HTML.match(text):
        return "an HTML page, perhaps that of a login or an error; download the file itself"
    if _XML.match(text):
        return "XML; export it as CSV"
    if text.startswith(_POINTER):
        return "a pointer of Git LFS, not the file itself; fetch it with 'git lfs pull'"
    lines = [line for line in text.splitlines() if line.strip()]
    if sum(line.startswith(_FAST_TEXT) for line in lines) >= max(_NEARLY_ALL * len(lines), 1):
        return "a file of fastText, with __label__ before each text; write it as CSV with the columns text,label"
    return ""


def is_empty(source: CSVSource) -> bool:
    """Whether a file holds nothing but a byte order mark, white space, delimiters, and DOS's sign of a file's end."""
    data, complete = read_beginning(source, _EMPTY_BYTES)
    mark = next((mark for mark, _ in _BYTE_ORDER_MARKS if data.startswith(mark)), b"")
    return complete and not data[len(mark) :].strip(b' \t\r\n\x1a,;|"' + (b"\0" if mark else b""))


def undecodable(source: CSVSource, encoding: str) -> InputError:
    """Return the error for a file with bytes that its encoding does not allow, with their place."""
    decoder = codecs.getincrementaldecoder(encoding)()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    offset, line = 0, 1
    with source.path.open("rb") as file:
        while True:
            chunk = file.read(SAMPLE_BYTES)
            state = decoder.getstate()
            try:
                text = decoder.decode(chunk, not chunk)
            except UnicodeDecodeError as error:
                # The decoder may have held back bytes of the chunk before, then the place can be negative.
                place = error.start - (len(error.object) - len(chunk))
                decoder.setstate(state)
                line += newlines.decode(decoder.decode(chunk[: max(place, 0)])).count("\n")
                offset += place
                found = error.object[error.start : error.end].hex(" ")
                rest = error.object[error.object.rfind(b"\n", 0, error.start) + 1 :]
                break
            if not chunk:
                raise StorageError(f"{source.origin} changed while it was read. Start again when it is complete.")
            line += newlines.decode(text).count("\n")
            offset += len(chunk)
    return InputError(
        f"{source.origin} is not valid {encoding}: byte {offset} (hex {found}) on line {line}. Save the file "
        f"as UTF-8, or set the CSV option `encoding` to the one it is in{_possible(rest, encoding)}."
    )


def _possible(data: bytes, besides: str) -> str:
    """Return which older encodings allow such bytes, up to an incomplete character at their end; '' if none does."""
    names = []
    for name in _OLDER:
        with suppress(UnicodeDecodeError):
            codecs.getincrementaldecoder(name)().decode(data)
            names += [name] if name != codecs.lookup(besides).name else []
    return ", perhaps " + ", ".join(f"{name} ({_OLDER[name]})" for name in names) if names else ""


def unmarked(source: CSVSource, encoding: str) -> InputError:
    """Return the error for a file without the byte order mark that its encoding, UTF-16 or UTF-32, needs."""
    name = "utf-32" if "32" in encoding else "utf-16"
    return InputError(
        f"{source.origin} has no byte order mark, which the encoding {encoding} needs. Set the CSV option `encoding` "
        f"to {name}-le (usual on Windows) or {name}-be."
    )


def read_beginning(source: CSVSource, limit: int) -> tuple[bytes, bool]:
    """Return the first bytes of a file, and whether these are all; refuse a folder and what cannot be read."""
    if source.path.is_dir():
        raise InputError(f"{source.origin} is a folder. Give the path of one CSV file.")
    try:
        with source.path.open("rb") as file:
            data = file.read(limit)
            return data, not file.peek(1)
    except FileNotFoundError as error:
        raise StorageError(f"{source.origin} does not exist. Check the path.") from error
    except OSError as error:
        raise StorageError(f"{source.origin} cannot be read: {reason(error)}. Check its permissions.") from error


def _detect(source: CSVSource, data: bytes) -> str:
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return name
    if any(escape in data for escape in _JAPANESE_ESCAPES):
        raise InputError(
            f"{source.origin} is in ISO-2022-JP by its escape sequences. Save it as UTF-8, or set the CSV option "
            "`encoding` to iso2022_jp."
        )
    nuls = data.count(0)
    if nuls > _NUL_SHARE * len(data):
        if not data.rstrip(b"\0").count(0):
            raise InputError(
                f"{source.origin} ends in NUL bytes ({nuls} of its first {len(data)}), as a file does whose writing "
                "was cut off: rows are lost. Copy or export it again."
            )
        order = "be" if data[::2].count(0) > data[1::2].count(0) else "le"
        raise InputError(
            f"{source.origin} holds {nuls} NUL bytes in its first {len(data)}: UTF-16 without a byte order mark, or no "
            f"text at all. Save it as UTF-8, or set the CSV option `encoding`, for example to utf-16-{order}."
        )
    return "utf-8"


def _other_bytes(data: bytes) -> str:
    """Say what a file is by its first bytes, and what to do with it; '' where nothing speaks against a text."""
    if data.startswith(_ZIP):
        return next(told for part, told in _IN_ZIP if part in data)
    if _PICKLE.match(data):
        return "a pickle, which is never opened; write the table as CSV or Parquet"
    return next((told for start, told in _OTHER_BYTES if data.startswith(start)), "")


def _json_form(text: str) -> str:
    """Return 'lines' for objects of JSON, one a line, 'array' for JSON of another form, and '' for what is none."""
    text = text.lstrip()
    if not text.startswith(("{", "[")):
        return ""
    first, end, _ = text.partition("\n")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return "lines"
    objects = isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
    is_array = objects or _INDENTED_JSON.match(text) or (not end and _LONG_ARRAY.match(text))
    return "array" if is_array else ""
