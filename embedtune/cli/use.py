"""Use a model: texts, images or meshes to vectors, and search."""

import csv
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.console import Console

from embedtune.cli.encoder import Encoder
from embedtune.cli.options import Overwrite
from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.models.backbones import open_backbone
from embedtune.models.roles import EncodingRole
from embedtune.records.layouts import Modality
from embedtune.retrieval.ranking import rank
from embedtune.storage.atomic import atomic_path
from embedtune.storage.outputs import Output, check_outputs
from embedtune.storage.ownership import NAMES_HEADER, VECTORS_HEADER_BYTES, VECTORS_START

Model = Annotated[
    str,
    typer.Option(help="Model folder, such as out/model, or its address: s3://, models:/NAME@ALIAS; a Hugging Face id."),
]
Column = Annotated[
    str,
    typer.Option(
        help="Column of a CSV with texts, or with the paths or addresses of images or meshes: a name in the first row, "
        "or a number from 1. '' takes the column of the documents where the CSV is like the training data, else the "
        "only one, or the first below a header."
    ),
]
CSVOptionsJSON = Annotated[
    str,
    typer.Option(help="JSON object with CSV options, such as dialect, encoding and header; the rest is detected."),
]
_DATA = (
    "CSV file with a text, or the path of an image or mesh, per row; a folder of images or meshes; or data such as a "
    "run reads: a folder, pattern, address, dataset://user/name."
)
BatchSize = Annotated[int, typer.Option(min=1, help="Contents encoded at a time.")]
Tower = Literal["clip-text", "clip-vision"]
"""Keys of `models.options.TOWERS`."""


def encode(  # noqa: PLR0913 - a command's options
    model: Model,
    input: Annotated[str, typer.Option(help=_DATA)],  # noqa: A002 - the flag's name
    output: Annotated[
        Path,
        typer.Option(
            help="File for the vectors: NumPy, float32, one row per content. What each is of stands beside it, in a "
            "file that ends in .names.csv."
        ),
    ],
    column: Column = "",
    csv_options: CSVOptionsJSON = "{}",
    role: Annotated[
        EncodingRole | None,
        typer.Option(help="What texts are: it chooses the model's prompt. Not set: what is searched in."),
    ] = None,
    select_model: Annotated[
        Tower | None,
        typer.Option(
            help="What to encode of data that hold texts and images: the texts (clip-text) or the images "
            "(clip-vision). Not set: the documents, which are the images."
        ),
    ] = None,
    batch_size: BatchSize = 64,
    overwrite: Overwrite = False,
) -> None:
    """Encode texts, images or meshes into vectors, as far as the model reads them.

    Examples: embedtune encode --model out/model --input texts.csv --output vectors.npy. The same with --input photos/,
    or with --input photos.csv --column file.
    """
    if output.suffix != ".npy":
        raise ConfigError(f"--output is {str(output)!r}; give a file that ends in .npy.")
    read = [("--model", model), ("--input", input)]
    names = output.with_suffix(".names.csv")
    check_outputs([Output("--output", path, is_folder=False) for path in (output, names)], read, overwrite)
    from embedtune.cli.index import open_index  # the data libraries take a second to import; --help must not

    with open_backbone(model, "") as backbone:
        encoder = Encoder(backbone, batch_size)
        kinds = partial(encoder.kinds, "" if select_model is None else select_model)
        with open_index(input, column, csv_options, encoder.reading, kinds) as found:
            typer.echo(found.description, err=True)
            vectors = encoder.encode(found.contents, encoder.index_role if role is None else role)
    names.unlink(missing_ok=True)  # names of other vectors, should this be interrupted
    with atomic_path(output) as part, part.open("wb") as file:
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {vectors.shape}, }}"
        # The header's length, all of it a multiple of 64 bytes, tells that the file is ours.
        file.write(VECTORS_START + header.encode().ljust(VECTORS_HEADER_BYTES - 1) + b"\n")
        file.write(np.ascontiguousarray(vectors, "<f4").data)
    with atomic_path(names) as part, part.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([NAMES_HEADER, *enumerate(found.names)])
    typer.echo(f"{vectors.shape[0]} vectors of {vectors.shape[1]} components in {output}, what each is of in {names}")


def search(  # noqa: PLR0913 - a command's options
    query: Annotated[str, typer.Argument(help="What to look for: a text; of an image or mesh its file.")],
    model: Model,
    index: Annotated[str, typer.Option(help=_DATA)],
    vectors: Annotated[Path | None, typer.Option(help="Vectors that `encode` made of the index, to save time.")] = None,
    column: Column = "",
    csv_options: CSVOptionsJSON = "{}",
    select_model: Annotated[
        Tower | None,
        typer.Option(
            help="What QUERY is where the model reads both: a text (clip-text, also if not set), or the file of an "
            "image (clip-vision)."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most results to show.")] = 10,
    batch_size: BatchSize = 64,
) -> None:
    """Find the texts, images or meshes that are nearest to a query.

    Examples: embedtune search --model out/model --index texts.csv "what people ask". A model of images is searched with
    the file of one: embedtune search --model out/model --index photos/ photo.jpg. One of texts and images with either:
    --index photos/ "a red dress", or --index photos/ --select-model clip-vision dress.jpg.
    """
    if not query.strip():
        raise ConfigError("The query is blank, and everything is equally near to it. Give what to look for.")
    from embedtune.cli.index import open_index, read_query  # the data libraries take a second to import

    with open_backbone(model, "") as backbone:
        encoder = Encoder(backbone, batch_size)
        with open_index(index, column, csv_options, encoder.reading, encoder.kinds) as found:
            typer.echo(found.description, err=True)
            looked_for = read_query(query, _query_kind(encoder, select_model), csv_options)
            query_vectors = encoder.encode(looked_for, EncodingRole.QUERY)
            if vectors is None:
                index_vectors = encoder.encode(found.contents, encoder.index_role)
            else:
                index_vectors = _load_vectors(vectors, len(found.names), found.contents.unit)
    if query_vectors.shape[1] != index_vectors.shape[1]:
        raise InputError(
            f"{vectors} holds {index_vectors.shape[1]} components a vector, the model makes {query_vectors.shape[1]}. "
            "Encode the index again with this model."
        )
    different = sorted({key: row for row, key in reversed(list(enumerate(found.keys)))}.values())
    ids = [f"{row:012d}" for row in different]
    best = rank(query_vectors, ["query"], index_vectors[different], ids, min(limit, len(ids)))
    console = Console(highlight=False)
    for place, score in zip(best.indices[0], best.scores[0], strict=True):
        if place >= 0:
            console.print(
                f"{score:.3f}  {' '.join(found.names[different[place]].split())}", markup=False, soft_wrap=True
            )


def _query_kind(encoder: Encoder, tower: Tower | None) -> Modality:
    """Return what the query is: a text, where the model reads texts and nobody says otherwise."""
    kinds = encoder.kinds("" if tower is None else tower)
    return Modality.TEXT if Modality.TEXT in kinds else next(iter(kinds))


def _load_vectors(path: Path, count: int, unit: str) -> np.ndarray:
    try:
        vectors: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is no array of NumPy"
        raise StorageError(f"The vectors {path} cannot be read: {why}. Make them with `embedtune encode`.") from error
    if vectors.ndim != 2 or len(vectors) != count:
        raise InputError(f"{path} has the shape {vectors.shape}, the index {count} {unit}. Encode the index again.")
    return vectors
