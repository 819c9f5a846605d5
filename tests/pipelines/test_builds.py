"""What a build is made of is checked quickly: kfp's own check reads the source of all that is on the stack."""

import inspect

import pytest
from kfp import dsl

from components.list_sources.component import list_sources
from pipelines import builds
from pipelines.task_options import SMALL, confined


@dsl.pipeline(name="inner")
def inner(uri: str):
    list_sources(uri=uri, version="")


def test_no_source_is_read_while_resources_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "stack", None)

    def body(uri: str):
        confined(list_sources(uri=uri, version=""), SMALL)

    built = builds.Definition("small", "", body).for_this_machine()
    (executor,) = built.pipeline_spec.deployment_spec["executors"].values()
    assert executor["container"]["resources"]["resourceCpuLimit"] == SMALL.cpu_limit


def test_a_pipeline_in_place_of_a_task_has_no_resources() -> None:
    def body(uri: str):
        inner(uri=uri).set_cpu_limit("1")

    with pytest.raises(ValueError, match=r"^inner is a pipeline: nothing can be set of it, only of its tasks\.$"):
        builds.Definition("outer", "", body).for_this_machine()
