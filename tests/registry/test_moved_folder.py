"""A folder with a local MLflow works wherever it is moved or copied, and never reaches back to its old place."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from embedtune.mlflow.beside_database import ARTIFACTS, SCHEME, open_beside_database
from embedtune.mlflow.local_database import move_along
from tests.registry.conftest import comparison

ROOT = Path(__file__).parents[2]
GROUP = "mlflow.artifact_repository"
ADDRESSES = {
    "runs": ["artifact_uri"],
    "logged_models": ["artifact_location"],
    "model_versions": ["source", "storage_location"],
    "experiments": ["artifact_location"],
}
LOAD = """
import json, sys, mlflow
shown = {}
for folder, models in json.loads(sys.argv[1]).items():
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    for model in models:
        loaded = mlflow.pyfunc.load_model(model)
        assert loaded.predict(["where is my parcel"]).shape == (1, 32)
    files = mlflow.artifacts.list_artifacts(run_id=loaded.metadata.run_id, artifact_path="reports")
    shown[folder] = [file.path for file in files]
print(json.dumps(shown))
"""
"""Loads models of folders by name and lists the files of a run of each: one process, since torch takes its time."""


@pytest.fixture(scope="module")
def announced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which MLflow finds what this checkout declares, however old the installation is."""
    (declared,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][GROUP].items()
    folder = tmp_path_factory.mktemp("announced")
    metadata = folder / "announced-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: announced\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{declared[0]} = {declared[1]}\n")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    return kept | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}


