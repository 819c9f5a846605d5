"""Use a model: texts to vectors, and search."""

import csv
from pathlib import Path

import numpy as np
import typer
from rich.console import Console

from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.retrieval.ranking import rank

_MODEL = typer.Option(..., help="Model folder, such as out/model, or a Hugging Face id.")
_COLUMN = typer.Option(
    "", help="Column with the texts: a name in the first row, or a number from 1. '' takes the first."
)
_HEADER = typer.Option(True, help="Whether the first row holds column names.")
_BATCH = typer.Option(64, min=1, help="Texts encoded at a time.")


def encode(
    model: str = _MODEL,
    input: Path = typer.Option(..., help="CSV file with a text per row."),  # noqa: A002 - the flag's name
    output: Path = typer.Option(..., help="File for the vectors: a NumPy array of float32, one row per text."),
    column: str = _COLUMN,
    header: bool = _HEADER,
    batch_size: int = _BATCH,
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
    query: str = typer.Argument(..., help="What to look for."),
    model: str = _MODEL,
    index: Path = typer.Option(..., help="CSV file with a text per row."),
    vectors: Path | None = typer.Option(
        None, help="Vectors that `embedtune encode` made of the index with this model."
    ),
    column: str = _COLUMN,
    header: bool = _HEADER,
    limit: int = typer.Option(10, min=1, help="Most results to show."),
    batch_size: int = _BATCH,
) -> None:
    """Find the texts of a CSV file that are nearest to a query."""
    texts = read_texts(index, column, header)
    index_vectors = _encode(model, texts, batch_size) if vectors is None else _load_vectors(vectors, len(texts))
    query_vectors = _encode(model, [query], batch_size)
    if query_vectors.shape[1] != index_vectors.shape[1]:
        raise InputError(
            f"{vectors} holds vectors of {index_vectors.shape[1]} components, the model makes {query_vectors.shape[1]}. "
            "Encode the index again with this model."
        )
    ids = [f"{row:012d}" for row in range(len(texts))]
    found = rank(query_vectors, ["query"], index_vectors, ids, min(limit, len(texts)))
    console = Console(highlight=False)
    for row, score in zip(found.indices[0], found.scores[0], strict=True):
        if row >= 0:
            console.print(f"{score:.3f}  {' '.join(texts[row].split())}", markup=False, soft_wrap=True)


def read_texts(path: Path, column: str, header: bool) -> list[str]:
    """Read one column of a CSV file.

    Args:
        path: The file, UTF-8.
        column: A name in the first row, a number from 1, or '' for the first column.
        header: Whether the first row holds column names.

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
    names = rows[0] if header and rows else []
    position = _column_position(path, names, column)
    short = [number for number, row in enumerate(rows, start=1) if len(row) <= position]
    if short:
        raise InputError(f"{path}: row {short[0]} has no column {position + 1}. Choose another --column.")
    texts = [row[position] for row in rows[1 if header else 0 :]]
    if not texts:
        raise InputError(
            f"{path} holds no texts{' below its header' if header else ''}; use --no-header if it has none."
        )
    return texts


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
