"""Write samples into a new folder; Documents as a DocumentArray."""

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedtune.errors import StorageError
from embedtune.progress import progress
from embedtune.storage.atomic import atomic_folder

if TYPE_CHECKING:
    from docarray import Document

_GZIP_LEVEL = 4


def check_new_folder(target: Path) -> None:
    """Refuse a path at which there is something, best before long work.

    Raises:
        StorageError: there is a file, a folder with something in it, or the present folder.
    """
    if target.resolve() == Path.cwd():
        raise StorageError(f"{target} is the present folder. Give the path of a new one, such as sample.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StorageError(f"{target} exists and is not an empty folder. Give the path of a new one.")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Write a folder that appears whole or not at all, in the place of nothing or of an empty one."""
    check_new_folder(target)
    with atomic_folder(target, signed=False) as part:
        yield part


def write_documents(output: Path, documents: Iterable["Document"], name: str) -> tuple[Path, int]:
    """Write Documents as a DocumentArray in docarray's protobuf form; images of 28 x 28 become PNG files in `blob`.

    Args:
        output: Folder to make; it must not exist or be empty.
        documents: The Documents.
        name: Name of the file without its ending.

    Returns:
        The file, with equal bytes for equal Documents, and the number of Documents.

    Raises:
        StorageError: the folder is not empty or cannot be written.
    """
    from docarray.proto.docarray_pb2 import DocumentArrayProto

    from embedtune.documents.shards.codec import ARRAY_SUFFIX

    message = DocumentArrayProto()
    with new_folder(output) as folder:
        with progress("Making Documents", None, "Documents") as advance:
            for document in documents:
                for one in (document, *document.matches):
                    _store_as_png(one)
                message.docs.append(document.to_protobuf())
                advance(1)
        # docarray's own files hold the time of writing.
        content = gzip.compress(message.SerializeToString(deterministic=True), _GZIP_LEVEL, mtime=0)
        (folder / f"{name}{ARRAY_SUFFIX}").write_bytes(content)
    return output / f"{name}{ARRAY_SUFFIX}", len(message.docs)


def encode_png(image: np.ndarray) -> bytes:
    """Return a grayscale image, uint8 (rows, columns), as the bytes of a PNG file."""
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _store_as_png(document: "Document") -> None:
    if document.modality == "image":
        document.blob = encode_png(document.tensor)
        document.mime_type = "image/png"
