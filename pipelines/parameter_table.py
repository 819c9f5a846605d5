"""All parameters of a pipeline as a table in Markdown: Kubeflow's form shows no help, its page of a pipeline does."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """A pipeline parameter as people see it."""

    name: str
    type: str
    """STRING, NUMBER_INTEGER, NUMBER_DOUBLE, BOOLEAN, STRUCT or LIST."""
    default: object
    """None where there is none."""
    description: str
    choices: tuple[str, ...]
    """Accepted values, or empty where any will do."""


def parameter_table(parameters: Iterable[Parameter]) -> str:
    """Return a table of names, defaults and meanings, without a line's end after the last row."""
    rows = ["| parameter | default | what it is |\n|---|---|---|"]
    for parameter in parameters:
        value = round(float(str(parameter.default))) if parameter.type == "NUMBER_INTEGER" else parameter.default
        default = "required" if value is None else "empty" if value == "" else f"`{value}`"
        rows.append(f"| `{parameter.name}` | {default} | {table_cell(parameter.description)} |")
    return "\n".join(rows)


def table_cell(text: str) -> str:
    """Return a text as it stands in a cell."""
    return " ".join(text.split()).replace("|", r"\|")
