"""Look at data before training on them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from embedtune.cli.options import MaxBadShare, Overwrite
from embedtune.errors import EmbedtuneError


def summary(  # noqa: PLR0913 - a command's options
    data: Annotated[
        str,
        typer.Argument(
            help="CSV, folder, pattern or address; a DocumentArray; the name of a dataset; a rows file; or the folder "
            "of documents that a run has built."
        ),
    ],
    html: Annotated[Path | None, typer.Option(help="File for the same as a page, with pictures.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as one JSON object, for programs.")] = False,
    layout: Annotated[str, typer.Option(help="What a row of a CSV is, as for ingest-csv.")] = "auto",
    csv_options: Annotated[str, typer.Option(help="JSON object, as for ingest-csv.")] = "{}",
    split: Annotated[str, typer.Option(help="How to hold out, as for build-documents.")] = "auto",
    eval_share: Annotated[float, typer.Option(help="Share of the documents to hold out in the trial.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the choice of pictures.")] = 42,
    max_bad_share: MaxBadShare = 0.01,
    overwrite: Overwrite = False,
) -> None:
    """Show what is in data: counts, labels, sizes, duplicates, leaks, and what cannot be used.

    The data are read and divided as a run would, in a temporary folder; nothing is kept. What a run refuses is refused
    with the same message, after what there is to show.
    """
    # The data libraries take a second to import; `embedtune --help` must not.
    from embedtune.cli.summary_view import print_report, refusal_json, report_json
    from embedtune.reports.data import data_html
    from embedtune.steps.look_at_data import LookConfig, look_at_data
    from embedtune.storage.atomic import check_writable, write_text_whole
    from embedtune.storage.outputs import Output, check_outputs

    if html is not None:
        check_outputs([Output("--html", html, is_folder=False)], [("DATA", data)], overwrite)
        check_writable(html)
    try:
        report = look_at_data(LookConfig(data, layout, csv_options, split, eval_share, seed, max_bad_share))
    except EmbedtuneError as error:
        if as_json:
            typer.echo(refusal_json(data, error))
        raise
    if as_json:
        typer.echo(report_json(data, report))
    else:
        print_report(report, Console(highlight=False))
    if html is not None:
        write_text_whole(html, data_html(report))
        typer.echo(f"Page in {html}", err=as_json)
    if report.refusal is not None:
        raise report.refusal
