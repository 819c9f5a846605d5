"""What was registered comes back whole, from a disk and over HTTP, or one sentence says why not."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from embedtune.errors import ConfigError, RegistryError, StorageError
from embedtune.mlflow.artifacts import folder_on_disk
from embedtune.mlflow.connection import TRACKING_VARIABLE, connect, connect_to_read
from embedtune.mlflow.failures import DamagedError, GoneError, RefusedError, UnavailableError, UnreachableError
from embedtune.mlflow.fetching import describe_files, fetch_model
from embedtune.mlflow.layout import DESCRIPTION, MODEL_FOLDER
from embedtune.mlflow.versions import ModelAddress, find_version, parse_model_address
from embedtune.registry.register import register_model

WEIGHTS = "model.safetensors"


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def client(registry) -> MlflowClient:
    return connect(registry.tracking_uri)


@pytest.fixture
def place(client: MlflowClient, make_request, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The folder in which MLflow keeps the files of a fresh version 1 of the model "thrown away"."""
    version = register_model(make_request("thrown away", gain=0.1 + len(request.node.name) / 1000)).version
    folder = folder_on_disk(client, find_version(client, f"models:/thrown away/{version}").address)
    yield folder
    client.delete_registered_model("thrown away")
    client.delete_logged_model(folder.parent.name)


class TestAddress:
    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            ("models:/shop@champion", ModelAddress("shop", "champion")),
            ("models:/my shop.v2-x_y@a-b", ModelAddress("my shop.v2-x_y", "a-b")),
            ("models:/shop/3", ModelAddress("shop", version=3)),
            ("models:/shop/120", ModelAddress("shop", version=120)),
        ],
    )
    def test_names_a_model_and_an_alias_or_version(self, uri: str, expected: ModelAddress) -> None:
        assert parse_model_address(uri) == expected

    @pytest.mark.parametrize(
        "uri",
        [
            *(
                "models:/shop",
                "models:/shop/",
                "models:/shop@",
                "models:/shop/latest",
                "models:/shop/0",
                "shop@champion",
            ),
            *("models:/a/b/3", "models://shop/3", "models:/shop/3/", "models:/shop/3@x", "models:/@champion"),
            "models:/s/٣",
        ],
    )
    def test_of_another_form(self, uri: str) -> None:
        with pytest.raises(ConfigError, match=r"models:/NAME@ALIAS, .* and models:/NAME/VERSION"):
            parse_model_address(uri)


class TestFindVersion:
    def test_an_alias_is_the_version_that_has_it_now(self, client: MlflowClient, make_request) -> None:
        register_model(make_request("found"))
        register_model(make_request("found", gain=0.05))
        champion, challenger = (find_version(client, f"models:/found@{alias}") for alias in ("champion", "challenger"))
        assert (champion.name, champion.version, champion.uri) == ("found", 1, "models:/found/1")
        assert challenger.version == 2
        assert find_version(client, "models:/found/1") == champion
        assert champion.created == client.get_model_version("found", "1").creation_timestamp

    @pytest.mark.parametrize("uri", ["models:/found/9", "models:/none/1", "models:/none@champion"])
    def test_what_is_not_there(self, client: MlflowClient, uri: str) -> None:
        with pytest.raises(GoneError, match=f"^{uri} is not in MLflow at sqlite:.*or it was deleted"):
            find_version(client, uri)

    def test_an_alias_that_no_version_has(self, client: MlflowClient, make_request) -> None:
        version = register_model(make_request("found")).version
        with pytest.raises(GoneError, match=rf"no alias 'best'; it has .*champion \(version {version}\)"):
            find_version(client, "models:/found@best")

    def test_a_deleted_version(self, client: MlflowClient, make_request) -> None:
        version = register_model(make_request("deleted")).version
        client.delete_model_version("deleted", str(version))
        with pytest.raises(GoneError, match="models:/deleted/1 is not in MLflow"):
            find_version(client, "models:/deleted/1")
        with pytest.raises(GoneError, match="it has none"):
            find_version(client, "models:/deleted@champion")


