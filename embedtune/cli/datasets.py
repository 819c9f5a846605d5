"""`embedtune push`, `pull`, `datasets` and `delete`: Documents by name."""

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from embedtune.cli.options import MaxBadShare, Overwrite
from embedtune.errors import ConfigError

if TYPE_CHECKING:
    from embedtune.datasets.catalogue import Dataset

_MOST_SHOWN = 10
_PIPE_WIDTH = 200

Name = Annotated[str, typer.Argument(help="Name, user/name, or user/name@version.")]
User = Annotated[str, typer.Option(help="Whose dataset it is; EMBEDTUNE_USER or the login name without it.")]


def push(
    data: Annotated[
        str,
        typer.Argument(
            help="A saved DocumentArray in a protobuf form, a folder of these, a folder that build-documents wrote, or "
            "anything else that a run reads, such as a CSV, of which all rows are stored: a path or an s3:// address."
        ),
    ],
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    public: Annotated[
        bool, typer.Option("--public", help="Let everyone read exactly this version, without credentials.")
    ] = False,
    user: User = "",
    layout: Annotated[str, typer.Option(help="What a row of a CSV is, as for ingest-csv.")] = "auto",
    csv_options: Annotated[str, typer.Option(help="JSON object, as for ingest-csv.")] = "{}",
    max_bad_share: MaxBadShare = 0.01,
) -> None:
    """Store data under a name: in EMBEDTUNE_DATASETS, or in a folder of yours without it."""
    # docarray and minio take half a second to import; `embedtune --help` must not.
    from embedtune.steps.push_data import push as push_data

    pushed = push_data(data, name, public, user, layout, csv_options, max_bad_share)
    was_there = pushed.created != pushed.pushed
    typer.echo(
        f"{pushed.reference}: {pushed.rows} Documents, {decimal(pushed.size)}"
        + (", was there already and is the latest version now; nothing was copied" if was_there else "")
        + (", readable for everyone" if pushed.public else "")
    )


def pull(
    name: Name,
    output: Annotated[
        Path | None, typer.Option(help="File to write; <name>.protobuf-array.gzip in this folder without it.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the Documents of a dataset to one file, as docarray's load_binary and every step here read it."""
    from embedtune.datasets.naming import parse_reference
    from embedtune.datasets.pull import pull_file
    from embedtune.documents.shards.codec import ARRAY_SUFFIX
    from embedtune.storage.outputs import Output, check_outputs

    target = Path(f"{parse_reference(name).name}{ARRAY_SUFFIX}") if output is None else output
    check_outputs([Output("--output", target, is_folder=False)], (), overwrite)
    pulled = pull_file(name, target)
    typer.echo(f"{pulled.reference}: {pulled.rows} Documents in {target}")


def datasets(
    user: Annotated[str, typer.Option(help="Whose datasets; everyone's without it.")] = "",
) -> None:
    """List the datasets, the latest version of each name first."""
    from embedtune.datasets.catalogue import list_datasets
    from embedtune.datasets.naming import root_uri

    found = list_datasets(user)
    place = root_uri(user)
    if not found:
        typer.echo(f"No datasets in {place}. `embedtune push` stores one.")
        return
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    console.print(dataset_table(found))


def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove one version of a dataset, or all versions of a name."""
    from embedtune.datasets.delete import delete as delete_dataset
    from embedtune.datasets.delete import versions_to_delete

    doomed = [str(version) for version in versions_to_delete(name)]
    more = f" and {len(doomed) - _MOST_SHOWN} more" if len(doomed) > _MOST_SHOWN else ""
    question = f"Delete {', '.join(doomed[:_MOST_SHOWN])}{more}? Nothing can bring them back"
    if not yes and not _agrees(question):
        typer.echo("Nothing was deleted.")
        raise typer.Exit(1)
    for version in doomed:
        delete_dataset(version)
        typer.echo(f"Deleted {version}")


def dataset_table(found: "list[Dataset]") -> Table:
    """Return versions of datasets, one a line."""
    table = Table(title=f"{len(found)} version{'' if len(found) == 1 else 's'}")
    table.add_column("dataset", overflow="fold")
    table.add_column("version", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("layout")
    table.add_column("pushed")
    table.add_column("public")
    for entry in found:
        moment = datetime.fromisoformat(entry.pushed).astimezone().strftime("%Y-%m-%d %H:%M")
        public = "yes" if entry.public else "no"
        cells = (entry.version, f"{entry.rows:,}", decimal(entry.size), escape(entry.layout) or "-", moment, public)
        table.add_row(escape(f"{entry.user}/{entry.name}"), *cells)
    return table


def _agrees(question: str) -> bool:
    try:
        return typer.confirm(question)
    except typer.Abort as error:
        raise ConfigError(
            "There was no answer, so nothing was deleted. Give --yes to delete without asking."
        ) from error
