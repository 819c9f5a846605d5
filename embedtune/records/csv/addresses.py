"""Tell addresses of images and meshes from texts."""

import re
from collections.abc import Sequence

from embedtune.errors import InputError
from embedtune.records.csv.column_names import Role, names_any_address, role_of
from embedtune.records.layouts import MEDIA_SUFFIXES, Modality, media_suffix
from embedtune.text import excerpt

_WITH_SCHEME = re.compile(r"(?:(?:https?|s3|minio|file)://|data:[\w.+-]+/[\w.+-]+[;,])\S+", re.IGNORECASE)
_BEGINS_AS_PATH = re.compile(r"~?/|\.\.?/|[A-Za-z]:[\\/]")
_PAGE = re.compile(r"https?://\S+$", re.IGNORECASE)
_BLANK = re.compile(r"\s")
_NEARLY_ALL = 0.9
_HALF = 0.5
_WORDS_OF_A_NAME = 5
_OF_SENTENCES = re.compile(r"[?!;:]|[.,]\s")


def is_address(value: str) -> bool:
    """Whether a value in a column of images or meshes can be the address of one.

    That is a URL (http, https, s3, minio, file, data), a path with an ending of MEDIA_SUFFIXES, or a path with a
    separator and without white space.
    """
    if _WITH_SCHEME.fullmatch(value) or media_suffix(value) is not None:
        return True
    return ("/" in value or "\\" in value) and _BLANK.search(value) is None


def modality_of_column(name: str, cells: Sequence[str]) -> Modality | None:
    """Tell what the cells of a column are, see `modality_of_cells`, with the help of its name.

    Under the name of an image or mesh nothing is a text, unless it is a name that pages have too (`url`, `path`,
    `file`) over web addresses that do not end like an image or mesh: what else is there may be ids or names without
    their ending, which nobody would train on as texts.
    """
    if role_of(name) is not Role.MEDIA or not cells:
        return modality_of_cells(cells)
    if names_any_address(name) and not ends_like_media(cells):
        pages = sum(_PAGE.match(cell) is not None for cell in cells)
        return Modality.TEXT if pages >= _NEARLY_ALL * len(cells) else None
    found = modality_of_cells(cells, named=True)
    return None if found is Modality.TEXT else found


def ends_like_media(cells: Sequence[str]) -> bool:
    """Whether at least half of the values end like an image or mesh."""
    return sum(media_suffix(cell) is not None for cell in cells) >= _HALF * len(cells)


def modality_of_cells(cells: Sequence[str], named: bool = False) -> Modality | None:
    """Tell what the cells of a column are.

    An address is a URL without white space (http, https, s3, minio, file, data), or a path that ends like an image or
    mesh and has no white space, unless it begins as a path does (`/`, `./`, `../`, `~/`, `C:/`) or the column's name
    tells. So the text 'Where is logo.png' is no address, and a few texts 'logo.png' among others do not make the column
    one of images; where nine of ten are as 'my photo.png', five words at most and no sentence, it cannot be told.

    Args:
        cells: The values of the column at the beginning of the file, stripped.
        named: Whether the column's name is one of an image or mesh; then URLs need no ending to be images, and
            paths may have white space.

    Returns:
        TEXT where fewer than half of the cells are addresses. IMAGE or MESH where nine of ten are and at least half of
        those end like one, and none like the other. None where it cannot be told.
    """
    kinds = [_kind(cell, named) for cell in cells]
    addresses = sum(kind is not None for kind in kinds)
    spaced = sum(kind is None and _may_be_spaced(cell) for kind, cell in zip(kinds, cells, strict=True))
    if spaced and addresses + spaced >= _NEARLY_ALL * len(cells):
        return None
    if not addresses or addresses < _HALF * len(cells):
        return Modality.TEXT
    images, meshes = (kinds.count(modality) for modality in (Modality.IMAGE, Modality.MESH))
    if addresses < _NEARLY_ALL * len(cells) or (images and meshes):
        return None
    if images + meshes < _HALF * addresses:
        return Modality.IMAGE if named and not meshes else None
    return Modality.IMAGE if images else Modality.MESH


def untold_modality(name: str, cells: Sequence[str]) -> InputError:
    """Return the error for a column of which `modality_of_column` cannot tell what it holds."""
    if role_of(name) is Role.MEDIA and not ends_like_media(cells):
        endings = "; ".join(", ".join(suffixes) for suffixes in MEDIA_SUFFIXES.values())
        return InputError(
            f"It cannot be told what the column {excerpt(name)} holds: it is named like images or meshes, but values "
            f"such as {excerpt(next(cell for cell in cells if media_suffix(cell) is None))} have none of their "
            f"endings ({endings}). If they stand for files, give paths with an ending, from the folder of the CSV on, "
            "or URLs (with the CSV option `task` set to 'image-to-image', 'text-to-image' or 'mesh-to-mesh' these need "
            "none). If they are texts, set `task` to 'text-to-text'."
        )
    kinds = {cell: _kind(cell, _may_be_spaced(cell)) for cell in cells}
    address = next((cell for cell in cells if kinds[cell] is Modality.TEXT), None)
    address = next(cell for cell in cells if kinds[cell] is not None) if address is None else address
    share = sum(kinds[cell] is not None for cell in cells) / len(cells)
    return InputError(
        f"It cannot be told what the {name} is: {share:.0%} of its values are addresses such as {excerpt(address)}, "
        "which are taken for images or meshes only where nine of ten values are addresses and most of them end like "
        "the same of the two (.jpg, .png; .off, .obj), and with blanks in them only "
        "under a name such as image_path. Set the CSV option `task` to 'text-to-text', 'image-to-image', "
        "'text-to-image' or 'mesh-to-mesh'."
    )


def _may_be_spaced(cell: str) -> bool:
    """Whether a value with blanks that ends like an image or mesh reads like a file's name, not like a sentence."""
    spaced = media_suffix(cell) is not None and _BLANK.search(cell) is not None and "\n" not in cell
    return spaced and len(cell.split()) <= _WORDS_OF_A_NAME and _OF_SENTENCES.search(cell) is None


def _kind(cell: str, blanks: bool) -> Modality | None:
    """Return the modality of an address, TEXT for a URL that ends like neither, None for what is no address.

    `blanks` says whether a path may have white space however it begins.
    """
    if _WITH_SCHEME.fullmatch(cell):
        return media_suffix(cell) or Modality.TEXT
    modality = media_suffix(cell)
    if modality is None or "\n" in cell or (not blanks and _BLANK.search(cell) and not _BEGINS_AS_PATH.match(cell)):
        return None
    return modality
