"""How much of a foreign image or mesh is accepted, and how its parser says that it is malformed."""

import struct
import zlib
from dataclasses import dataclass

from embedtune.errors import InputError

MALFORMED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What Pillow, trimesh and numpy raise on malformed files; a fuzz test holds them to this list."""


@dataclass(frozen=True)
class ImageLimits:
    """Largest accepted image; both are checked before anything is decoded."""

    max_bytes: int = 20 << 20
    """Of the file. Photos of phones and cameras have 2 to 15 MiB."""
    max_pixels: int = 40_000_000
    """Width times height. A decoded pixel takes 3 or 4 bytes; Pillow itself opens 81 million from a file of 10 kB
    without a word and warns only above that."""


@dataclass(frozen=True)
class MeshLimits:
    """Largest accepted mesh; counts that the file's header states are checked before it is parsed."""

    max_bytes: int = 100 << 20
    """Of the file."""
    max_vertices: int = 3_000_000
    """Three for each face, as STL stores them."""
    max_faces: int = 1_000_000
    """Triangles; a face with n corners counts as n - 2 of them. To parse as many from text takes 1 GiB and 6 s."""


DEFAULT_IMAGE_LIMITS = ImageLimits()
DEFAULT_MESH_LIMITS = MeshLimits()


def check_size(what: str, data: bytes, max_bytes: int) -> None:
    """Refuse a file that is empty or has too many bytes; `what` it is goes into the message."""
    if not data:
        raise InputError(f"the {what} is an empty file")
    if len(data) > max_bytes:
        raise InputError(f"the {what} has {len(data)} bytes; at most {max_bytes} are accepted")
