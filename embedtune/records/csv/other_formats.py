"""Tell what is given as a table and is none: other formats by their first bytes or words, and other separations."""

import json
import re

_BYTES = (
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

_UNTRIED = ("::", "||", "^^", "~~", "^", "~", "\x01", "¦", "§", "‖", '" "')
_BLANKS = re.compile(r"\S( {3,}|[ \t]*\t[ \t]*)(?=\S)")
_NEARLY_ALL = 0.9
_ROWS_NEEDED = 3


def other_bytes(data: bytes) -> str:
    """Say what a file is by its first bytes, and what to do with it; '' where nothing speaks against a text.

    Args:
        data: The beginning of a file.
    """
    if data.startswith(_ZIP):
        return next(told for part, told in _IN_ZIP if part in data)
    if _PICKLE.match(data):
        return "a pickle, which is never opened; write the table as CSV or Parquet"
    return next((told for start, told in _BYTES if data.startswith(start)), "")


def other_format(text: str) -> str:
    """Say what a text is that is no table, and what to do with it; '' where nothing speaks against a table.

    Args:
        text: The beginning of a file.
    """
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


def json_form(text: str) -> str:
    """Return 'lines' for objects of JSON, one a line, 'array' for JSON of another form, and '' for what is none.

    Args:
        text: The beginning of a file.
    """
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


def other_separation(text: str) -> str:
    """Name what divides nearly every row and is none of the delimiters that are looked for, '' if nothing does.

    Args:
        text: The beginning of a file whose rows have one column by comma, semicolon, tab and pipe.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < _ROWS_NEEDED:
        return ""
    for mark in _UNTRIED:
        counts = [line.strip().count(mark) for line in lines]
        most = max(set(counts), key=counts.count)
        if most and counts.count(most) >= _NEARLY_ALL * len(lines):
            return repr(mark)
    divided = sum(len(_BLANKS.findall(line)) == len(_BLANKS.findall(lines[-1])) > 0 for line in lines)
    return "a run of blanks" if divided >= _NEARLY_ALL * len(lines) else ""
