"""Proxies and certificate authorities reach a step's process, and not its pod's environment."""

import os
import ssl
import urllib.request
from pathlib import Path

import certifi
import pytest

from embedtune.steps.surroundings import take_surroundings
from pipelines.task_options import SETTINGS

SET = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
)
AUTHORITY = """-----BEGIN CERTIFICATE-----
MIIBgzCCASmgAwIBAgIUWXM1iiTJFzW9bGdqVGRmFZkrT3IwCgYIKoZIzj0EAwIw
-----END CERTIFICATE-----
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in (*SET, *(name for name in SETTINGS.values() if name.endswith("_PROXY"))):
        monkeypatch.setenv(name, "")  # so that it is taken back afterwards
        monkeypatch.delenv(name)
    return monkeypatch


def taken() -> dict[str, str]:
    return {name: os.environ[name] for name in SET if name in os.environ}


def test_outside_a_pod_nothing_changes(tmp_path: Path) -> None:
    take_surroundings(tmp_path / "settings", tmp_path / "mlflow")
    assert taken() == {}


def test_proxies_go_by_the_names_that_libraries_read(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for key, value in {"http_proxy": "http://p:1", "https_proxy": "http://p:2", "no_proxy": "inner"}.items():
        environment.setenv(SETTINGS[key], value)
    take_surroundings(tmp_path, tmp_path)
    assert {key: urllib.request.getproxies()[key] for key in ("http", "https", "no")} == {
        "http": "http://p:1",
        "https": "http://p:2",
        "no": "inner",
    }
    assert urllib.request.proxy_bypass("inner")


def test_an_authority_is_trusted_beside_the_public_ones(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(AUTHORITY, encoding="ascii")
    take_surroundings(tmp_path, tmp_path / "mlflow")
    found = taken()
    assert set(found) == {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
    assert len(set(found.values())) == 1
    bundle = Path(found["SSL_CERT_FILE"]).read_text(encoding="utf-8")
    assert bundle == f"{Path(certifi.where()).read_text(encoding='utf-8')}\n{AUTHORITY}\n"


def test_the_bundle_is_one_that_tls_takes(tmp_path: Path) -> None:
    public = Path(certifi.where()).read_text(encoding="utf-8")
    first = public[public.index("-----BEGIN") :].partition("-----END CERTIFICATE-----")
    (tmp_path / "ca.crt").write_text(first[0] + first[1], encoding="ascii")
    take_surroundings(tmp_path, tmp_path / "mlflow")
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    assert len(context.get_ca_certs()) == len(ssl.create_default_context(cafile=certifi.where()).get_ca_certs())


def test_mlflows_authority_is_for_mlflow(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(AUTHORITY, encoding="ascii")
    take_surroundings(tmp_path / "settings", tmp_path)
    assert taken() == {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(tmp_path / "ca.crt")}
