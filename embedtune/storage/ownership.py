"""What of the files and folders at hand embedtune has written, so that nothing else is read by mistake or replaced."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

OUTPUT_MARKER = ".embedtune-output"
"""File in the output folder of a run, made before anything else: what lies in the folder is no data."""

INVENTORY = ".embedtune-files"
"""File in every folder that is written as a whole: the names of all others in it, so that what is added is known."""

VECTORS_HEADER_BYTES = 182
VECTORS_START = b"\x93NUMPY\x01\x00" + VECTORS_HEADER_BYTES.to_bytes(2, "little")
"""How our files of vectors begin: their header is 64 bytes longer than NumPy makes it, as its format allows."""

NAMES_HEADER = ("vector", "name")
"""First row of our files that say of what the vectors are."""

GZIP_END = b"\x1f\x8b\x08\x10\0\0\0\0\0\xffembedtune\0\x03\0" + bytes(8)
"""A file of gzip (RFC 1952) without content, with a comment: what our files of gzip end with."""

# Version 0.1 left no marker, but this.
_SIGNS = (OUTPUT_MARKER, "runs/request.json")
# The folders of version 0.1, which have no inventory: a file that each kind has, what is in that, and all names.
_EARLIER_FOLDERS = (
    (
        "embedtune.json",
        b'"backbone_digest"',
        r"[\w./-]+\.(json|safetensors|model|jinja|onnx|onnx_data)|README\.md|(vocab|merges|dict)\.txt|bpe\.codes",
    ),
    ("comparison.json", b'"queries_without_relevant"', r"comparison\.json|queries\.csv|qrels\.txt|(base|tuned)\.run"),
    (
        "plan.json",
        b'"embedtune.plan"',
        r"(plan|summary)\.json|(assignment-\d+|(train|evaluation)-relevance)\.parquet",
    ),
    ("manifest.json", b'"embedtune.documents"', r"(manifest|summary|part)\.json|relevance\.parquet|[\w-]+\.protobuf.+"),
    ("part.json", b'"embedtune.documents.part"', r"part\.json|[\w-]+\.protobuf.+"),
)
_LEFT_BY_SYSTEMS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})

_STARTS = re.compile(
    rb"<!doctype html>\s<html lang=\"en\">\s<head>\s<meta charset=\"utf-8\">\s"
    rb"<meta (name=\"generator\" content=\"embedtune"
    rb"|http-equiv=\"Content-Security-Policy\" content=\"default-src 'none')"
    rb"|line,reason,row(,source)?\n|vector,name\r\n"
)
_PIPELINE = re.compile(rb"^  name: embedtune-", re.MULTILINE)
_ENDS = re.compile(rb"embedtune\.layout.*PAR1\Z|\n\[//\]: # \(embedtune\)\s*\Z", re.DOTALL)
_SUMMARY_KEYS = {"decision", "metrics", "registered", "parameters"}
_START_BYTES, _END_BYTES = 512, 1 << 16


def is_nobodys(name: str) -> bool:
    """Tell whether a file is one that systems leave in any folder, or a mark of ours: it is no reason to keep one."""
    return name in _LEFT_BY_SYSTEMS or name.startswith(".embedtune-")


def is_run_folder(folder: Path) -> bool:
    """Tell whether a folder is the output folder of a run; OSError if it cannot be looked into."""
    return any((folder / sign).is_file() for sign in _SIGNS)


def run_folders(names: Iterable[str]) -> set[str]:
    """Return which folders of a store are the output folders of runs, by the names of all objects."""
    return {name.removesuffix(f"/{sign}") for name in names for sign in _SIGNS if name.endswith(f"/{sign}")}


def write_inventory(folder: Path) -> None:
    """Name the files of a folder that is complete in a file beside them, as `foreign_files` reads it."""
    inventory = folder / INVENTORY
    inventory.unlink(missing_ok=True)  # in a copy, it may be the original's own file
    inventory.write_text("".join(f"{name}\n" for name in sorted(_names(folder))), encoding="utf-8")


def foreign_files(folder: Path) -> list[str]:
    """Return what is in a folder and was not written by embedtune, as sorted paths in it; OSError if that fails."""
    known = _known_names(folder)
    return [name for name in sorted(_names(folder)) if known is None or not known(name)]


def is_our_folder(folder: Path) -> bool:
    """Tell whether a folder was written as a whole by embedtune, whatever was added to it."""
    return _known_names(folder) is not None


def is_our_file(path: Path) -> bool:
    """Tell by its content whether embedtune wrote a file; an empty one is nobody's, and counts as ours."""
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_BYTES))
        end = file.read()
    if (
        not start
        or start.startswith(VECTORS_START)
        or _STARTS.match(start)
        or _ENDS.search(end)
        or end.endswith(GZIP_END)
    ):
        return True
    return _PIPELINE.search(start + end) is not None or (start.startswith(b"{") and _is_summary(path))


def _is_summary(path: Path) -> bool:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.keys() >= _SUMMARY_KEYS


def _known_names(folder: Path) -> Callable[[str], object] | None:
    """Return what tells whether a file of a folder was written by embedtune, None where nobody can tell."""
    inventory = folder / INVENTORY
    if inventory.is_file():
        return set(inventory.read_text(encoding="utf-8").splitlines()).__contains__
    for sign, content, names in _EARLIER_FOLDERS:
        path = folder / sign
        if path.is_file() and content in path.read_bytes():
            return re.compile(names).fullmatch
    return None


def _names(folder: Path) -> Iterator[str]:
    for root, folders, names in os.walk(folder, onerror=_raise):
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        for name in (*names, *links):
            if not is_nobodys(name):
                yield os.path.relpath(os.path.join(root, name), folder)


def _raise(error: OSError) -> None:
    raise error