class TestConnectToRead:
    def test_makes_no_database(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(TRACKING_VARIABLE, f"sqlite:///{tmp_path}/mlflow.db")
        with pytest.raises(GoneError, match=f"no MLflow database {tmp_path}/mlflow.db"):
            connect_to_read()
        assert not list(tmp_path.iterdir())

    def test_a_server_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(TRACKING_VARIABLE, "http://127.0.0.1:1")
        with pytest.raises(UnreachableError, match="Check that the server runs"):
            connect_to_read()


class TestFetch:
    def test_from_a_disk(self, client: MlflowClient, make_request, model_folder: Path, tmp_path: Path) -> None:
        register_model(make_request("fetched"))
        fetch_model(client, find_version(client, "models:/fetched@champion"), tmp_path / "got")
        assert tree(tmp_path / "got") == tree(model_folder)

    def test_from_a_server(
        self, mlflow_server: str, make_request, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(TRACKING_VARIABLE, mlflow_server)
        register_model(make_request("fetched"))
        client = connect_to_read()
        version = find_version(client, "models:/fetched@champion")
        assert version.address.startswith("mlflow-artifacts:/")
        (tmp_path / "got").mkdir()
        fetch_model(client, version, tmp_path / "got")
        assert tree(tmp_path / "got") == tree(model_folder)
        assert describe_files(client, version).digests == tree(model_folder)
        with pytest.raises(GoneError, match="models:/fetched/2 is not in MLflow"):
            find_version(client, "models:/fetched/2")
        gone = replace(version, address=f"{version.address}-not")
        with pytest.raises(GoneError, match=r"The files of models:/fetched/1 are gone from mlflow-artifacts:/.*-not"):
            describe_files(client, gone)

    def test_what_is_there_is_not_replaced(self, client: MlflowClient, place: Path, tmp_path: Path) -> None:
        (tmp_path / "mine").write_text("mine")
        with pytest.raises(StorageError, match="is not an empty folder"):
            fetch_model(client, newest(client), tmp_path)
        assert tree(tmp_path) == {"mine": hashlib.sha256(b"mine").hexdigest()}


def newest(client: MlflowClient):
    return find_version(client, "models:/thrown away@challenger")


def damage(path: Path, content: bytes) -> None:
    """Give a file another content, which must not reach its other name."""
    path.unlink()
    path.write_bytes(content)


class TestRefusals:
    def check(self, client: MlflowClient, target: Path, kind: type[UnavailableError], match: str) -> None:
        with pytest.raises(UnavailableError, match=match) as caught:
            fetch_model(client, newest(client), target)
        assert type(caught.value) is kind
        assert isinstance(caught.value, RegistryError)
        assert not target.exists()
        assert not list(target.parent.iterdir())

    @pytest.mark.parametrize("name", [WEIGHTS, "modules.json", "tokenizer.json"])
    def test_a_file_with_another_content(self, name: str, client: MlflowClient, place: Path, tmp_path: Path) -> None:
        path = place / MODEL_FOLDER / name
        damage(path, path.read_bytes()[:-1] + b"?")
        self.check(client, tmp_path / "got", DamagedError, f"models:/thrown away/1 cannot be fetched: .*{name}")

    def test_a_file_that_was_cut(self, client: MlflowClient, place: Path, tmp_path: Path) -> None:
        path = place / MODEL_FOLDER / WEIGHTS
        damage(path, path.read_bytes()[:-1])
        self.check(client, tmp_path / "got", DamagedError, "SHA-256")

    def test_a_file_that_was_deleted(self, client: MlflowClient, place: Path, tmp_path: Path) -> None:
        (place / MODEL_FOLDER / WEIGHTS).unlink()
        self.check(client, tmp_path / "got", DamagedError, f"its file {WEIGHTS} is gone. Register the model again")

    def test_all_files_deleted(self, client: MlflowClient, place: Path, tmp_path: Path) -> None:
        shutil.rmtree(place)
        self.check(client, tmp_path / "got", GoneError, "The files of models:/thrown away/1 are gone from")

    @pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\xff", b"- list", b"", b"metadata: {sha256: {a: b}}"])
    def test_a_damaged_description(self, content: bytes, client: MlflowClient, place: Path, tmp_path: Path) -> None:
        damage(place / DESCRIPTION, content)
        self.check(client, tmp_path / "got", DamagedError, f"is damaged: its {DESCRIPTION} ")

    @pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "..\\out"])
    def test_a_name_that_leads_out(self, name: str, client: MlflowClient, place: Path, tmp_path: Path) -> None:
        describe(place, {name: "0" * 64})
        self.check(client, tmp_path / "got", RefusedError, "would lie outside its folder")

    @pytest.mark.parametrize("name", ["model.pkl", "1_Dense/pytorch_model.BIN", "modeling.py"])
    def test_a_file_that_could_run_code(self, name: str, client: MlflowClient, place: Path, tmp_path: Path) -> None:
        describe(place, {WEIGHTS: "0" * 64, name: "0" * 64})
        self.check(client, tmp_path / "got", RefusedError, "could run code when it is loaded")

    def test_a_model_of_another_kind(self, client: MlflowClient, place: Path, tmp_path: Path) -> None:
        describe(place, None)
        (place / MODEL_FOLDER).rename(place / "model.sklearn")
        self.check(client, tmp_path / "got", RefusedError, f"holds no folder {MODEL_FOLDER}")


def describe(place: Path, digests: dict[str, str] | None) -> None:
    """Write other names of files into a version's description; None as embedtune 0.1 did."""
    path = place / DESCRIPTION
    facts = yaml.safe_load(path.read_text())
    del facts["metadata"]["sha256"]
    if digests is not None:
        facts["metadata"]["sha256"] = digests
    path.write_text(yaml.safe_dump(facts))


class TestVersionOfBefore:
    """It recorded how many bytes its files have, and no digests."""

    def test_is_fetched(self, client: MlflowClient, place: Path, model_folder: Path, tmp_path: Path) -> None:
        describe(place, None)
        (place / MODEL_FOLDER / ".DS_Store").write_text("of a Mac")
        fetch_model(client, newest(client), tmp_path / "got")
        assert tree(tmp_path / "got") == tree(model_folder)

    @pytest.mark.parametrize("change", [-1, 1])
    def test_with_another_size(self, change: int, client: MlflowClient, place: Path, tmp_path: Path) -> None:
        describe(place, None)
        path = place / MODEL_FOLDER / WEIGHTS
        content = path.read_bytes()
        size = sum(file.stat().st_size for file in (place / MODEL_FOLDER).rglob("*") if file.is_file())
        damage(path, content[:-1] if change < 0 else content + b"?")
        with pytest.raises(DamagedError, match=f"its files have {size + change} bytes, and had {size} when"):
            fetch_model(client, newest(client), tmp_path / "got")
        assert not list(tmp_path.iterdir())
