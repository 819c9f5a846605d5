"""Command line of the pipelines: compile them, or run them on this machine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from components.images import DATA_IMAGE, TRAIN_IMAGE
from embedtune.cli.app import run_app
from embedtune.cli.fields import merged, with_fields
from embedtune.cli.json_values import json_value
from embedtune.cli.options import OVERWRITE, REQUIRED, Option, make_command
from embedtune.storage.outputs import Output, check_outputs, check_run_folder
from pipelines.compile_options import BACKENDS, CompileOptions, Format
from pipelines.compiling import PIPELINES, compile_pipeline, parameters_of
from pipelines.local import check_run, run_locally
from pipelines.local_folder import results_in, run_folder
from pipelines.parameter_table import Parameter
from pipelines.summary import print_summary, publish_run

app = typer.Typer(
    help="Run a pipeline on this machine, or compile it for Kubeflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
run_commands = typer.Typer(help="Run a pipeline on this machine, without a cluster.", no_args_is_help=True)
compile_commands = typer.Typer(help="Write a pipeline as YAML for Kubeflow.", no_args_is_help=True)
app.add_typer(run_commands, name="run")
app.add_typer(compile_commands, name="compile")

_TYPES: dict[str, type] = {"STRING": str, "NUMBER_INTEGER": int, "NUMBER_DOUBLE": float, "BOOLEAN": bool}
_JSON_TYPES: dict[str, type] = {"STRUCT": dict, "LIST": list}
_RUN_OPTIONS = [
    Option("output", Path, Path("out/run"), "Folder for everything the run writes; a later run goes on from it."),
    Option("cache", bool, True, "Take steps whose inputs did not change from an earlier run."),
    Option("verbose", bool, False, "Show what kfp and the steps print."),
    OVERWRITE,
]
_COMPILE_OPTIONS = [
    Option("output", Path, REQUIRED, "YAML file to write."),
    Option("data_image", str, DATA_IMAGE, "Image of the steps on the CPU, with its digest; out/images.json has it."),
    Option("train_image", str, TRAIN_IMAGE, "Image of the steps that run a model, with its digest."),
    Option("backend", str, BACKENDS[-1], "Version of the cluster's Kubeflow Pipelines.", BACKENDS),
    Option("deadline", str, "", "Time after which a run ends, waiting for nodes included, such as 12h; needs 2.17."),
    Option("pod_label", list[str], [], "Label of the steps' pods, key=value, such as Kueue's; may be given again."),
    Option("format", str, str(Format.PIPELINE), "What to write: an upload, or resources of Kubernetes.", tuple(Format)),
    OVERWRITE,
]


def _run_options(name: str) -> list[Option]:
    return with_fields([*_RUN_OPTIONS, *(_option(parameter) for parameter in parameters_of(PIPELINES[name]))])


def _option(parameter: Parameter) -> Option:
    default = REQUIRED if parameter.default is None else parameter.default
    kind = _TYPES.get(parameter.type)
    if kind is None:  # a STRUCT or LIST, given as JSON
        return Option(parameter.name, str, json.dumps(default), f"{parameter.description} (JSON)")
    if default is not REQUIRED:
        default = kind(default)
    return Option(parameter.name, kind, default, parameter.description, parameter.choices)


def _run(name: str) -> Callable[[dict[str, Any]], None]:
    def run(values: dict[str, Any]) -> None:
        output, caching, verbose = values.pop("output"), values.pop("cache"), values.pop("verbose")
        overwrite = values.pop(OVERWRITE.name)
        arguments = _arguments(name, merged(values))
        check_run(name, arguments, output)
        check_run_folder(output, results_in(output), str(arguments["data_uri"]), overwrite)
        with run_folder(output, str(arguments["register_model_name"]), str(arguments["data_uri"])) as folder:
            finished = run_locally(name, arguments, folder, caching, verbose)
            summary = publish_run(finished, arguments, output)
        print_summary(summary)

    return run


def _arguments(name: str, values: dict[str, Any]) -> dict[str, object]:
    arguments: dict[str, object] = {}
    for parameter in parameters_of(PIPELINES[name]):
        value = values[parameter.name]
        arguments[parameter.name] = (
            value if parameter.type in _TYPES else json_value(parameter.name, value, _JSON_TYPES[parameter.type])
        )
    return arguments


def _compile(name: str) -> Callable[[dict[str, Any]], None]:
    def run(values: dict[str, Any]) -> None:
        options = CompileOptions(
            data_image=values["data_image"],
            train_image=values["train_image"],
            backend=values["backend"],
            deadline=values["deadline"],
            pod_labels=tuple(values["pod_label"]),
            format=values["format"],
        )
        check_outputs([Output("--output", values["output"], is_folder=False)], (), values[OVERWRITE.name])
        compile_pipeline(PIPELINES[name], values["output"], options)
        Console(soft_wrap=True).print(f"{values['output']}", markup=False, highlight=False)

    return run


def _add_commands() -> None:
    for name, pipeline in PIPELINES.items():
        text = str(pipeline.component.description)
        run = make_command(name, text, _run_options(name), _run(name))
        run_commands.command(name)(run)
        if name == "sweep":  # on this machine most people try settings
            app.command(name)(run)
        compile_commands.command(name)(make_command(name, text, _COMPILE_OPTIONS, _compile(name)))


_add_commands()

if __name__ == "__main__":
    run_app(app)
