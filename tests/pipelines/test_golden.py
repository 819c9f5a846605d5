"""The compiled pipelines as they were looked at last: a change of what Kubeflow runs is seen in a review."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from embedtune import __version__
from embedtune.models.card import IMAGE_VARIABLE
from pipelines.compile_options import CompileOptions
from pipelines.compiling import PIPELINES, compile_pipeline

GOLDEN = Path(__file__).parent / "golden"
RENEW = "If that is meant: python -m pipelines compile {name} --output tests/pipelines/golden/{name}.yaml --overwrite"


def documents(path: Path) -> list[dict[str, Any]]:
    """Read a compiled pipeline without what changes with every release: the version of kfp and of the images."""
    found = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    del found[0]["sdkVersion"]
    for executor in found[0]["deploymentSpec"]["executors"].values():
        image, _, tag = executor["container"]["image"].rpartition(":")
        executor["container"]["image"] = image
        told = [variable for variable in executor["container"]["env"] if variable["name"] == IMAGE_VARIABLE]
        assert told == [{"name": IMAGE_VARIABLE, "value": f"{image}:{tag}"}]
        executor["container"]["env"].remove(told[0])
        assert tag.count(".") == __version__.count(".")
    return found


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_compiled_pipeline_is_the_golden_copy(name: str, tmp_path: Path) -> None:
    compile_pipeline(PIPELINES[name], tmp_path / "new.yaml", CompileOptions())
    assert documents(tmp_path / "new.yaml") == documents(GOLDEN / f"{name}.yaml"), RENEW.format(name=name)


def test_every_golden_copy_is_of_a_pipeline() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.yaml")) == sorted(PIPELINES)
