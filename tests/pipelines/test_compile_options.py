"""What the options of `python -m pipelines compile` write, and what they refuse."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import compiler, dsl
from kfp.compiler.compiler_utils import KubernetesManifestOptions
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from components.images import DATA_IMAGE, TRAIN_IMAGE
from embedtune import __version__
from embedtune.errors import ConfigError
from embedtune.models.card import IMAGE_VARIABLE
from pipelines.compile_options import CompileOptions
from pipelines.compiling import PIPELINES, compile_pipeline, parameters_of

DIGEST = f"sha256:{'0a' * 32}"
IMAGES = {
    DATA_IMAGE: f"registry.example.org:5000/team/embedtune-data@{DIGEST}",
    TRAIN_IMAGE: f"registry.example.org/team/embedtune-train:0.1.0@{DIGEST}",
}
Document = dict[str, Any]


def written(path: Path, options: CompileOptions) -> list[Document]:
    compile_pipeline(PIPELINES["finetune"], path, options)
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    return written(tmp_path_factory.mktemp("plain") / "plain.yaml", CompileOptions())


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    options = CompileOptions(
        data_image=IMAGES[DATA_IMAGE],
        train_image=IMAGES[TRAIN_IMAGE],
        deadline="36h",
        pod_labels=("kueue.x-k8s.io/queue-name=training", "team=search"),
    )
    return written(tmp_path_factory.mktemp("full") / "full.yaml", options)


def test_images_are_taken_whole(plain: list[Document], full: list[Document]) -> None:
    executors, before = (documents[0]["deploymentSpec"]["executors"] for documents in (full, plain))
    for name, executor in executors.items():
        container = executor["container"]
        assert container["image"] == IMAGES[before[name]["container"]["image"]]
        assert container["env"] == [{"name": IMAGE_VARIABLE, "value": container["image"]}]


def test_every_pod_of_a_step_has_the_labels(full: list[Document]) -> None:
    for executor in full[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        config = json_format.ParseDict(executor, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
        assert dict(config.pod_metadata.labels) == {"kueue.x-k8s.io/queue-name": "training", "team": "search"}


def test_the_deadline_stands_where_kfp_writes_it(full: list[Document], tmp_path: Path) -> None:
    @dsl.component(base_image="any:1")
    def nothing() -> None:
        pass

    @dsl.pipeline(name="p", pipeline_config=dsl.PipelineConfig(active_deadline_seconds=36 * 3600))
    def bounded() -> None:
        nothing()

    compiler.Compiler().compile(bounded, str(tmp_path / "p.yaml"))
    _, platform = yaml.safe_load_all((tmp_path / "p.yaml").read_text(encoding="utf-8"))
    config = full[1]["platforms"]["kubernetes"]["pipelineConfig"]
    assert config == platform["platforms"]["kubernetes"]["pipelineConfig"] == {"activeDeadlineSeconds": 129_600}


def test_nothing_is_said_that_was_not_asked_for(plain: list[Document]) -> None:
    settings = plain[1]["platforms"]["kubernetes"]
    assert set(settings) == {"deploymentSpec"}
    assert not [each for each in settings["deploymentSpec"]["executors"].values() if "podMetadata" in each]


def test_both_backends_get_the_choices(tmp_path: Path, plain: list[Document]) -> None:
    assert written(tmp_path / "2.16.yaml", CompileOptions(backend="2.16")) == plain
    choices = {
        name: definition["literals"]
        for name, definition in plain[0]["root"]["inputDefinitions"]["parameters"].items()
        if "literals" in definition
    }
    assert choices == PIPELINES["finetune"].literals


def test_the_description_explains_every_parameter(plain: list[Document]) -> None:
    """Kubeflow shows it as Markdown on the pipeline's page; its form shows no help."""
    text, _, table = plain[0]["pipelineInfo"]["description"].partition("\n\n")
    assert text == PIPELINES["finetune"].definition.description
    head, line, *rows = table.splitlines()
    assert (head, line) == ("| parameter | default | what it is |", "|---|---|---|")
    parameters = parameters_of(PIPELINES["finetune"])
    assert [row.split("`")[1] for row in rows] == [parameter.name for parameter in parameters]
    for row, parameter in zip(rows, parameters, strict=True):
        assert row.endswith(f" | {' '.join(parameter.description.split())} |")
    assert "| `data_uri` | required | Where the data are: " in table
    assert (
        "| `train_batch_size` | `64` | Contents per optimizer step, 4 or more; 0: what fits into a GPU, 64 on a CPU. |"
        in table
    )