def python(code: str, *arguments: object, environment: dict[str, str], cwd: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


REGISTER = "from embedtune.cli.main import main; main()"


def registering(folder: Path, gain: float) -> list[object]:
    scores = folder / f"scores-{gain}"
    scores.mkdir(exist_ok=True)
    comparison(gain, True).save(scores / "comparison.json")
    options = ("--model", folder / "model", "--scores", scores, "--model-name", "tickets")
    return ["register-model", *options, "--reports", scores / "comparison.json"]


@pytest.fixture(scope="module")
def made(model_folder: Path, announced: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one version in a database beside the model."""
    folder = tmp_path_factory.mktemp("made") / "first place"
    shutil.copytree(model_folder, folder / "model")
    python(REGISTER, *registering(folder, 0.1), environment=announced)
    return folder


@pytest.fixture
def original(made: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "old place"
    shutil.copytree(made, folder)
    return folder


@dataclass(frozen=True)
class Place:
    """A folder at its new place."""

    here: Path
    original: Path
    before: dict[str, str]
    """What was at the old place once the folder was moved or copied."""
    shown: list[str]
    """Files of the run that MLflow shows of it."""


@pytest.fixture(scope="module")
def places(made: Path, announced: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    """A folder that was moved, one that was copied, and a copy of one of the version before after its next run."""
    root = tmp_path_factory.mktemp("places")
    originals, here = {}, {}
    for way, name in (("moved", "new é"), ("copied", "copy é"), ("of before", "third place")):
        originals[way], here[way] = root / "old" / way, root / name
        shutil.copytree(made, originals[way])
    originals["moved"].rename(here["moved"])
    shutil.copytree(originals["copied"], here["copied"])
    made_by_the_version_before(originals["of before"], (originals["of before"] / "artifacts").as_uri())
    shutil.copytree(originals["of before"], here["of before"])
    before = {way: tree(original) for way, original in originals.items()}
    python(REGISTER, *registering(here["of before"], 0.2), environment=announced)
    asked = {here["moved"].name: ["models:/tickets@champion"], here["copied"].name: ["models:/tickets@champion"]}
    asked[str(here["of before"])] = ["models:/tickets/1", "models:/tickets/2"]
    shown = list(json.loads(python(LOAD, json.dumps(asked), environment=announced, cwd=root)).values())
    return {
        way: Place(here[way], originals[way], before[way], files) for way, files in zip(originals, shown, strict=True)
    }


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def addresses(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return {
            value
            for table, columns in ADDRESSES.items()
            for column in columns
            for (value,) in database.execute(f"SELECT {column} FROM {table}")
            if "mlruns" not in value  # the experiment that MLflow makes by itself and nothing uses
        }


def made_by_the_version_before(folder: Path, root: str) -> None:
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        for table, columns in ADDRESSES.items():
            for column in columns:
                database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (ARTIFACTS, root))


def test_no_address_names_the_folder(made: Path) -> None:
    assert all(address.startswith(f"{ARTIFACTS}/") or address == ARTIFACTS for address in addresses(made))


@pytest.mark.parametrize("way", ["moved", "copied"])
def test_it_loads_at_once_and_the_next_version_goes_to_the_new_place(
    way: str, places: dict[str, Place], announced: dict[str, str]
) -> None:
    place = places[way]
    assert "reports/comparison.json" in place.shown
    python(REGISTER, *registering(place.here, 0.2), environment=announced)
    assert all(address.startswith(ARTIFACTS) for address in addresses(place.here))
    assert tree(place.original) == place.before
    assert place.original.exists() is (way == "copied")
    assert len(list((place.here / "artifacts" / "models").iterdir())) == 2


def test_a_copy_of_a_folder_of_the_version_before_is_at_home_after_the_next_run(places: dict[str, Place]) -> None:
    place = places["of before"]
    assert "reports/comparison.json" in place.shown
    assert all(address.startswith(ARTIFACTS) for address in addresses(place.here))
    assert tree(place.original) == place.before


def test_addresses_of_anything_else_stay(original: Path) -> None:
    made_by_the_version_before(original, "file:///nowhere/artifacts")
    with closing(sqlite3.connect(original / "mlflow.db")) as database, database:
        database.execute("UPDATE logged_models SET artifact_location = 's3://bucket/artifacts/models/m-1/artifacts'")
        database.execute(
            "UPDATE model_versions SET source = 'file:///mnt/artifacts/' || run_id || 'x/artifacts', "
            "storage_location = '/other/artifacts/models/m-' || run_id || '/artifacts'"
        )
    theirs = {one for one in addresses(original) if "nowhere" not in one}
    move_along(original / "mlflow.db")
    assert theirs < addresses(original)
    assert not [one for one in addresses(original) if "nowhere" in one]


def test_two_that_make_the_database_at_once_both_register(
    model_folder: Path, announced: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(model_folder, tmp_path / "model")
    words = [registering(tmp_path, gain) for gain in (0.1, 0.2)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", REGISTER, *map(str, arguments)],
            env=announced,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for arguments in words
    ]
    ended = [(process.communicate()[1], process.returncode) for process in running]
    assert [code for _, code in ended] == [0, 0], ended
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("SELECT version FROM model_versions ORDER BY version").fetchall() == [(1,), (2,)]


class TestAddress:
    @pytest.mark.parametrize(
        ("uri", "folder"), [("sqlite:///db/mlflow.db", "db"), ("sqlite:////data/db/mlflow.db", "/data/db")]
    )
    def test_is_below_the_folder_of_the_database(self, uri, folder, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        opened = open_beside_database(f"{ARTIFACTS}/r/artifacts", uri)
        assert Path(opened.artifact_dir) == tmp_path / folder / "artifacts" / "r" / "artifacts"

    def test_a_server_has_its_database(self, monkeypatch):
        monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", "sqlite:////data/mlflow.db")
        assert open_beside_database(f"{ARTIFACTS}/r").artifact_dir == "/data/artifacts/r"

    def test_without_a_database(self, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
        with pytest.raises(MlflowException, match="tracking URI is 'http://mlflow:5000'"):
            open_beside_database(ARTIFACTS, "http://mlflow:5000", "http://mlflow:5000")

    def test_leading_out_of_the_folder(self):
        with pytest.raises(MlflowException, match="leads out"):
            open_beside_database(f"{ARTIFACTS}/../../etc", "sqlite:////data/mlflow.db")

    def test_is_declared_to_mlflow(self):
        declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
        assert EntryPoint(SCHEME, declared[SCHEME], GROUP).load() is open_beside_database
