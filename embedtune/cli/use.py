"""Use a model: texts to vectors, and search."""

import csv
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.console import Console

from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.records.column_names import role_of
from embedtune.retrieval.ranking import rank

Model = Annotated[str, typer.Option(help="Model folder, such as out/model, or a Hugging Face id.")]
Column = Annotated[
    str, typer.Option(help="Column with the texts: a name in the first row, or a number from 1. '' takes the first.")
]
Header = Annotated[
    Literal["auto", "yes", "no"],
    typer.Option(help="Whether the first row holds column names; auto: if one is usual, like text or query."),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Texts encoded at a time.")]


def encode(
    model: Model,
    input: Annotated[Path, typer.Option(help="CSV file with a text per row.")],  # noqa: A002 - the flag's name
    output: Annotated[Path, typer.Option(help="File for the vectors: NumPy, float32, one row per text.")],
    column: Column = "",
    header: Header = "auto",
    batch_size: BatchSize = 64,
) -> None:
    """Encode the texts of a CSV file into vectors."""
    if output.suffix != ".npy":
        raise ConfigError(f"--output is {str(output)!r}; give a file that ends in .npy.")
    vectors = _encode(model, read_texts(input, column, header), batch_size)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.partial")
    with partial.open("wb") as file:
        np.save(file, vectors, allow_pickle=False)
    partial.replace(output)
    typer.echo(f"{vectors.shape[0]} vectors of {vectors.shape[1]} components in {output}")


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    model: Model,
    index: Annotated[Path, typer.Option(help="CSV file with a text per row.")],
    vectors: Annotated[Path | None, typer.Option(help="Vectors that `encode` made of the index, to save time.")] = None,
    column: Column = "",
    header: Header = "auto",
    limit: Annotated[int, typer.Option(min=1, help="Most results to show.")] = 10,
    batch_size: BatchSize = 64,
) -> None:
    """Find the texts of a CSV file that are nearest to a query."""
    texts = read_texts(index, column, header)
    index_vectors = _encode(model, texts, batch_size) if vectors is None else _load_vectors(vectors, len(texts))
    query_vectors = _encode(model, [query], batch_size)
    if query_vectors.shape[1] != index_vectors.shape[1]:
        raise InputError(
            f"{vectors} holds {index_vectors.shape[1]} components a vector, the model makes {query_vectors.shape[1]}. "
            "Encode the index again with this model."
        )
    ids = [f"{row:012d}" for row in range(len(texts))]
    found = rank(query_vectors, ["query"], index_vectors, ids, min(limit, len(texts)))
    console = Console(highlight=False)
    for row, score in zip(found.indices[0], found.scores[0], strict=True):
        if row >= 0:
            console.print(f"{score:.3f}  {' '.join(texts[row].split())}", markup=False, soft_wrap=True)


def read_texts(path: Path, column: str, header: str) -> list[str]:
    """Read one column of a CSV file.

    Args:
        path: The file, UTF-8.
        column: A name in the first row, a number from 1, or '' for the first column.
        header: 'yes': the first row holds column names; 'no': it holds texts; 'auto': it holds names if one of them is
            a usual one (see `column_names.ROLE_NAMES`) or the wanted one.

    Raises:
        StorageError: there is no such file.
        InputError: it is not UTF-8, or has no texts or no such column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (FileNotFoundError, IsADirectoryError) as error:
        raise StorageError(f"There is no file {path}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as UTF-8 CSV: {error}. Save it as UTF-8.") from error
    first = rows[0] if rows else []
    named = header == "yes" or (header == "auto" and any(name == column or role_of(name) for name in first))
    position = _column_position(path, first if named else [], column)
    texts = rows[1:] if named else rows
    short = [row for row in texts if len(row) <= position]
    if short:
        raise InputError(f"{path}: the row {short[0]!r} has no column {position + 1}. Choose another --column.")
    if not texts:
        raise InputError(f"{path} holds no texts{' below its header' if named else ''}.")
    return [row[position] for row in texts]


def _column_position(path: Path, names: list[str], column: str) -> int:
    if not column:
        return 0
    if column in names:
        return names.index(column)
    if column.isdecimal() and int(column) >= 1:
        return int(column) - 1
    raise InputError(
        f"{path} has no column {column!r}. Its columns: {', '.join(names) if names else 'by number from 1'}."
    )


def _encode(model: str, texts: list[str], batch_size: int) -> np.ndarray:
    # torch takes seconds to import; `embedtune --help` must not.
    from embedtune.models.encoding import encode_texts
    from embedtune.models.loading import load_model

    return encode_texts(load_model(model, 0), texts, batch_size, "Encoding")


def _load_vectors(path: Path, texts: int) -> np.ndarray:
    try:
        vectors: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise StorageError(f"The vectors {path} cannot be read: {error}. Make them with `embedtune encode`.") from error
    if vectors.ndim != 2 or len(vectors) != texts:
        raise InputError(f"{path} has the shape {vectors.shape}, the index {texts} texts. Encode the index again.")
    return vectors
