"""What a cluster needs said when a pipeline is compiled for it, for no run can say it."""

import re
from dataclasses import dataclass
from enum import StrEnum

from components.images import DATA_IMAGE, TRAIN_IMAGE
from embedtune.errors import ConfigError
from embedtune.steps.pod_settings import is_label

BACKENDS = ("2.16", "2.17")
"""Versions of Kubeflow Pipelines; earlier ones refuse the pods' security settings and the choices of a parameter."""

_IMAGE = re.compile(
    r"(?:[a-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
"""https://github.com/distribution/reference/blob/main/reference.go"""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DEADLINE = re.compile("([1-9][0-9]{0,6})([smhd])", re.ASCII)
_KUBEFLOWS = ("pipeline/", "pipelines.kubeflow.org/", "workflows.argoproj.io/")
"""Prefixes of labels by which Kubeflow and Argo find their pods again."""


class Format(StrEnum):
    """What is written."""

    PIPELINE = "pipeline"
    """What the UI and kfp's client upload."""
    KUBERNETES = "kubernetes"
    """The resources Pipeline and PipelineVersion, for a Kubeflow that keeps its pipelines in Kubernetes."""


@dataclass(frozen=True)
class CompileOptions:
    """How a pipeline is compiled."""

    data_image: str = DATA_IMAGE
    """Image of the steps on the CPU, whole, with its digest or a tag that stays."""
    train_image: str = TRAIN_IMAGE
    """Image of the steps that run a model."""
    backend: str = BACKENDS[-1]
    """Version of Kubeflow Pipelines, one of BACKENDS."""
    deadline: str = ""
    """Time after which a run ends, waiting for a node included, such as 12h or 2d; '' for none."""
    pod_labels: tuple[str, ...] = ()
    """Labels of the steps' pods, each as key=value."""
    format: str = Format.PIPELINE
    """One of Format."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: one is not accepted.
        """
        _check_image("data_image", self.data_image)
        _check_image("train_image", self.train_image)
        if self.backend not in BACKENDS:
            raise ConfigError(f"backend is {self.backend!r}; accepted: {' or '.join(BACKENDS)}, the cluster's version.")
        if self.deadline and not _DEADLINE.fullmatch(self.deadline):
            raise ConfigError(f"deadline is {self.deadline!r}; accepted: a whole number and s, m, h or d, such as 12h.")
        if self.deadline and self.backend == "2.16":
            raise ConfigError(
                f"deadline is {self.deadline!r}, and the backend 2.16 knows no deadline of a run, 2.17 does. Leave it "
                "out: each task has its own, which begins when its pod starts."
            )
        for label in self.pod_labels:
            _check_label(label)
        if len(self.labels) < len(self.pod_labels):
            raise ConfigError(f"pod_label is {', '.join(self.pod_labels)}, which names a key twice. Give each once.")
        if self.format not in tuple(Format):
            raise ConfigError(f"format is {self.format!r}; accepted: {' or '.join(Format)}.")

    @property
    def deadline_s(self) -> int:
        """The deadline in seconds; 0 for none."""
        return int(self.deadline[:-1]) * _SECONDS[self.deadline[-1]] if self.deadline else 0

    @property
    def labels(self) -> dict[str, str]:
        """The labels by their keys."""
        return {key: value for key, _, value in (label.partition("=") for label in self.pod_labels)}

    @property
    def images(self) -> dict[str, str]:
        """What stands for the images that the components name."""
        return {DATA_IMAGE: self.data_image, TRAIN_IMAGE: self.train_image}


def _check_image(name: str, image: str) -> None:
    found = _IMAGE.fullmatch(image)
    if found is None or not (found["digest"] or found["tag"]):
        raise ConfigError(
            f"{name} is {image!r}; accepted: a whole reference with a digest or a tag, such as "
            "registry.example.org/team/embedtune-data@sha256:...; out/images.json has those that 'make images' made."
        )
    if found["tag"] == "latest" and not found["digest"]:
        raise ConfigError(
            f"{name} is {image!r}, which is another image from day to day, while Kubeflow reuses results by its name. "
            "Give its digest, or a tag that stays."
        )


def _check_label(label: str) -> None:
    key, separator, value = label.partition("=")
    if not separator or not is_label(key, value):
        raise ConfigError(
            f"pod_label is {label!r}; accepted: key=value, as Kubernetes has labels, such as "
            "kueue.x-k8s.io/queue-name=training."
        )
    if key.startswith(_KUBEFLOWS):
        raise ConfigError(f"pod_label is {label!r}, a key by which Kubeflow finds its pods. Take one of your own.")
