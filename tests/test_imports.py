"""What the data image lacks is not needed there: fresh processes in which those packages cannot be imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedtune.cli.steps import STEPS

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "sentence_transformers")
DATA_STEPS = tuple(name for name in STEPS if name not in ("finetune", "evaluate_retrieval"))
TRAIN_STEPS = ("finetune", "evaluate_retrieval")

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {blocked!r}:
            raise ModuleNotFoundError(f'{{name}} is blocked', name=name)

sys.meta_path.insert(0, Blocker())
"""
BUILD_DOCUMENTS = """
from pathlib import Path

from embedtune.documents.build import BuildOptions
from embedtune.steps.build_documents import build_documents
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv
from embedtune.steps.resolve_data import resolve_data
from embedtune.steps.run_parameters import RunParameters

version = resolve_data(RunParameters('data.csv', model_backbone='pointnet-base')).data_version
report = ingest_csv(IngestCSVConfig('data.csv', version), Path('rows'), Path('bad.csv'))
outputs = [Path(name) for name in ('rows', 'train', 'evaluation', 'contradictions.csv', 'data.html', 'data.md')]
summary = build_documents(BuildOptions(), *outputs)
print(report.rows, summary.train.documents + summary.query.documents + summary.index.documents)
"""


def run(blocked: tuple[str, ...], code: str, folder: Path = ROOT) -> str:
    command = [sys.executable, "-c", BLOCKER.format(blocked=blocked) + code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_blocker_blocks() -> None:
    code = "\ntry:\n    import torch.nn\nexcept ModuleNotFoundError as error:\n    print(error)"
    assert run(HEAVY, code) == "torch is blocked\n"


@pytest.mark.parametrize("name", DATA_STEPS)
def test_data_step_imports_without_torch_mlflow_and_kfp(name: str) -> None:
    run((*HEAVY, "mlflow", "kfp"), f"import embedtune.steps.{name}")


@pytest.mark.parametrize("name", TRAIN_STEPS)
def test_train_step_imports_torch_only_when_it_runs(name: str) -> None:
    run((*HEAVY, "mlflow", "kfp"), f"import embedtune.steps.{name}")


def test_what_starts_the_processes_of_a_training_loads_torch_alone() -> None:
    run((*HEAVY[1:], "mlflow", "kfp"), "import embedtune.training.finetune")


def test_command_line_starts_without_torch_mlflow_and_kfp() -> None:
    run((*HEAVY, "mlflow", "kfp"), "import embedtune.cli.main")


def test_command_line_starts_light() -> None:
    code = "import sys, embedtune.cli.main\nprint(sorted({'docarray', 'minio', 'pandas'} & set(sys.modules)))"
    assert run((), code) == "[]\n"


def test_components_and_pipelines_import_without_torch_and_mlflow() -> None:
    imports = [f"import components.{name}.component" for name in (*DATA_STEPS, *TRAIN_STEPS)]
    run((*HEAVY, "mlflow"), "\n".join([*imports, "import pipelines.__main__"]))


def test_package_itself_imports_nothing() -> None:
    code = "before = set(sys.modules)\nimport embedtune\nprint(sorted(set(sys.modules) - before))"
    assert run((), code) == "['embedtune']\n"


def test_data_steps_run_without_torch_mlflow_and_kfp(tmp_path: Path) -> None:
    rows = [
        f"How do I {verb} my {thing} {number}?,{verb}"
        for verb in ("open", "close", "sell")
        for thing in ("shop", "door")
        for number in range(10)
    ]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    assert run((*HEAVY, "mlflow", "kfp"), BUILD_DOCUMENTS, tmp_path) == "60 60\n"


def test_nothing_is_made_in_the_home_folder(tmp_path: Path) -> None:
    """A library that docarray imports would make a folder there, and fail where it cannot."""
    code = "import embedtune.cli.main, embedtune.datasets.pull, docarray"
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("JINA_HUB_ROOT", None)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
