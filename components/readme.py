"""Write every component's README from its signature, docstring and metadata: `python -m components.readme`."""

import importlib
import sys
from pathlib import Path
from typing import Any

import yaml
from docstring_parser import parse
from kfp.dsl.base_component import BaseComponent
from kfp.dsl.structures import InputSpec, OutputSpec

from pipelines.compile_options import BACKENDS

_FOLDER = Path(__file__).parent
_ARTIFACT = "system."


def component_names() -> list[str]:
    """Return the names of all components in alphabetical order."""
    return sorted(path.parent.name for path in _FOLDER.glob("*/component.py"))


def load_component(name: str) -> BaseComponent:
    """Return a component; its folder, module and function share one name."""
    component: BaseComponent = getattr(importlib.import_module(f"components.{name}.component"), name)
    return component


def load_metadata(name: str) -> dict[str, Any]:
    """Return a component's `metadata.yaml`."""
    metadata: dict[str, Any] = yaml.safe_load((_FOLDER / name / "metadata.yaml").read_text(encoding="utf-8"))
    return metadata


def readme_path(name: str) -> Path:
    """Return where a component's README is."""
    return _FOLDER / name / "README.md"


def render_readme(name: str) -> str:
    """Return a component's README."""
    component = load_component(name)
    spec = component.component_spec
    # kfp keeps no description of an artifact that is declared as an argument, so it comes from the docstring.
    about = parse(component.python_func.__doc__)
    texts = {entry.arg_name: entry.description for entry in about.params}
    inputs = spec.inputs if spec.inputs is not None else {}
    outputs = spec.outputs if spec.outputs is not None else {}
    parameters = {key: entry for key, entry in inputs.items() if not entry.type.startswith(_ARTIFACT)}
    artifacts = {key: entry for key, entry in inputs.items() if entry.type.startswith(_ARTIFACT)}
    sections = [
        f"<!-- Made by `python -m components.readme` from component.py and metadata.yaml. -->\n\n# {name}",
        *(text for text in (about.short_description, about.long_description) if text is not None),
        _promises(name, load_metadata(name)),
        "## Parameters\n\n" + _parameter_table(parameters),
        "## Inputs\n\n" + _table(["name", "type", "what it is"], _rows(artifacts, texts)),
        "## Outputs\n\n" + _table(["name", "type", "what it is"], _rows(outputs, texts)),
    ]
    return "\n\n".join(sections) + "\n"


def _promises(name: str, metadata: dict[str, Any]) -> str:
    services = [_service(service) for service in metadata["services"]]
    facts = {
        "Alone": f"`embedtune {name.replace('_', '-')}`",
        "Image": f"`embedtune-{metadata['image']}`",
        "Stability": metadata["stability"],
        "Kubeflow Pipelines": f"{' or '.join(BACKENDS)}, compiled with kfp `{metadata['kfp']}`",
        "Services": "; ".join(services) if services else "none",
        "Tags": ", ".join(metadata["tags"]),
    }
    return "\n".join(f"- {key}: {value}" for key, value in facts.items())


def _service(service: dict[str, Any]) -> str:
    variables = ", ".join(f"`{variable}`" for variable in service["environment"])
    told = f", set by {variables}" if variables else ""
    return f"{service['name']} ({service['versions']}), {service['needed']}{told}"


def _parameter_table(parameters: dict[str, InputSpec]) -> str:
    rows = [
        [f"`{key}`", entry.type, f"`{entry.default!r}`" if entry.optional else "required", entry.description]
        for key, entry in parameters.items()
    ]
    return _table(["name", "type", "default", "what it is"], rows)


def _rows(entries: dict[str, InputSpec] | dict[str, OutputSpec], texts: dict[str, str | None]) -> list[list[str]]:
    return [
        [
            f"`{key}`",
            entry.type.removeprefix(_ARTIFACT).partition("@")[0],
            str(texts[key] if entry.description is None else entry.description),
        ]
        for key, entry in entries.items()
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return "None."
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", r"\|").split()) for cell in line) + " |" for line in lines
    )


def main() -> None:
    """Write all READMEs."""
    for name in component_names():
        readme_path(name).write_text(render_readme(name), encoding="utf-8")
        sys.stdout.write(f"{readme_path(name)}\n")


if __name__ == "__main__":
    main()
