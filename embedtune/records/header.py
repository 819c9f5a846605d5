"""Tell whether the first row of a CSV holds column names."""

import re
from collections.abc import Callable, Sequence

from embedtune.errors import InputError
from embedtune.records.addresses import modality_of_cells
from embedtune.records.column_names import Role, role_of
from embedtune.records.layouts import Modality
from embedtune.records.table import shown_names
from embedtune.text import excerpt

NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")

_NAME = re.compile(r"[^\W\d][\w./-]*( [\w./-]+){0,2}")
_CELLS_NEEDED = 3
# Names that are as likely a value, such as 'second' or 'photo', tell something only beside another name.
_TELLING = {Role.TEXT, Role.LABEL, Role.QUERY, Role.DOCUMENT, Role.NEGATIVE}
_TELLING_ALONE = {Role.TEXT, Role.QUERY, Role.DOCUMENT}


def detect_header(records: list[list[str]]) -> bool:
    """Decide whether the first record holds column names.

    It does if its values are all different, each reads like a name (a letter, then letters, digits, `_ . / -`, three
    words at most), none of them occurs again in its column (which does not matter where two of them are known names of
    different things), and either one of them is the known name (`column_names.ROLE_NAMES`) of a text, label, query,
    document or wrong answer, or two are known names of anything, or one stands over a column of nothing but numbers or
    addresses of images or meshes, three at least (one under the known name of a score, image or mesh), without being
    one itself. The first of three values or more may be
    empty over numbers, which is how pandas writes its index. A single value must be a known name of a text, query or
    document that does not occur again. So a first row `Hello,greeting` is data;
    `utterance_de,intent_name` over texts is taken for data too: set the CSV option `header` to 'yes' there. A row of
    data such as `Hello,question` stays data if the label `question` occurs again.

    Args:
        records: The records at the beginning of the file; those of another width than the first are ignored.
    """
    first = records[0]
    below = [cells for cells in records[1:] if len(cells) == len(first)]
    columns = list(zip(*below, strict=True)) or [()] * len(first)
    if len(first) == 1:
        return role_of(first[0]) in _TELLING_ALONE and first[0] not in columns[0]
    names = first[unnamed(first) :]
    if len(set(first)) < len(first) or not all(_NAME.fullmatch(name) for name in names):
        return False
    if len(names) < len(first) and not all_numbers(columns[0]):
        return False
    roles = {role_of(name) for name in names} - {None}
    if len(roles) < 2 and any(name in column for name, column in zip(first, columns, strict=True)):
        return False
    return (
        len(roles) > 1
        or bool(roles & _TELLING)
        or any(_unlike(name, column) for name, column in zip(first, columns, strict=True))
    )


def check_first_row(records: list[list[str]]) -> None:
    """Check that the header, if there is one, is not below a title or a comment.

    Args:
        records: The records at the beginning of the file.

    Raises:
        InputError: the second or third holds nothing but known names, and the first is of another width, has an empty
            value or begins with '#'.
    """
    first = records[0]
    for number, cells in enumerate(records[1:3], 2):
        names = len(cells) > 1 and all(role_of(cell) is not None for cell in cells)
        if names and (len(first) != len(cells) or "" in first or first[0].startswith("#")):
            raise InputError(
                f"The header ({shown_names(cells)}) seems to be row {number}, below {excerpt(','.join(first))}. Remove "
                "the lines above it; or set the CSV option `header` to 'no' if these are rows of data."
            )


def unnamed(names: Sequence[str]) -> int:
    """Return 1 where the first of three columns or more has no name, as pandas writes its index, else 0."""
    return int(len(names) > 2 and not names[0])


def all_numbers(column: Sequence[str]) -> bool:
    """Whether every value of a column is a number."""
    return all(NUMBER.fullmatch(cell) for cell in column)


def _unlike(name: str, column: Sequence[str]) -> bool:
    """Whether a column has values enough of a kind that its name is not of; a name that tells so needs one."""
    needed = 1 if role_of(name) in (Role.SCORE, Role.MEDIA) else _CELLS_NEEDED
    return len(column) >= needed and any(is_kind(column) and not is_kind([name]) for is_kind in _KINDS)


def _all_media(column: Sequence[str]) -> bool:
    return modality_of_cells(column) in (Modality.IMAGE, Modality.MESH)


_KINDS: tuple[Callable[[Sequence[str]], bool], ...] = (all_numbers, _all_media)
