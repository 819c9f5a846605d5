"""What a foreign Document contains, and the content as this project stores it."""

import hashlib
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
from docarray.proto.docarray_pb2 import DocumentProto, NdArrayProto

from embedtune.errors import InputError
from embedtune.records.csv.options import CSVOptions
from embedtune.records.layouts import Modality, media_suffix
from embedtune.records.rows import POINT_DTYPE
from embedtune.text import excerpt, stripped

_DTYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")
"""Numbers as numpy names them in docarray; other names reach parts of numpy that nobody means, such as objects."""

_MIME_MODALITIES = {"image": Modality.IMAGE, "model": Modality.MESH, "text": Modality.TEXT}
_IMAGE_DIMENSIONS = (2, 3)


class Form(Enum):
    """How a Document holds its content."""

    TEXT = "text"
    ADDRESS = "address"
    BLOB = "blob"
    TENSOR = "tensor"


@dataclass(frozen=True)
class ContentKind:
    """What a content is."""

    modality: Modality
    form: Form

    @property
    def loaded(self) -> bool:
        """Whether the content itself is there, and not only its address."""
        return self.form is not Form.ADDRESS


_TEXT = ContentKind(Modality.TEXT, Form.TEXT)


def content_kind(document: DocumentProto) -> ContentKind:
    """Tell what a Document contains: by its `modality`, by its `uri` and `mime_type`, and of tensors by their shape.

    A text of modality image or mesh is an address, as in `Document(content='apple.png', modality='image')`. Where there
    is no content, or it cannot be told what it is, an InputError says so.
    """
    field = document.WhichOneof("content")
    stated = _stated(document)
    if field == "text" and stripped(document.text):
        return _text_kind(document, stated)
    if field == "blob":
        if Modality.TEXT in (stated, _hinted(document)):
            raise InputError("its text is in the blob; store texts as `text`")
        return ContentKind(stated or _hinted(document) or Modality.IMAGE, Form.BLOB)
    if field == "tensor":
        return ContentKind(stated or _hinted(document) or _shape_modality(document.tensor), Form.TENSOR)
    if not document.uri:
        raise InputError("it has no content: no text, blob, tensor or uri")
    modality = stated or _hinted(document)
    if modality is None:
        raise InputError(f"what the uri {excerpt(document.uri)} leads to cannot be told; set `modality`")
    if modality is Modality.TEXT:
        raise InputError("texts are not loaded from a uri; call load_uri_to_text() before saving")
    return ContentKind(modality, Form.ADDRESS)


def stored_content(document: DocumentProto, kind: ContentKind, options: CSVOptions) -> tuple[object, ...]:
    """Return a content as the columns of a rows file hold it (`records.rows`).

    That is the text; the address; or bytes, their SHA-256 and where they came from, '' where that is not known. Images
    become JPEG or PNG files in RGB (`images.read_image`); tensors of images PNG files; meshes point clouds. `kind` is
    what `content_kind` says about the Document. What cannot be used raises InputError.
    """
    if kind.form is Form.TEXT:
        return (_clean(document.text, "text"),)
    if kind.form is Form.ADDRESS:
        return (_clean(document.uri or document.text, "uri"),)
    content, uri = _stored_bytes(document, kind, options), document.uri
    # The content of a `data:` address is not kept twice.
    place = "" if uri[:5].lower() == "data:" or "\0" in uri else uri.strip()
    return content, hashlib.sha256(content).hexdigest(), place


def _stated(document: DocumentProto) -> Modality | None:
    name = document.modality.strip().lower()
    if not name:
        return None
    if name not in set(Modality):
        raise InputError(f"the modality {excerpt(document.modality)} is none of {', '.join(Modality)}")
    return Modality(name)


def _hinted(document: DocumentProto) -> Modality | None:
    """Return what the ending of the uri or the MIME type says; docarray sets the latter by its own."""
    uri, mime_type = document.uri, document.mime_type
    return (media_suffix(uri) if uri else None) or _MIME_MODALITIES.get(mime_type.partition("/")[0].strip().lower())


def _text_kind(document: DocumentProto, stated: Modality | None) -> ContentKind:
    hinted = _hinted(document) if stated is None else None
    if hinted in (Modality.IMAGE, Modality.MESH):
        raise InputError(
            f"it has both a text and the uri {excerpt(document.uri)} of modality {hinted}; set `modality`"
            if document.uri
            else f"it has a text and the mime_type {excerpt(document.mime_type)}; set `modality`"
        )
    if stated in (None, Modality.TEXT):
        return _TEXT
    if document.uri and document.uri != document.text:
        raise InputError(f"of modality {stated} it has both a text and a uri; keep the one with the address")
    return ContentKind(stated, Form.ADDRESS)


def _clean(text: str, what: str) -> str:
    text = stripped(text)
    if not text:
        raise InputError(f"the {what} is empty")
    if "\0" in text:
        raise InputError(f"the {what} contains a NUL character")
    return text


def _stored_bytes(document: DocumentProto, kind: ContentKind, options: CSVOptions) -> bytes:
    is_tensor = kind.form is Form.TENSOR
    if kind.modality is Modality.IMAGE:
        from embedtune.media.images import encode_pixels, read_image

        return encode_pixels(_read_tensor(document.tensor)) if is_tensor else read_image(document.blob)
    if is_tensor:
        return _encode_points(_read_tensor(document.tensor))
    from embedtune.media.points import read_mesh

    suffix = PurePosixPath(document.uri.partition("?")[0]).suffix
    if not suffix:
        raise InputError("of what kind the mesh in the blob is cannot be told; keep its file name as `uri`")
    points = read_mesh(document.blob, suffix, options.point_cloud_size, options.seed)
    return points.astype(POINT_DTYPE).tobytes()


def _shape_modality(tensor: NdArrayProto) -> Modality:
    shape = tuple(tensor.dense.shape)
    if len(shape) == 2 and shape[1] == 3 and tensor.dense.dtype.lstrip("<>=|").startswith("f"):
        return Modality.MESH
    if len(shape) in _IMAGE_DIMENSIONS:
        return Modality.IMAGE
    raise InputError(f"a tensor of the shape {shape} is no image and no point cloud")


def _read_tensor(tensor: NdArrayProto) -> npt.NDArray[np.generic]:
    dense = tensor.dense
    if tensor.WhichOneof("content") != "dense" or not dense.buffer:
        raise InputError("the tensor is sparse or empty")
    if not _DTYPE.fullmatch(dense.dtype):
        raise InputError(f"the tensor holds {excerpt(dense.dtype)}, which are no numbers that images or meshes have")
    try:
        return np.frombuffer(dense.buffer, np.dtype(dense.dtype)).reshape(tuple(dense.shape))
    except ValueError as error:
        shown = f"{len(dense.buffer)} bytes of {dense.dtype}"
        raise InputError(f"the tensor is damaged: {shown} do not fill the shape {tuple(dense.shape)}") from error


def _encode_points(array: npt.NDArray[np.generic]) -> bytes:
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"a point cloud has the shape (n, 3), the tensor {array.shape}")
    with np.errstate(over="ignore"):
        points = array.astype(POINT_DTYPE)
    if not np.isfinite(points).all():
        raise InputError("the point cloud has coordinates that are too large or no finite numbers")
    return points.tobytes()
