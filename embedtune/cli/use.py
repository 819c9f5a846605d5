"""Use a model: texts to vectors, and search."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from embedtune.cli.index_texts import read_index
from embedtune.cli.options import Overwrite
from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.models.backbones import Backbone, Place, open_backbone
from embedtune.models.card import CARD_FILE, ModelCard
from embedtune.models.roles import EncodingRole, index_role
from embedtune.retrieval.ranking import rank
from embedtune.storage.atomic import atomic_path
from embedtune.storage.outputs import Output, check_outputs
from embedtune.storage.ownership import VECTORS_HEADER_BYTES, VECTORS_START

Model = Annotated[
    str,
    typer.Option(help="Model folder, such as out/model, or its address: s3://, models:/NAME@ALIAS; a Hugging Face id."),
]
Column = Annotated[
    str,
    typer.Option(
        help="Column of a CSV with the texts: a name in the first row, or a number from 1. '' takes the column of the "
        "documents where the CSV is like the training data, else the only one, or the first below a header."
    ),
]
CSVOptionsJSON = Annotated[
    str,
    typer.Option(help="JSON object with CSV options, such as dialect, encoding and header; the rest is detected."),
]
_TEXTS = "CSV file with a text per row, or data such as a run reads: a folder, pattern, address, dataset://user/name."
BatchSize = Annotated[int, typer.Option(min=1, help="Texts encoded at a time.")]


def encode(
    model: Model,
    input: Annotated[str, typer.Option(help=_TEXTS)],  # noqa: A002 - the flag's name
    output: Annotated[Path, typer.Option(help="File for the vectors: NumPy, float32, one row per text.")],
    column: Column = "",
    csv_options: CSVOptionsJSON = "{}",
    role: Annotated[
        EncodingRole | None,
        typer.Option(help="What the texts are: it chooses the model's prompt. Not set: what is searched in."),
    ] = None,
    batch_size: BatchSize = 64,
    overwrite: Overwrite = False,
) -> None:
    """Encode texts into vectors."""
    if output.suffix != ".npy":
        raise ConfigError(f"--output is {str(output)!r}; give a file that ends in .npy.")
    read = [("--model", model), ("--input", input)]
    check_outputs([Output("--output", output, is_folder=False)], read, overwrite)
    with open_backbone(model, "") as backbone:
        texts = _read(input, column, csv_options, backbone)
        vectors = _encode(backbone, texts, role if role else _index_role(backbone), batch_size)
    with atomic_path(output) as part, part.open("wb") as file:
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {vectors.shape}, }}"
        # The header's length, all of it a multiple of 64 bytes, tells that the file is ours.
        file.write(VECTORS_START + header.encode().ljust(VECTORS_HEADER_BYTES - 1) + b"\n")
        file.write(np.ascontiguousarray(vectors, "<f4").data)
    typer.echo(f"{vectors.shape[0]} vectors of {vectors.shape[1]} components in {output}")


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    model: Model,
    index: Annotated[str, typer.Option(help=_TEXTS)],
    vectors: Annotated[Path | None, typer.Option(help="Vectors that `encode` made of the index, to save time.")] = None,
    column: Column = "",
    csv_options: CSVOptionsJSON = "{}",
    limit: Annotated[int, typer.Option(min=1, help="Most results to show.")] = 10,
    batch_size: BatchSize = 64,
) -> None:
    """Find the texts that are nearest to a query."""
    if not query.strip():
        raise ConfigError("The query is blank, and everything is equally near to it. Give what to look for.")
    with open_backbone(model, "") as backbone:
        texts = _read(index, column, csv_options, backbone)
        if vectors is None:
            index_vectors = _encode(backbone, texts, _index_role(backbone), batch_size)
        else:
            index_vectors = _load_vectors(vectors, len(texts))
        query_vectors = _encode(backbone, [query], EncodingRole.QUERY, batch_size)
    if query_vectors.shape[1] != index_vectors.shape[1]:
        raise InputError(
            f"{vectors} holds {index_vectors.shape[1]} components a vector, the model makes {query_vectors.shape[1]}. "
            "Encode the index again with this model."
        )
    different = sorted({text: row for row, text in reversed(list(enumerate(texts)))}.values())
    ids = [f"{row:012d}" for row in different]
    found = rank(query_vectors, ["query"], index_vectors[different], ids, min(limit, len(ids)))
    console = Console(highlight=False)
    for place, score in zip(found.indices[0], found.scores[0], strict=True):
        if place >= 0:
            console.print(f"{score:.3f}  {' '.join(texts[different[place]].split())}", markup=False, soft_wrap=True)


def _read(source: str, column: str, csv_options: str, backbone: Backbone) -> list[str]:
    texts = read_index(source, column, csv_options, _card_of(backbone))
    typer.echo(texts.description, err=True)
    return texts.values


def _card_of(backbone: Backbone) -> ModelCard | None:
    """Return a model's card, None of one that embedtune did not tune."""
    folder = Path(backbone.location)
    return ModelCard.load(folder) if backbone.place is Place.FOLDER and (folder / CARD_FILE).is_file() else None


def _index_role(backbone: Backbone) -> EncodingRole:
    """Return what the texts of an index are encoded as: as the model was trained, where it says so."""
    card = _card_of(backbone)
    return index_role("" if card is None else card.layout)


def _encode(backbone: Backbone, texts: list[str], role: EncodingRole, batch_size: int) -> np.ndarray:
    # torch takes seconds to import; `embedtune --help` must not.
    from embedtune.models.contents import Contents
    from embedtune.models.encoding import encode_contents
    from embedtune.models.loading import load_backbone

    return encode_contents(load_backbone(backbone, 0), Contents.of_texts(texts), role, batch_size, "Encoding")


def _load_vectors(path: Path, texts: int) -> np.ndarray:
    try:
        vectors: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is no array of NumPy"
        raise StorageError(f"The vectors {path} cannot be read: {why}. Make them with `embedtune encode`.") from error
    if vectors.ndim != 2 or len(vectors) != texts:
        raise InputError(f"{path} has the shape {vectors.shape}, the index {texts} texts. Encode the index again.")
    return vectors
