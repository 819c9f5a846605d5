"""The file that makes a stored folder complete."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from embedtune.errors import StorageError

MANIFEST_NAME = "manifest.json"
"""Name of the file that makes a stored folder complete."""

CONTENT = re.compile(r"[0-9a-f]{64}/")
"""How the names of a stored folder's files begin."""


@dataclass(frozen=True)
class ManifestEntry:
    """One file of a stored folder."""

    name: str
    size: int
    """Bytes."""
    sha256: str
    """Hexadecimal."""


@dataclass(frozen=True)
class FolderManifest:
    """All files of a stored folder."""

    digest: str
    """Of all names and contents, hexadecimal."""
    files: tuple[ManifestEntry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)

    def to_json(self) -> bytes:
        """Return what `parse_manifest` reads."""
        manifest = {"digest": self.digest, "files": [asdict(entry) for entry in self.files]}
        return json.dumps(manifest, indent=2, ensure_ascii=False).encode()


def parse_manifest(uri: str, content: bytes) -> FolderManifest:
    """Read a manifest.

    Args:
        uri: Address of the folder, for messages.
        content: The file.

    Raises:
        StorageError: it is damaged, or names files outside the folder.
    """
    try:
        manifest = json.loads(content)
        digest = str(manifest["digest"])
        files = tuple(
            ManifestEntry(str(file["name"]), int(file["size"]), str(file["sha256"])) for file in manifest["files"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{uri}: {MANIFEST_NAME} is damaged. Remove the folder and store it again.") from error
    for entry in files:
        parts = PurePosixPath(entry.name).parts
        if not parts or entry.name.startswith("/") or ".." in parts or "\\" in entry.name:
            raise StorageError(f"{uri}: {MANIFEST_NAME} names {entry.name!r}, which would lie outside the folder.")
    if not CONTENT.fullmatch(f"{digest}/"):
        raise StorageError(
            f"{uri}: {MANIFEST_NAME} names the digest {digest!r}, which is none. Store the folder again."
        )
    return FolderManifest(digest, files)
