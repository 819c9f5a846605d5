"""The folder of a run in the output folder."""

import re
import tempfile
from pathlib import Path

import pytest

from embedtune.errors import StorageError
from embedtune.storage.ownership import is_run_folder
from pipelines.local_folder import results_in, run_folder


def test_each_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    paths = []
    for _ in range(2):
        with run_folder(tmp_path / "new" / "out", "model", "a.csv") as folder:
            assert is_run_folder(folder.output)
            assert re.fullmatch(r"\d{4}(-\d\d){5}-[0-9a-f]{6}", folder.path.name)
            assert folder.path.parent == tmp_path / "new" / "out" / "runs"
            (folder.scratch / "x").write_text("", encoding="utf-8")
            paths.append(folder.path)
        assert not folder.scratch.exists()
    assert len(set(paths)) == 2


@pytest.mark.parametrize("name", ["runs", "runs/.cache", "model", "scores", "checkpoints", "artifacts"])
def test_a_file_where_a_folder_should_be_is_one_sentence_before_the_work(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError) as caught, run_folder(tmp_path, "model", "a.csv"):
        pass
    assert str(caught.value) == (
        f"{tmp_path / name} is a file where the run keeps a folder. Move it away, or give another --output."
    )
    assert (tmp_path / name).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["report.html", "data.html", "summary.json", "mlflow.db"])
def test_a_folder_where_a_file_should_be(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(StorageError, match="is a folder where the run keeps a file"), run_folder(tmp_path, "m", "a"):
        pass


def test_an_output_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    with (
        pytest.raises(StorageError, match=r"cannot be made: File exists. Give"),
        run_folder(tmp_path / "out", "m", "a"),
    ):
        pass


def test_all_that_a_run_replaces_is_asked_about(tmp_path: Path) -> None:
    results = {result.path.name: result.is_folder for result in results_in(tmp_path)}
    pages = ("report.html", "data.html", "summary.json", "sweep.html", "sweep.md")
    assert results == {"model": True, "scores": True, "sweep": True, **dict.fromkeys(pages, False)}


def test_what_a_killed_run_left_half_written_goes_and_the_rest_stays(tmp_path: Path) -> None:
    with run_folder(tmp_path, "m", "a") as killed:
        (killed.path / "finetune" / ".model.0f.part").mkdir(parents=True)
        (killed.path / "finetune" / "model").mkdir()
    (tmp_path / ".report.html.0f.part").write_text("<html", encoding="utf-8")
    (tmp_path / ".mine").write_text("", encoding="utf-8")
    scratch = Path(tempfile.gettempdir()) / f"embedtune-{killed.path.name}"
    scratch.mkdir()
    with run_folder(tmp_path, "m", "a"):
        pass
    assert not scratch.exists()
    assert [path.name for path in (killed.path / "finetune").iterdir()] == ["model"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".embedtune-output", ".mine", "runs"]
