"""What every component promises: it is a thin, typed call of the step that has its name."""

import ast
import dataclasses
import importlib
import inspect
import re
from pathlib import Path
from typing import Dict, List, get_type_hints  # noqa: UP035 - kfp knows no list[str]

import pytest

from components.images import DATA_IMAGE, TRAIN_IMAGE
from components.readme import component_names, load_component
from embedtune import __version__
from embedtune.cli.steps import STEPS

TRAIN_STEPS = {"finetune", "finetune_candidate", "evaluate_retrieval"}
KFP_TYPES = {
    tuple[str, ...]: List[str],  # noqa: UP006 - as kfp spells it
    dict[str, str]: Dict[str, str],  # noqa: UP006
    list[dict[str, str]]: List[Dict[str, str]],  # noqa: UP006
}
"""What kfp calls the types of some fields."""
VALUES = (str, int, float, bool, *KFP_TYPES.values())
MOST_STATEMENTS = 15
ALLOWED_MODULES = {"kfp", "components.images", "typing"}

every_component = pytest.mark.parametrize("name", component_names())


def source_of(name: str) -> ast.Module:
    return ast.parse(Path(inspect.getfile(load_component(name).python_func)).read_text(encoding="utf-8"))


def function_of(name: str) -> ast.FunctionDef:
    (function,) = (node for node in source_of(name).body if isinstance(node, ast.FunctionDef))
    return function


def container_of(name: str) -> dict[str, object]:
    return load_component(name).pipeline_spec.deployment_spec["executors"][f"exec-{name.replace('_', '-')}"][
        "container"
    ]


def imported_modules(nodes: list[ast.stmt]) -> set[str]:
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


def test_every_step_has_its_component() -> None:
    assert component_names() == sorted(STEPS)


def config_of(name: str) -> type:
    step = getattr(importlib.import_module(f"embedtune.steps.{name}"), name)
    return get_type_hints(step)["config"]


def default_of(field: "dataclasses.Field[object]", missing: object) -> object:
    made = field.default_factory is not dataclasses.MISSING
    default = field.default_factory() if made else field.default
    return missing if default is dataclasses.MISSING else default


@every_component
def test_typed_parameters_are_the_configs_fields(name: str) -> None:
    types, missing = get_type_hints(config_of(name)), inspect.Parameter.empty
    fields = [
        (
            field.name,
            KFP_TYPES.get(types[field.name], types[field.name]),
            default_of(field, missing),
        )
        for field in dataclasses.fields(config_of(name))
    ]
    parameters = inspect.signature(load_component(name).python_func).parameters.values()
    scalars = [(entry.name, entry.annotation, entry.default) for entry in parameters if entry.annotation in VALUES]
    assert scalars == fields


@every_component
def test_compiled_defaults_are_the_configs(name: str) -> None:
    inputs = load_component(name).component_spec.inputs
    for field in dataclasses.fields(config_of(name)):
        default = default_of(field, None)
        assert inputs[field.name].optional is (default is not None)
        assert (inputs[field.name].default, type(inputs[field.name].default)) == (default, type(default))


@every_component
def test_image_is_the_steps_image_with_the_librarys_version(name: str) -> None:
    expected = TRAIN_IMAGE if name in TRAIN_STEPS else DATA_IMAGE
    assert container_of(name)["image"] == expected
    assert expected.endswith(f":{__version__}")


@every_component
def test_nothing_is_installed_when_it_starts(name: str) -> None:
    assert re.search(r"\bpip\b", str(container_of(name)["command"])) is None


@every_component
def test_body_is_thin(name: str) -> None:
    body = function_of(name).body[1:]  # without the docstring
    statements = [node for part in body for node in ast.walk(part) if isinstance(node, ast.stmt)]
    assert len(statements) <= MOST_STATEMENTS
    forbidden = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.Try, ast.If, ast.While)
    assert not [node for part in body for node in ast.walk(part) if isinstance(node, forbidden)]


@every_component
def test_a_failure_leaves_one_line_with_the_steps_name(name: str) -> None:
    calls = [node.value for node in function_of(name).body if isinstance(node, ast.Expr)]
    assert [ast.unparse(call) for call in calls if "leave_last_words" in ast.unparse(call)] == [
        f"leave_last_words('{name}')"
    ]


@every_component
def test_module_imports_only_what_kfp_needs_and_the_body_only_the_library(name: str) -> None:
    tree = source_of(name)
    top = imported_modules(tree.body)
    assert "__future__" not in top
    assert {module.split(".")[0] if module.startswith("kfp") else module for module in top} <= ALLOWED_MODULES
    inside = imported_modules(function_of(name).body)
    assert f"embedtune.steps.{name}" in inside
    assert {module.split(".")[0] for module in inside} <= {"embedtune", "pathlib"}


@every_component
def test_module_defines_nothing_but_the_component(name: str) -> None:
    kinds = [type(node) for node in source_of(name).body]
    assert set(kinds) <= {ast.Expr, ast.Import, ast.ImportFrom, ast.FunctionDef}
    assert kinds.count(ast.Expr) == 1  # the module's docstring
    assert function_of(name).name == name


@every_component
def test_every_input_and_returned_value_is_described(name: str) -> None:
    spec = load_component(name).component_spec
    assert spec.description
    for key, entry in spec.inputs.items():
        assert entry.description, key
    for key, entry in spec.outputs.items():
        assert entry.description or entry.type.startswith("system."), key
