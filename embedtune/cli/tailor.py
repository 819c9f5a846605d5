"""`embedtune tailor`: the layers of a model before and after it is changed, and the changed model as a folder."""

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from embedtune.cli.fields import merged, with_fields
from embedtune.cli.options import OVERWRITE, REQUIRED, Option, make_command
from embedtune.importing import importing
from embedtune.models.backbones import open_backbone
from embedtune.models.options import ModelOptions
from embedtune.storage.outputs import Output, check_outputs

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from embedtune.models.layers import Layer

_PIPE_WIDTH = 120
_KINDS = {"options": ModelOptions}


def add_tailor(app: typer.Typer) -> None:
    """Add the command, with a flag for each field of ModelOptions."""
    options = [
        Option("model", str, REQUIRED, "Model to start from: as --model-backbone takes it."),
        Option("options", str, "{}", "JSON object with any of the options below, as --model-options takes it."),
        Option("output", Path, None, "Folder for the changed model, such as one tower of it; not set: it is not kept."),
        Option("json", bool, False, "Write JSON, for programs."),
        OVERWRITE,
    ]
    about = (
        "Show the layers of a model, with shapes and parameters, before and after it is changed; and keep the changed "
        "one. For example, the part of a model of texts and images that reads images: "
        "embedtune tailor --model out/model --select-model clip-vision --output image-tower"
    )
    app.command("tailor")(make_command("tailor", about, with_fields(options, _KINDS), _run))  # type: ignore[type-var]


def _run(values: dict[str, object]) -> None:
    options = ModelOptions.from_json(merged(values, _KINDS)["options"])
    output = values["output"]
    if isinstance(output, Path):
        read = [("--model", str(values["model"]))]
        check_outputs([Output("--output", output, is_folder=True)], read, bool(values["overwrite"]))
    with importing("sentence_transformers"):  # seconds; `embedtune --help` must not take them
        from embedtune.models.changed import save_changed
        from embedtune.models.layers import layers_of
        from embedtune.models.loading import load_backbone
        from embedtune.models.tailoring import tailor

    with open_backbone(str(values["model"]), "") as backbone:
        model = load_backbone(backbone, 0)
        before = layers_of(model)
        model = tailor(model, options, seed=0)
        tables = {"before": before, "after": layers_of(model)}
        if isinstance(output, Path):
            servers = save_changed(model, backbone, output)
            typer.echo(_saved(output, servers, bool(options.output_dim)), err=True)
    _show(str(values["model"]), tables, model, bool(values["json"]))


def _saved(folder: Path, servers: dict[str, str], has_head: bool) -> str:
    """Say what was written, who can run it, and what it lacks."""
    told = "; ".join(f"{name}: {reason if reason else 'yes'}" for name, reason in servers.items())
    head = " Its head holds random numbers until it is trained." if has_head else ""
    return f"The changed model is in {folder}.{head} Servers that can run it: {told}."


def _show(name: str, tables: "dict[str, list[Layer]]", model: "SentenceTransformer", as_json: bool) -> None:
    before = tables["before"]
    prompts = {name: prompt for name, prompt in model.prompts.items() if prompt}
    if as_json:
        facts = {when: [dataclasses.asdict(layer) for layer in layers] for when, layers in tables.items()}
        typer.echo(json.dumps({"model": name, **facts, "prompts": prompts}, ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    if tables["after"] == before:
        console.print(_table(name, before))
    else:
        console.print(_table(f"{name} before", before))
        console.print()
        console.print(_table("after", tables["after"]))
    console.print()
    for role, prompt in prompts.items():
        console.print(f"Put before a {role}: {prompt!r}", markup=False)
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
