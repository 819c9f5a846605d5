"""A pipeline becomes the YAML that Kubeflow runs."""

import functools
import hashlib
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

from embedtune import __version__
from embedtune.models.card import IMAGE_VARIABLE
from embedtune.storage.atomic import write_text_whole
from pipelines.builds import Definition
from pipelines.compile_options import CompileOptions, Format
from pipelines.finetune import LITERALS as FINETUNE_LITERALS
from pipelines.finetune import check_finetune, check_finetune_sharded, finetune, finetune_sharded
from pipelines.parameter_table import Parameter, parameter_table
from pipelines.sweep import check_sweep, sweep

_DIGEST_LETTERS = 8


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
    "sweep": Pipeline(sweep, FINETUNE_LITERALS, check_sweep),
}
"""All pipelines by name."""


def compile_pipeline(pipeline: Pipeline, output: Path, options: CompileOptions) -> None:
    """Write a pipeline's build for a cluster as YAML.

    Its closed choices are written too, which Kubeflow 2.17 shows as dropdowns and 2.16 checks, and a table of its
    parameters at the end of its description.

    Args:
        pipeline: The pipeline.
        output: File to write.
        options: What the cluster needs.
    """
    spec, platform = compiled_documents(pipeline)
    for executor in spec["deploymentSpec"]["executors"].values():
        container = executor["container"]
        container["image"] = options.images[container["image"]]
        container.setdefault("env", []).append({"name": IMAGE_VARIABLE, "value": container["image"]})
    for name, values in pipeline.literals.items():
        spec["root"]["inputDefinitions"]["parameters"][name]["literals"] = [str(value) for value in values]
    spec["pipelineInfo"]["description"] += f"\n\n{parameter_table(parameters_of(pipeline))}\n"
    settings = platform["platforms"]["kubernetes"]
    if options.labels:
        for executor in settings["deploymentSpec"]["executors"].values():
            executor["podMetadata"] = {"labels": options.labels}
    if options.deadline_s:
        settings["pipelineConfig"] = {"activeDeadlineSeconds": options.deadline_s}
    documents = _resources(spec, platform) if options.format == Format.KUBERNETES else [spec, platform]
    write_text_whole(output, yaml.safe_dump_all(documents, sort_keys=True, allow_unicode=True))


def _resources(spec: dict[str, Any], platform: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the Pipeline and the PipelineVersion, as `kfp.compiler` makes them.

    A version's content cannot be changed later, so its name has a digest of it.
    """
    about = {"description": spec["pipelineInfo"]["description"]}
    name = spec["pipelineInfo"]["name"]
    digest = hashlib.sha256(json.dumps([spec, platform], sort_keys=True).encode()).hexdigest()
    version = f"{name}-{__version__}-{digest[:_DIGEST_LETTERS]}"
    kind = {"apiVersion": "pipelines.kubeflow.org/v2beta1"}
    content = {"pipelineName": name, "pipelineSpec": spec, "platformSpec": platform}
    return [
        {**kind, "kind": "Pipeline", "metadata": {"name": name}, "spec": {"displayName": name, **about}},
        {
            **kind,
            "kind": "PipelineVersion",
            "metadata": {"name": version},
            "spec": {"displayName": version, **content, **about},
        },
    ]


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
