"""Public files, downloaded once into a cache folder and verified before anything reads them."""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from embedtune.errors import ConfigError, StorageError, reason
from embedtune.progress import silent
from embedtune.storage.atomic import PART_SUFFIX
from embedtune.storage.digests import file_sha256

CACHE_VARIABLE = "EMBEDTUNE_CACHE"
"""Environment variable with the cache folder."""

_CHECKSUM_LINE = re.compile(r"\\?([0-9a-fA-F]{64}) [ *](.+)")
_CHECKSUM_FILE_LIMIT = 1 << 20


@dataclass(frozen=True)
class PublicSource:
    """Where the files of a sample are published."""

    sample: str
    """Name of the sample, and of its folder in the cache."""
    base_url: str
    """Address to which the names of the files are appended."""
    variable: str
    """Environment variable that may hold another base URL."""
    size_limit: int
    """Largest file accepted, in bytes."""
    hint: str
    """What to do where a file cannot be had: a sentence."""


@dataclass(frozen=True)
class Mirror:
    """Where the files of a sample are taken from, and what they must be."""

    base_url: str = ""
    """http(s) address to which the names of the files are appended; '' takes the environment variable of the sample,
    or the address at which the files are published."""
    checksums: Path | None = None
    """File with a line `<sha256>  <name>` per file, as sha256sum writes it; None expects the published checksums,
    wherever the files come from."""


def fetch_file(
    source: PublicSource, name: str, sha256: str, mirror: Mirror, check: Callable[[Path], object] = lambda _: None
) -> Path:
    """Return the verified copy of a file in the cache, downloading it if it is not there.

    A file gets its name in the cache only when it is complete, has the published SHA-256 ('' where none is known) or
    that of the mirror, and `check` raises nothing, so several processes may fetch it at a time.
    """
    url = _base_url(source, mirror) + name
    expected = sha256 if mirror.checksums is None else _read_checksum(mirror.checksums, name)
    # With a checksum, the file of one place serves for all places that have it.
    key = expected or hashlib.sha256(url.encode()).hexdigest()
    target = _cache_folder() / "samples" / source.sample / key[:16] / name
    try:
        if target.is_file() and expected in ("", file_sha256(target, silent)):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".", suffix=PART_SUFFIX) as folder:
            part = Path(folder) / name
            _download(url, part, source.size_limit, expected)
            check(part)
            part.replace(target)
    except StorageError as error:
        raise StorageError(f"{error} {source.hint}") from error
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {reason(error)}. Name a folder with free space in the variable "
            f"{CACHE_VARIABLE}."
        ) from error
    return target


def _cache_folder() -> Path:
    """Return EMBEDTUNE_CACHE, else `embedtune` in XDG_CACHE_HOME, else `~/.cache/embedtune`."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "embedtune"


def _download(url: str, part: Path, limit: int, expected: str) -> None:
    # urllib3 takes a while to import, and a file in the cache needs none.
    from embedtune.storage.web.files import download

    download(url, part, limit)
    found = file_sha256(part, silent)
    if expected not in ("", found):
        raise StorageError(
            f"{url} has the sha256 {found}, expected is {expected}: it is damaged, or another file. Of a place that "
            "you trust, give the checksums of its files as sha256sum writes them (--checksums)."
        )


def _base_url(source: PublicSource, mirror: Mirror) -> str:
    base = mirror.base_url or os.environ.get(source.variable, "") or source.base_url
    try:
        parts, host = urlsplit(base), urlsplit(base).hostname
    except ValueError:
        parts, host = urlsplit(""), None
    # No more of it is shown than the host: a password may stand before it, and a key behind it.
    named = f"The base URL at {host}" if host else "The base URL"
    if "@" in parts.netloc:
        raise ConfigError(
            f"{named} holds a user or password, which is not accepted in an address. Give a place that can be read "
            "without one."
        )
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ConfigError(
            f"{named} is no address of the form http(s)://host/folder/. Check --base-url or the variable "
            f"{source.variable}."
        )
    return base if base.endswith("/") else base + "/"


def _read_checksum(path: Path, name: str) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            lines = file.read(_CHECKSUM_FILE_LIMIT).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error) if isinstance(error, OSError) else "they are no text in UTF-8"
        raise ConfigError(f"The checksums in {path} cannot be read: {why}. Write them with sha256sum.") from error
    for line in lines:
        match = _CHECKSUM_LINE.fullmatch(line)
        if match and match[2].rpartition("/")[2] == name:
            return match[1].lower()
    raise ConfigError(
        f"{path} has no line '<64 hexadecimal digits>  {name}'. Write it with: sha256sum {name} >> {path.name}"
    )
