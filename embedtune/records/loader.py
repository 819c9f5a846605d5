"""One content: its address in, what is stored of it out."""

import hashlib
import re
import threading
from contextlib import nullcontext
from enum import StrEnum
from pathlib import PurePosixPath
from typing import NamedTuple

from embedtune.cpus import available_cpus
from embedtune.errors import EmbedtuneError, InputError, StorageError
from embedtune.media.limits import DEFAULT_IMAGE_LIMITS, DEFAULT_MESH_LIMITS
from embedtune.records.csv.options import CSVOptions
from embedtune.records.layouts import Modality
from embedtune.records.rows import POINT_DTYPE
from embedtune.storage.access import AccessRules, ForbiddenError
from embedtune.storage.content_reader import ContentReader, resolve_content
from embedtune.storage.errors import UnreachableError

_MOST_DECODERS = 8
_MOST_MESHES = 4
_LARGE_PIXELS = 2_000_000
_LARGE_MESH_BYTES = 4 << 20


class ContentKey(NamedTuple):
    """What tells one content from another."""

    modality: Modality
    origin: str
    """Address of the source that names it."""
    cell: str
    """Its address as the source names it."""


class Loaded(NamedTuple):
    """A content that can be used."""

    data: bytes
    """What is stored: an image file, or the points of a mesh as little-endian float32."""
    digest: str
    """SHA-256 in hexadecimal: of the stored image file, or of the mesh's file, whatever points were drawn."""
    size: tuple[int, ...]
    """Bytes of what is stored, and width and height of an image in pixels or number of points of a mesh."""


class Failure(StrEnum):
    """Why a content cannot be used."""

    FORBIDDEN = "may not be opened"
    UNREACHABLE = "cannot be reached"
    OTHER = "cannot be used"


class Failed(NamedTuple):
    """A content that cannot be used."""

    failure: Failure
    reason: str


class ContentLoader:
    """Loads contents; may be used by many threads at once."""

    def __init__(self, options: CSVOptions) -> None:
        """Set up; nothing is opened yet. Of the options, those of point clouds count."""
        self._options = options
        self._readers: dict[str, ContentReader] = {}
        self._lock = threading.Lock()
        # Decoded, an image takes many times the memory of its file, and more decoders than CPUs would not be faster.
        self._decoders = threading.BoundedSemaphore(min(available_cpus(), _MOST_DECODERS))
        self._large_mesh = threading.Lock()
        # Their files may have 100 MiB, five times as much as those of images.
        self._meshes = threading.BoundedSemaphore(_MOST_MESHES)

    def load(self, key: ContentKey) -> Loaded | Failed:
        """Read, check and convert one content."""
        try:
            return self._mesh(key) if key.modality is Modality.MESH else self._image(key)
        except ForbiddenError as error:
            return Failed(Failure.FORBIDDEN, _reason(error))
        except UnreachableError as error:
            return Failed(Failure.UNREACHABLE, _reason(error))
        except (StorageError, InputError) as error:
            return Failed(Failure.OTHER, _reason(error))

    def _image(self, key: ContentKey) -> Loaded:
        from embedtune.media.images import open_image, store_image

        data = self._read(key, DEFAULT_IMAGE_LIMITS.max_bytes)
        image = open_image(data, DEFAULT_IMAGE_LIMITS)
        # For small images, waiting for each other would cost more than it saves.
        with self._decoders if image.width * image.height > _LARGE_PIXELS else nullcontext():
            stored, shape = store_image(image, data)
        return Loaded(stored, hashlib.sha256(stored).hexdigest(), (len(stored), *shape))

    def _mesh(self, key: ContentKey) -> Loaded:
        # trimesh takes half a second to import, which images need not pay.
        from embedtune.media.points import read_mesh

        options = self._options
        with self._meshes:
            data = self._read(key, DEFAULT_MESH_LIMITS.max_bytes)
            with self._large_mesh if len(data) > _LARGE_MESH_BYTES else nullcontext(), self._decoders:
                cloud = read_mesh(data, _suffix(key.cell), options.point_cloud_size, options.seed)
        points = cloud.astype(POINT_DTYPE).tobytes()
        return Loaded(points, hashlib.sha256(data).hexdigest(), (len(points), len(cloud)))

    def _read(self, key: ContentKey, max_bytes: int) -> bytes:
        reader = self._readers.get(key.origin)
        if reader is None:
            with self._lock:
                # One of them for each origin, since it remembers which servers do not answer.
                if key.origin not in self._readers:
                    self._readers[key.origin] = ContentReader(AccessRules.from_environment(key.origin))
                reader = self._readers[key.origin]
        return reader.read(resolve_content(key.cell, key.origin), max_bytes)


def _reason(error: EmbedtuneError) -> str:
    """Return a message as the part of a longer sentence that it becomes."""
    return str(error).removesuffix(".")


def _suffix(cell: str) -> str:
    path = re.split(r"[?#]", cell, maxsplit=1)[0] if "://" in cell else cell
    return PurePosixPath(path).suffix
