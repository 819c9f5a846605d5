"""One command per pipeline step, made from the step's signature and its configuration."""

import dataclasses
import importlib
import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import typer
from docstring_parser import Docstring, DocstringStyle, parse, parse_from_object
from rich.console import Console

from embedtune.cli.fields import merged, with_fields
from embedtune.cli.flags import flag
from embedtune.cli.json_values import json_kind, json_value
from embedtune.cli.options import OVERWRITE, REQUIRED, Option, make_command
from embedtune.cli.tables import comparison_table, decision_line, plain_facts
from embedtune.mlflow.connection import TRACKING_VARIABLE, local_tracking_uri
from embedtune.retrieval.comparison import Comparison
from embedtune.steps.running import OutputFile, OutputFolder
from embedtune.storage.outputs import Output, check_outputs

STEPS = (
    "resolve_data",
    "list_sources",
    "ingest_csv",
    "build_documents",
    "plan_documents",
    "build_shard",
    "merge_documents",
    "finetune",
    "finetune_candidate",
    "choose_candidate",
    "evaluate_retrieval",
    "register_model",
    "explain_failure",
)
"""The steps in the order in which the pipelines run them; those between ingest_csv and finetune build the documents, at
once or by file; finetune, or the two of a sweep; the last runs on a cluster only."""

_READ_FIELDS = ("uri", "rows_uri", "data_uri", "train_parts", "evaluation_parts", "backbone")
"""Fields of configurations that are addresses of what a step reads."""


def add_steps(app: typer.Typer) -> None:
    """Add a command for each step."""
    for name in STEPS:
        step = getattr(importlib.import_module(f"embedtune.steps.{name}"), name)
        about = parse(inspect.getdoc(step) or "", DocstringStyle.GOOGLE)
        config_class = get_type_hints(step)["config"]
        options = with_fields([*_path_options(step, about), *config_options(config_class)])
        options += [OVERWRITE] if outputs_of(step) else []
        command = make_command(name, about.short_description or "", options, _runner(step, config_class))
        app.command(name.replace("_", "-"))(command)  # type: ignore[type-var]


def outputs_of(step: Callable[..., object]) -> dict[str, bool]:
    """Return which of a step's parameters are paths that it writes, and whether each is a folder."""
    kinds = {OutputFile: False, OutputFolder: True}
    return {name: kinds[kind] for name, kind in get_type_hints(step, include_extras=True).items() if kind in kinds}


def config_options(config_class: type) -> list[Option]:
    """Return one option per field of a configuration class: its docstring is the help, its metadata the choices."""
    texts = {entry.arg_name: entry.description or "" for entry in parse_from_object(config_class).params}
    types = get_type_hints(config_class)
    return [_option(field, types[field.name], texts.get(field.name, "")) for field in dataclasses.fields(config_class)]


def _option(field: "dataclasses.Field[Any]", annotation: object, text: str) -> Option:
    if field.default_factory is not dataclasses.MISSING:
        return Option(field.name, str, json.dumps(field.default_factory()), f"{text} (JSON)")
    default = REQUIRED if field.default is dataclasses.MISSING else field.default
    return Option(field.name, _option_type(annotation), default, text, field.metadata.get("choices", ()))


def _path_options(step: Callable[..., object], about: Docstring) -> list[Option]:
    texts = {entry.arg_name: entry.description or "" for entry in about.params}
    types = get_type_hints(step)
    return [
        Option(
            parameter.name,
            _option_type(types[parameter.name]),
            parameter.default,
            texts.get(parameter.name, ""),
        )
        for parameter in inspect.signature(step).parameters.values()
        if parameter.name != "config"
    ]


def _option_type(annotation: object) -> object:
    """Return how typer names a type: an option that may be given several times is a list there."""
    lists = {tuple[Path, ...]: list[Path], tuple[str, ...]: list[str]}
    return lists.get(annotation, annotation)  # type: ignore[call-overload]


def _runner(step: Callable[..., object], config_class: type) -> Callable[[dict[str, object]], None]:
    names = {field.name for field in dataclasses.fields(config_class)}
    outputs, types = outputs_of(step), get_type_hints(config_class)

    def run(values: dict[str, Any]) -> None:
        overwrite = values.pop(OVERWRITE.name, False)
        arguments = {name: _as_argument(name, value, types.get(name)) for name, value in merged(values).items()}
        config = config_class(**{name: value for name, value in arguments.items() if name in names})
        paths = {name: value for name, value in arguments.items() if name not in names}
        check_outputs(
            [Output(flag(name), paths[name], is_folder) for name, is_folder in outputs.items()],
            _inputs({name: value for name, value in arguments.items() if name not in outputs}),
            overwrite,
        )
        if step.__name__ == "register_model" and paths["model"].is_dir():
            # Alone, without a pipeline, a model is registered in a database beside it.
            os.environ.setdefault(TRACKING_VARIABLE, local_tracking_uri(paths["model"].parent))
        _show(step(config, **paths))

    return run


def _inputs(arguments: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the flags and addresses of what a step reads."""
    given = {name: value if isinstance(value, tuple) else (value,) for name, value in arguments.items()}
    is_read = {name: name in _READ_FIELDS or isinstance(values[0], Path) for name, values in given.items() if values}
    return [(flag(name), str(value)) for name, values in given.items() if is_read.get(name) for value in values]


def _as_argument(name: str, value: Any, annotation: object) -> Any:
    kind = json_kind(annotation)
    if kind is not None:
        return json_value(name, value, kind)
    return tuple(value) if isinstance(value, list) else value


def _show(result: object) -> None:
    console = Console(soft_wrap=True)
    if isinstance(result, Comparison):
        console.print(comparison_table(result))
        console.print(decision_line(result))
        return
    for line in plain_facts(result):
        console.print(line, markup=False, highlight=False)