class TestResources:
    @pytest.fixture(scope="class")
    def resources(self, tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
        return written(tmp_path_factory.mktemp("resources") / "r.yaml", CompileOptions(format="kubernetes"))

    def test_they_hold_the_pipeline(self, resources: list[Document], plain: list[Document]) -> None:
        pipeline, version = resources
        assert pipeline["metadata"] == {"name": "embedtune-finetune"}
        assert (version["spec"]["pipelineSpec"], version["spec"]["platformSpec"]) == tuple(plain)
        assert version["spec"]["pipelineName"] == pipeline["metadata"]["name"]
        json_format.ParseDict(version["spec"]["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())

    def test_they_have_the_form_that_kfp_writes(self, resources: list[Document], tmp_path: Path) -> None:
        options = KubernetesManifestOptions(
            pipeline_version_name=resources[1]["metadata"]["name"], include_pipeline_manifest=True
        )
        compiler.Compiler().compile(
            PIPELINES["finetune"].definition.for_cluster(),
            str(tmp_path / "kfp.yaml"),
            kubernetes_manifest_format=True,
            kubernetes_manifest_options=options,
        )
        theirs = list(yaml.safe_load_all((tmp_path / "kfp.yaml").read_text(encoding="utf-8")))
        for ours, other in zip(resources, theirs, strict=True):
            assert {key: ours[key] for key in ("apiVersion", "kind", "metadata")} == {
                key: other[key] for key in ("apiVersion", "kind", "metadata")
            }
            assert set(ours["spec"]) == {*other["spec"], "description"}

    def test_another_content_is_another_version(self, resources: list[Document], tmp_path: Path) -> None:
        """A PipelineVersion cannot be changed once it is there."""
        name = resources[1]["metadata"]["name"]
        assert name.startswith(f"embedtune-finetune-{__version__}-")
        again = written(tmp_path / "again.yaml", CompileOptions(format="kubernetes"))
        assert again == resources
        other = written(tmp_path / "other.yaml", CompileOptions(format="kubernetes", deadline="1h"))
        assert other[1]["metadata"]["name"] not in ("", name)


@pytest.mark.parametrize(("deadline", "seconds"), [("", 0), ("1s", 1), ("90m", 5400), ("12h", 43_200), ("2d", 172_800)])
def test_deadlines(deadline: str, seconds: int) -> None:
    assert CompileOptions(deadline=deadline).deadline_s == seconds


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        *(
            ("deadline", each, "deadline is .*; accepted: a whole number and s, m, h or d")
            for each in ("0h", "1.5h", "12", "h", "-1h", "1w", "12h ")
        ),
        *(
            (field, each, rf"{field} is .*; accepted: a whole reference with a digest or a tag")
            for field in ("data_image", "train_image")
            for each in ("", "team/data", "r.example.org:5000/team/data", "Team/Data:1", "a:1 ", "a@sha256:12", "https://a/b:1")
        ),
        ("data_image", "a/b:latest", "is another image from day to day"),
        ("backend", "2.18", r"backend is '2\.18'; accepted: 2\.16 or 2\.17"),
        ("format", "yaml", "format is 'yaml'; accepted: pipeline or kubernetes"),
        *(
            ("pod_labels", (each,), "pod_label is .*; accepted: key=value")
            for each in ("team", "=a", "team=a b", "-team=a", "team=a=b", f"{'a' * 64}=b", f"k={'a' * 64}", "A B/c=d")
        ),
        *(
            ("pod_labels", (f"{each}=a",), "a key by which Kubeflow finds its pods")
            for each in ("pipeline/runid", "pipelines.kubeflow.org/v2_component", "workflows.argoproj.io/workflow")
        ),
        ("pod_labels", ("a=1", "a=2"), "pod_label is a=1, a=2, which names a key twice"),
    ],
)  # fmt: skip
def test_what_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CompileOptions(**{field: value})


@pytest.mark.parametrize("image", ["a:1", f"a@{DIGEST}", f"a/b:latest@{DIGEST}", "localhost:5000/a/b_c:v1.0-x"])
def test_images_that_are_taken(image: str) -> None:
    assert CompileOptions(data_image=image).images[DATA_IMAGE] == image


def test_a_label_may_be_empty() -> None:
    assert CompileOptions(pod_labels=("spot=",)).labels == {"spot": ""}
