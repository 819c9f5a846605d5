"""The registered model, loaded as a server loads it: in a process of its own, without embedtune."""

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema, TensorSpec
from sentence_transformers import SentenceTransformer

from embedtune.mlflow import layout
from embedtune.mlflow.connection import TRACKING_VARIABLE
from embedtune.models.card import ModelCard
from embedtune.registry import packaging, register
from embedtune.registry.packaging import requirement_lines, write_package

TEXTS = [
    "hello world",
    "http://127.0.0.1:1/x.png",
    "/etc/passwd",
    "data:image/png;base64,AAAA",
    "data:image/png;base64,iVBORw0KGgo=",
    "",
]

SCRIPT = """
import builtins, json, socket, sys
import mlflow, numpy as np, pandas as pd
import mlflow.store.artifact.artifact_repository_registry  # loads the plugins of whatever is installed
before = set(sys.modules)
uri, texts, out = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
model = mlflow.pyfunc.load_model(uri)

def refuse(*arguments, **options):
    raise AssertionError(f"a text was opened or fetched: {arguments}")

builtins.open = socket.socket.connect = refuse
listed = model.predict(texts)
table = model.predict(pd.DataFrame({"text": texts}))
series = model.predict(pd.Series(texts))
problems = []
for bad in (pd.DataFrame({"id": ["q1"], "text": ["a"]}), pd.DataFrame({"text": ["a", None]}), {"text": ["a", "b"]}):
    try:
        model.predict(bad)
    except ValueError as error:
        problems.append(str(error))
empty = model.predict(pd.DataFrame({"text": pd.Series([], dtype=str)}))
facts = {"problems": problems, "empty": empty.shape, "dtype": str(listed.dtype), "metadata": model.metadata.metadata,
         "embedtune": [name for name in sys.modules if name.startswith("embedtune") and name not in before]}
sys.stdout.write(json.dumps(facts))
np.savez(out, listed=listed, table=table, series=series)
"""


@pytest.fixture(scope="module")
def served(make_request, registry, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TRACKING_VARIABLE, registry.tracking_uri)
        register.register_model(make_request("served"))
    folder = tmp_path_factory.mktemp("served")
    image = folder / "image.png"
    image.write_bytes(b"not an image")
    texts = [*TEXTS, str(image)]
    command = [sys.executable, "-c", SCRIPT, "models:/served@champion", json.dumps(texts), str(folder / "out.npz")]
    environment = {
        TRACKING_VARIABLE: registry.tracking_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
    }
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return texts, json.loads(done.stdout), np.load(folder / "out.npz")


def test_vectors_equal_the_original_models(served, model_folder):
    texts, _, arrays = served
    expected = SentenceTransformer(str(model_folder), device="cpu").encode(texts)
    assert arrays["listed"].shape == (len(texts), 32)
    for form in ("listed", "table", "series"):
        np.testing.assert_allclose(arrays[form], expected, atol=1e-5)


def test_output_type_and_empty_table(served):
    _, facts, _ = served
    assert (facts["dtype"], facts["empty"]) == ("float32", [0, 32])


def test_serving_needs_no_embedtune(served):
    assert served[1]["embedtune"] == []


def test_what_is_no_text_is_refused(served):
    wrong_column, missing, nested = served[1]["problems"]
    assert "The first column is 'id'" in wrong_column
    assert "Row 1 holds nan" in missing
    assert "Row 0 holds ['a', 'b']" in nested


def test_metadata_says_what_an_index_must_know(served):
    facts = {"dimension": 32, "max_length": 64, "normalized": False, "similarity": "cosine"}
    assert facts.items() <= served[1]["metadata"].items()


def test_package_equals_what_mlflow_writes(model_folder, tmp_path):
    """If a new MLflow writes other keys, this says which."""
    card = ModelCard.load(model_folder)
    script = Path(packaging.__file__).with_name("serving_model.py")
    outputs = Schema([TensorSpec(np.dtype("float32"), (-1, 32))])
    mlflow.pyfunc.save_model(
        tmp_path / "theirs",
        python_model=str(script),
        artifacts={"model": str(model_folder)},
        pip_requirements=requirement_lines(card, model_folder),
        signature=ModelSignature(Schema([ColSpec("string")]), outputs),
    )
    ours = tmp_path / "ours"
    ours.mkdir()
    write_package(ours, model_folder, card, "m-1", "run")
    described = {name: yaml.safe_load((tmp_path / name / "MLmodel").read_text()) for name in ("ours", "theirs")}
    flavors = {name: content["flavors"]["python_function"] for name, content in described.items()}
    artifacts = {name: flavor.pop("artifacts") for name, flavor in flavors.items()}
    assert flavors["theirs"].pop("cloudpickle_version")  # Nothing is pickled in models-from-code.
    assert Path(flavors["theirs"].pop("model_code_path")).name == flavors["ours"].pop("model_code_path")
    assert flavors["ours"] == flavors["theirs"]
    assert artifacts["ours"]["model"]["path"] == "artifacts/model"
    assert described["ours"]["signature"] == described["theirs"]["signature"]
    assert {path.name for path in ours.iterdir()} == {
        path.name for path in (tmp_path / "theirs").iterdir() if path.name != "artifacts"
    }
    assert (ours / "requirements.txt").read_text().split() == (tmp_path / "theirs/requirements.txt").read_text().split()


def test_requirements_are_pinned_without_local_parts(model_folder):
    lines = requirement_lines(ModelCard.load(model_folder), model_folder)
    assert lines[1:] == ["numpy==2.4.6", "sentence-transformers==6.2.0", "torch==2.13.0", "transformers==5.23.0"]
    assert lines[0] == f"mlflow=={mlflow.__version__}"


def test_both_lists_of_executable_files_agree():
    from embedtune.registry import serving_model

    assert serving_model._EXECUTABLE_SUFFIXES == layout.EXECUTABLE_SUFFIXES
