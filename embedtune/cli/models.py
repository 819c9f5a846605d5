"""`embedtune models`: which models one can start from."""

import dataclasses
import json
import os
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from embedtune.models.catalogue import TASKS, KnownModel, models_of

_PIPE_WIDTH = 100

TaskName = Annotated[str, typer.Option(help=f"Only models for one of {', '.join(TASKS)}.")]
AsJSON = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]


def models(task: TaskName = "", as_json: AsJSON = False) -> None:
    """List models that a training can start from: what they are for, and which of them are not loaded here."""
    if as_json:
        typer.echo(json.dumps([_facts(known) for known in models_of(task)], ensure_ascii=False, indent=2))
    else:
        describe_models(task)


def describe_models(task: str = "") -> None:
    """Print the known models as tables, one for each task.

    Args:
        task: Only those for one task, such as text-to-text; '' prints all.

    Raises:
        ConfigError: there is no such task.
    """
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    found = models_of(task)
    for one in TASKS:
        entries = [known for known in found if known.task == one]
        if entries:
            console.print(_table(one, entries))
            console.print()
    console.print(
        "Give a name or an id as --model-backbone. Any other model of the Hugging Face hub that has safetensors "
        "weights and needs no code of its own can be given by its id, and a folder by its path or address."
    )


def _table(task: str, entries: list[KnownModel]) -> Table:
    table = Table(title=task, box=None, padding=(0, 1, 0, 0), title_justify="left", title_style="bold")
    table.add_column("name", no_wrap=True)
    for column in ("dim", "tokens", "M"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("model, and what it is for", overflow="fold")
    for known in entries:
        numbers = (known.dimension, known.max_length, None if known.millions is None else round(known.millions))
        cells = ("-" if number is None else f"{number}" for number in numbers)
        style = "dim" if known.refusal else ""
        table.add_row(escape(known.name), *cells, escape("\n".join(_lines(known))), style=style)
    return table


def _lines(known: KnownModel) -> list[str]:
    """Return what is said of a model, the id on a line of its own so that it can be copied."""
    facts = [known.purpose]
    if known.model:
        facts.append(known.licence if known.licence else "its page states no licence")
    refused = f"Not loaded: it {known.refusal}. Use {' or '.join(known.instead)}." if known.refusal else ""
    return [*filter(None, (known.model, "; ".join(facts), refused))]


def _facts(known: KnownModel) -> dict[str, object]:
    return {**dataclasses.asdict(known), "can_be_loaded": not known.refusal}
