"""A pipeline becomes the YAML that Kubeflow runs."""

import functools
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.json_format import MessageToJson
from kfp import compiler
from kfp.dsl.base_component import BaseComponent

from components.images import DATA_IMAGE, TRAIN_IMAGE
from embedtune.models.card import IMAGE_VARIABLE
from embedtune.storage.atomic import write_text_whole
from pipelines.builds import Definition
from pipelines.finetune import LITERALS as FINETUNE_LITERALS
from pipelines.finetune import check_finetune, check_finetune_sharded, finetune, finetune_sharded


@dataclass(frozen=True)
class Pipeline:
    """A pipeline and the closed choices among its parameters."""

    definition: Definition
    literals: dict[str, list[str]]
    """Parameter name to accepted values."""
    check: Callable[[dict[str, Any]], None]
    """Raises ConfigError for arguments that a step would refuse."""

    @functools.cached_property
    def component(self) -> BaseComponent:
        """The build that runs on this machine."""
        return self.definition.for_this_machine()


PIPELINES = {
    "finetune": Pipeline(finetune, FINETUNE_LITERALS, check_finetune),
    "finetune-sharded": Pipeline(finetune_sharded, FINETUNE_LITERALS, check_finetune_sharded),
}
"""All pipelines by name."""


@dataclass(frozen=True)
class Parameter:
    """A pipeline parameter as people see it."""

    name: str
    type: str
    """STRING, NUMBER_INTEGER, NUMBER_DOUBLE, STRUCT or LIST."""
    default: object
    """None where there is none."""
    description: str
    choices: tuple[str, ...]
    """Accepted values, or empty where any will do."""


def compile_pipeline(pipeline: Pipeline, output: Path, registry: str, literals: bool) -> None:
    """Write a pipeline's build for a cluster as YAML.

    Args:
        pipeline: The pipeline.
        output: File to write.
        registry: Prefix of the images, such as `registry.example.org/team`; '' leaves their bare names.
        literals: Write the closed choices, which Kubeflow 2.17 shows as dropdowns; backends before 2.16 refuse them.
    """
    documents = compiled_documents(pipeline)
    spec = documents[0]
    for executor in spec["deploymentSpec"]["executors"].values():
        image = executor["container"]["image"]
        if registry and image in (DATA_IMAGE, TRAIN_IMAGE):
            executor["container"]["image"] = f"{registry.rstrip('/')}/{image}"
        executor["container"].setdefault("env", []).append(
            {"name": IMAGE_VARIABLE, "value": executor["container"]["image"]}
        )
    if literals:
        for name, values in pipeline.literals.items():
            spec["root"]["inputDefinitions"]["parameters"][name]["literals"] = [str(value) for value in values]
    write_text_whole(output, yaml.safe_dump_all(documents, sort_keys=True, allow_unicode=True))


def compiled_documents(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Return the compiled build for a cluster: the PipelineSpec, and the Kubernetes settings."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/pipeline.yaml"
        compiler.Compiler().compile(pipeline.definition.for_cluster(), path)
        return list(yaml.safe_load_all(Path(path).read_text(encoding="utf-8")))


def parameters_of(pipeline: Pipeline) -> list[Parameter]:
    """Return a pipeline's parameters in alphabetical order, as the Kubeflow form shows them."""
    # A protobuf map has another order in every process; the defaults that are objects would be shown in it.
    message = pipeline.component.pipeline_spec.root.input_definitions
    inputs = json.loads(MessageToJson(message, sort_keys=True))["parameters"]
    return [
        Parameter(
            name=name,
            type=definition["parameterType"],
            default=definition.get("defaultValue"),
            description=definition.get("description", ""),
            choices=tuple(str(value) for value in pipeline.literals.get(name, ())),
        )
        for name, definition in sorted(inputs.items())
    ]
