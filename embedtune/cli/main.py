"""The `embedtune` command: each step alone, and using a model."""

import typer

from embedtune import __version__
from embedtune.cli.app import run_app
from embedtune.cli.datasets import datasets, delete, pull, push
from embedtune.cli.models import models
from embedtune.cli.registry import champion, promote, rollback
from embedtune.cli.sample import app as sample
from embedtune.cli.steps import add_steps
from embedtune.cli.summary import summary
from embedtune.cli.tailor import add_tailor
from embedtune.cli.use import encode, search

app = typer.Typer(
    help="Fine-tune embedding models: a CSV goes in, a measurably better retrieval model comes out. "
    "The commands from resolve-data to explain-failure are the pipelines' steps, each reading and writing files; "
    "`python -m pipelines run finetune --data-uri my.csv --output out` runs them all.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options before the command."""


app.command()(summary)
app.add_typer(sample, name="sample")
for command in (push, pull, datasets, delete):
    app.command()(command)
app.command()(models)
add_tailor(app)
add_steps(app)
app.command()(champion)
app.command()(promote)
app.command()(rollback)
app.command()(encode)
app.command()(search)


def main() -> None:
    """Run the command line."""
    run_app(app)


if __name__ == "__main__":
    main()
