"""What the entry point of the mlflow image does before it becomes the server."""

import stat
from pathlib import Path

import pytest

from images.serve_mlflow import _REQUIRED, main, missing, write_settings

FULL = dict.fromkeys(_REQUIRED, "something")


def test_nothing_is_missing_where_all_is_set() -> None:
    assert missing(FULL) == []


@pytest.mark.parametrize("name", _REQUIRED)
def test_a_variable_that_is_missing_or_empty_is_named(name: str) -> None:
    (sentence,) = missing({**FULL, name: ""})
    assert sentence.startswith(f"{name} is not set; it takes ")
    assert missing({key: value for key, value in FULL.items() if key != name}) == [sentence]


def test_the_server_does_not_start_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _REQUIRED:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as ended:
        main()
    assert str(ended.value).count(" is not set; ") == len(_REQUIRED)


def test_mlflow_reads_the_settings_that_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's own reader; its settings of authentication are no part of the slim package."""
    config = pytest.importorskip("mlflow.server.auth.config")
    uri = "postgresql://someone:p%40ss%25@host/name"
    write_settings(uri, tmp_path / "auth.ini")
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(tmp_path / "auth.ini"))
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_PASSWORD", "a password of 12")
    read = config.read_auth_config()
    assert (read.database_uri, read.default_permission) == (uri, "READ")
    assert (read.admin_username, read.admin_password) == ("admin", "a password of 12")


def test_others_cannot_read_the_settings_nor_does_an_old_file_shine_through(tmp_path: Path) -> None:
    path = tmp_path / "auth.ini"
    write_settings("sqlite:////a/much/longer/name/of/a/database.db", path)
    write_settings("sqlite:///a.db", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines == ["[mlflow]", "default_permission = READ", "database_uri = sqlite:///a.db", "", ""]
