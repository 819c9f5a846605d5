"""`embedtune tailor`: the layers of a model before and after it is changed."""

import dataclasses
import json
import os
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from embedtune.cli.fields import merged, with_fields
from embedtune.cli.options import REQUIRED, Option, make_command
from embedtune.models.options import ModelOptions

if TYPE_CHECKING:
    from embedtune.models.layers import Layer

_PIPE_WIDTH = 120
_KINDS = {"options": ModelOptions}


def add_tailor(app: typer.Typer) -> None:
    """Add the command, with a flag for each field of ModelOptions."""
    options = [
        Option("model", str, REQUIRED, "Model to start from: as --model-backbone takes it."),
        Option("options", str, "{}", "JSON object with any of the options below, as --model-options takes it."),
        Option("json", bool, False, "Write JSON, for programs."),
    ]
    about = "Show the layers of a model, with shapes and parameters, before and after it is changed."
    app.command("tailor")(make_command("tailor", about, with_fields(options, _KINDS), _run))  # type: ignore[type-var]


def _run(values: dict[str, object]) -> None:
    options = ModelOptions.from_json(merged(values, _KINDS)["options"])
    # torch takes seconds to import; `embedtune --help` must not.
    from embedtune.models.layers import layers_of
    from embedtune.models.loading import load_model
    from embedtune.models.tailoring import tailor

    model = load_model(str(values["model"]), 0)
    before = layers_of(model)
    model = tailor(model, options, seed=0)
    tables = {"before": before, "after": layers_of(model)}
    prompts = {name: prompt for name, prompt in model.prompts.items() if prompt}
    if values["json"]:
        facts = {name: [dataclasses.asdict(layer) for layer in layers] for name, layers in tables.items()}
        typer.echo(json.dumps({"model": values["model"], **facts, "prompts": prompts}, ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    if tables["after"] == before:
        console.print(_table(str(values["model"]), before))
    else:
        console.print(_table(f"{values['model']} before", before))
        console.print()
        console.print(_table("after", tables["after"]))
    console.print()
    for name, prompt in prompts.items():
        console.print(f"Put before a {name}: {prompt!r}", markup=False)
    console.print("Shapes are those of one short content.")
    if model.transformers_model is not None:
        console.print(
            "A classification head that the model may have been published with is gone already: only its body "
            "is loaded."
        )


def _table(title: str, layers: "list[Layer]") -> Table:
    parameters, trainable = (sum(getattr(layer, name) for layer in layers) for name in ("parameters", "trainable"))
    table = Table(title=escape(title), box=None, padding=(0, 1, 0, 0), title_justify="left", title_style="bold")
    table.add_column("layer", overflow="fold")
    table.add_column("kind", overflow="fold")
    for column in ("shape", "parameters", "trainable"):
        table.add_column(column, justify="right", no_wrap=True)
    for layer in layers:
        shape = " x ".join(map(str, layer.shape)) if layer.shape else "-"
        table.add_row(escape(layer.name), escape(layer.kind), shape, f"{layer.parameters:,}", f"{layer.trainable:,}")
    table.add_row("total", "", "", f"{parameters:,}", f"{trainable:,}", style="bold")
    return table
