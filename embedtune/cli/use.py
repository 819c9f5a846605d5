"""Use a model: texts to vectors, and search."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.records.csv_options import CSVOptions
from embedtune.records.texts import read_texts
from embedtune.retrieval.ranking import rank
from embedtune.storage.atomic import atomic_path

Model = Annotated[str, typer.Option(help="Model folder, such as out/model, or a Hugging Face id.")]
Column = Annotated[
    str,
    typer.Option(
        help="Column with the texts: a name in the first row, or a number from 1. '' takes the only one, or the first "
        "below a header."
    ),
]
CSVOptionsJSON = Annotated[
    str,
    typer.Option(help="JSON object with any of dialect, encoding and header; what is left out is detected."),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Texts encoded at a time.")]


def encode(
    model: Model,
    input: Annotated[Path, typer.Option(help="CSV file with a text per row.")],  # noqa: A002 - the flag's name
    output: Annotated[Path, typer.Option(help="File for the vectors: NumPy, float32, one row per text.")],
    column: Column = "",
    csv_options: CSVOptionsJSON = "{}",
    batch_size: BatchSize = 64,
) -> None:
    """Encode the texts of a CSV file into vectors."""
    if output.suffix != ".npy":
        raise ConfigError(f"--output is {str(output)!r}; give a file that ends in .npy.")
    vectors = _encode(model, _read(input, column, csv_options), batch_size)
    with atomic_path(output) as part, part.open("wb") as file:
        np.save(file, vectors, allow_pickle=False)
    typer.echo(f"{vectors.shape[0]} vectors of {vectors.shape[1]} components in {output}")


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    model: Model,
    index: Annotated[Path, typer.Option(help="CSV file with a text per row.")],
    vectors: Annotated[Path | None, typer.Option(help="Vectors that `encode` made of the index, to save time.")] = None,
    column: Column = "",
    csv_options: CSVOptionsJSON = "{}",
    limit: Annotated[int, typer.Option(min=1, help="Most results to show.")] = 10,
    batch_size: BatchSize = 64,
) -> None:
    """Find the texts of a CSV file that are nearest to a query."""
    texts = _read(index, column, csv_options)
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


def _read(path: Path, column: str, csv_options: str) -> list[str]:
    texts = read_texts(path, column, CSVOptions.from_json(csv_options))
    typer.echo(texts.description, err=True)
    return texts.values


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
