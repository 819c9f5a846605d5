"""The page of all parameters, made from the pipeline and the dataclasses: `python -m pipelines.parameters`."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from docstring_parser import parse_from_object

from embedtune.cli.fields import OPTION_KINDS
from embedtune.cli.flags import flag
from pipelines.compiling import PIPELINES, parameters_of
from pipelines.parameter_table import parameter_table, table_cell

PAGE = Path(__file__).resolve().parent.parent / "docs" / "parameters.md"

_INTRODUCTION = """\
What Kubeflow's form asks for, and `python -m pipelines run` as flags (`train_epochs` is `--train-epochs`). Three,
`model_options`, `train_options` and `eval_options`, are JSON objects with the fields below, such as
`{"optimizer": "Adam", "warmup": 0.2}`. On the command line each field is a flag too; one that is given both ways must
be given alike. The commands of the steps (`embedtune finetune --help`) have the same fields and flags.
"""


def parameters_page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# The parameters\n"
    yield _INTRODUCTION
    yield parameter_table(parameters_of(PIPELINES["finetune"]))
    for name, kind in OPTION_KINDS.items():
        texts = {entry.arg_name: entry.description or "" for entry in parse_from_object(kind).params}
        yield f"\n## {name}\n\n| field | flag | default | what it is |\n|---|---|---|---|"
        for field in dataclasses.fields(kind):
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            shown = "null" if default is None else f"`{default!r}`".replace("'", '"')
            switch = flag(f"{name.removesuffix('options')}{field.name}")
            yield f"| `{field.name}` | `{switch}` | {shown} | {table_cell(texts[field.name])} |"


if __name__ == "__main__":
    PAGE.write_text(parameters_page(), encoding="utf-8")
