"""Read local files that someone's data names, as often as there are images: with few calls of the system."""

import errno
import os
import re
import stat
import unicodedata
from itertools import islice
from urllib.parse import unquote

from embedtune.errors import StorageError, reason
from embedtune.storage.access import AccessRules
from embedtune.storage.errors import too_large

# Without O_NONBLOCK, opening a pipe would wait for its writer.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_UNNAMED = ("", ".", "..")
_MOST_LISTED = 100_000
"""Entries of a folder that are looked at for a file whose name is only spelt otherwise."""


class LocalContents:
    """Reads files below the folders that the rules allow; may be used by many threads at once."""

    def __init__(self, rules: AccessRules) -> None:
        """Remember the rules; nothing is opened yet."""
        self._rules = rules
        self._real_folders: dict[str, str] = {}
        self._listed: dict[str, dict[str, str]] = {}

    def read(self, path: str, uri: str, max_bytes: int) -> bytes:
        """Return the content of one file.

        Args:
            path: The file.
            uri: What to call it in messages.
            max_bytes: Largest accepted size.

        Raises:
            ForbiddenError: the rules do not allow it.
            StorageError: it is missing, unreadable, no file, or too large.
        """
        try:
            descriptor = self._open(path, uri)
            try:
                return _read(descriptor, uri, max_bytes)
            finally:
                os.close(descriptor)
        except FileNotFoundError as error:
            raise StorageError(f"{uri} does not exist{self._hint(path)}.") from error
        except IsADirectoryError as error:
            raise StorageError(f"{uri} is not a file.") from error
        except OSError as error:
            raise StorageError(f"{uri} cannot be read: {reason(error)}.") from error

    def _open(self, path: str, uri: str) -> int:
        """Open a file. The links of its folder are followed once, and the file itself must not be one then."""
        folder, name = os.path.split(path)
        real = None if name in _UNNAMED else self._permitted_folder(folder)
        if real is not None:
            try:
                return os.open(os.path.join(real, name), _FLAGS)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
        return os.open(self._rules.permitted_path(path, uri), _FLAGS)

    def _permitted_folder(self, folder: str) -> str | None:
        """Return a folder with its links followed, or None where only the file itself can tell whether it may be read.

        What is in a permitted folder is permitted.
        """
        real = self._real_folders.get(folder)
        if real is None:
            real = os.path.realpath(folder)
            if not self._rules.permits(os.path.join(real, "")):
                return None
            self._real_folders[folder] = real
        return real

    def _hint(self, path: str) -> str:
        """Return how the spelling of a missing file differs from that of one that is there, '' where there is none."""
        folder, missing = path, list[str]()
        while folder and not os.path.isdir(folder):
            folder, _, name = folder.rpartition("/")
            missing.insert(0, name)
        if not folder:
            return ""
        found = []
        for name in re.split(r"[\\/]", unquote("/".join(missing))):
            entry = self._entries(folder).get(_folded(name))
            if entry is None:
                return ""
            found.append(entry)
            folder = os.path.join(folder, entry)
        asked, there = "/".join(missing), "/".join(found)
        plain = unquote(asked).replace("\\", "/")
        differences = {
            "'/' instead of '\\'": "\\" in asked,
            "the signs that %20 and the like stand for": unquote(asked) != asked,
            "other upper and lower case": plain != there and plain.casefold() == there.casefold(),
            "another Unicode form or other white space": plain.casefold() != there.casefold(),
        }
        return f", but a file does whose name has {' and '.join(name for name, told in differences.items() if told)}"

    def _entries(self, folder: str) -> dict[str, str]:
        """Return the entries of a folder that may be read, by their names without what spellings differ in."""
        real = os.path.realpath(folder)
        if real not in self._listed and self._rules.permits(os.path.join(real, "")):
            try:
                with os.scandir(real) as entries:
                    self._listed[real] = {_folded(entry.name): entry.name for entry in islice(entries, _MOST_LISTED)}
            except OSError:
                self._listed[real] = {}
        return self._listed.get(real, {})


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unquote(name)).casefold().split())


def _read(descriptor: int, uri: str, max_bytes: int) -> bytes:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"{uri} is not a file.")
    if found.st_size > max_bytes:
        raise too_large(uri, max_bytes)
    content = os.read(descriptor, found.st_size + 1)
    while 0 < len(content) < found.st_size and (more := os.read(descriptor, found.st_size + 1 - len(content))):
        content += more
    if len(content) != found.st_size:
        raise StorageError(f"{uri} changes while it is read, or is a special file of the system.")
    return content
