"""The job of the component minio: what it asks of the server, and that the user's rights are enough and no more."""

import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import ModuleType
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from minio.crypto import decrypt
from urllib3 import HTTPResponse

from embedtune.storage.errors import DeniedError
from embedtune.storage.folders import download_folder, upload_folder
from embedtune.storage.locations import ObjectStore
from embedtune.storage.objects.client import store_client
from tests.manifests.rendering import MANIFESTS
from tests.s3.conftest import UNSET, moto_server
from tests.serving import serving

SCRIPT = MANIFESTS / "components/minio/make_bucket_and_user.py"
BUCKET = "embedtune"
ROOT = ("root", "the administrator's secret")
USER = ("steps", "the secret of the steps")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_bucket_and_user", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Administration:
    """A server that takes note of what an administrator asks, as MinIO's admin API has it."""

    url: str = ""
    buckets: list[str] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str], object]] = field(default_factory=list)
    """Command, its query, and its body, decrypted."""
    status: int = 200


@pytest.fixture
def administration() -> Iterator[Administration]:
    state = Administration()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(200 if urlsplit(self.path).path.strip("/") in state.buckets else 404)

        def do_PUT(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            address = urlsplit(self.path)
            if not address.path.startswith("/minio/admin/v3/"):
                state.buckets.append(address.path.strip("/"))
                self.answer(200)
                return
            command = address.path.rpartition("/")[2]
            if command == "add-user":
                body = decrypt(HTTPResponse(io.BytesIO(body), preload_content=False), ROOT[1])
            state.asked.append((command, dict(parse_qsl(address.query)), json.loads(body) if body else None))
            self.answer(state.status)

        def answer(self, status):
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Handler) as state.url:
        yield state


def run_job(url: str) -> subprocess.CompletedProcess[str]:
    given = {"STORE_ENDPOINT": url, "BUCKET": BUCKET}
    given |= dict(zip(("ROOT_USER", "ROOT_PASSWORD", "ACCESS_KEY", "SECRET_KEY"), (*ROOT, *USER), strict=True))
    return subprocess.run(
        [sys.executable, str(SCRIPT)], env=os.environ | given, capture_output=True, text=True, check=False
    )


def test_the_job_makes_bucket_policy_and_user(administration: Administration, script: ModuleType) -> None:
    done = run_job(administration.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert administration.buckets == [BUCKET]
    assert administration.asked == [
        ("add-canned-policy", {"name": BUCKET}, script.bucket_policy(BUCKET)),
        ("add-user", {"accessKey": USER[0]}, {"status": "enabled", "secretKey": USER[1]}),
        ("set-user-or-group-policy", {"userOrGroup": USER[0], "isGroup": "false", "policyName": BUCKET}, None),
    ]


def test_a_bucket_that_is_there_is_left_alone(administration: Administration) -> None:
    administration.buckets.append(BUCKET)
    assert run_job(administration.url).returncode == 0
    assert administration.buckets == [BUCKET]


def test_a_refusal_ends_the_job_without_a_secret(administration: Administration) -> None:
    administration.status = 403
    done = run_job(administration.url)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{administration.url}: ")
    assert "Traceback" not in done.stderr
    assert not any(secret in done.stderr for secret in (ROOT[1], USER[1]))


def test_no_server_ends_the_job(administration: Administration) -> None:
    done = run_job("http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("http://127.0.0.1:9: ")


def test_the_rights_are_enough_and_no_more(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the steps do in the bucket works; another bucket is closed. moto evaluates the policy as IAM does."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/model.bin").write_bytes(bytes(6 << 20))  # in two parts
    with moto_server({"INITIAL_NO_AUTH_ACTION_COUNT": "5"}) as url:
        access = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}
        store, iam = boto3.client("s3", endpoint_url=url, **access), boto3.client("iam", endpoint_url=url, **access)
        for bucket in (BUCKET, "mlpipeline"):
            store.create_bucket(Bucket=bucket)
        iam.create_user(UserName="steps")
        keys = iam.create_access_key(UserName="steps")["AccessKey"]
        policy = json.dumps(script.bucket_policy(BUCKET))
        iam.put_user_policy(UserName="steps", PolicyName=BUCKET, PolicyDocument=policy)
        for name in UNSET:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
        upload_folder(tmp_path / "folder", f"s3://{BUCKET}/run")
        assert download_folder(f"s3://{BUCKET}/run", tmp_path / "again") is True
        # One by one: moto asks for the right to delete many of the bucket, where S3 asks for that of each.
        store_client(ObjectStore.S3).remove_object(BUCKET, "run/manifest.json")
        assert download_folder(f"s3://{BUCKET}/run", tmp_path / "gone") is False
        with pytest.raises(DeniedError):
            upload_folder(tmp_path / "folder", "s3://mlpipeline/run")
        with pytest.raises(DeniedError):
            download_folder("s3://mlpipeline/run", tmp_path / "other")
