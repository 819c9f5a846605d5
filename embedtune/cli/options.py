"""Command-line options made from a description, so that every name, default and help text is written once."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from embedtune.cli.flags import flag

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Option:
    """One option of a command."""

    name: str
    """With underscores; the flag has dashes."""
    type: object
    """A type that typer knows, such as int or Path."""
    default: object
    """REQUIRED where there is none."""
    help: str
    choices: tuple[str, ...] = ()
    """Accepted values, or empty where any will do."""


OVERWRITE = Option("overwrite", bool, False, "Replace files at the outputs' places that embedtune did not write.")
Overwrite = Annotated[bool, typer.Option(help=OVERWRITE.help)]
MaxBadShare = Annotated[float, typer.Option(help="Largest accepted share of rows that cannot be used, 0 to 1.")]


def make_command(name: str, help_text: str, options: list[Option], run: Callable[[dict[str, object]], None]) -> object:
    """Return a function with one keyword per option, as typer reads commands.

    Args:
        name: Name of the command.
        help_text: What `--help` says first.
        options: The options in the order in which `--help` shows them.
        run: Called with option name -> value.
    """

    def command(**values: object) -> None:  # typer calls a command with its options by name
        run(values)

    parameters = [_parameter(option) for option in options]
    command.__name__ = name
    command.__doc__ = help_text
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parameter(option: Option) -> inspect.Parameter:
    annotation = Literal[option.choices] if option.choices else option.type
    default = ... if option.default is REQUIRED else option.default
    name = flag(option.name)
    names = f"{name}/--no-{name[2:]}" if option.type is bool else name
    described = typer.Option(default, names, help=option.help, show_default=default != "")
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=described, annotation=annotation)
