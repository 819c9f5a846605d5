"""What leaves a machine has no secret in it."""

import pytest

from embedtune.redaction import redacted, without_logins


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_SECRET_ACCESS_KEY": "wJalr/XUtn+FEMI",
        "AWS_SESSION_TOKEN": "wJalr/XUtn+FEMI/longer",
        "HF_TOKEN": "hf_abcdef",
        "MINIO_ACCESS_KEY": "minio",
        "MINIO_SECRET_KEY": "minio123\n",
        "MLFLOW_TRACKING_PASSWORD": "hunter2",
        "EMBEDTUNE_WEBHOOK_URL": "https://hooks.example.org/services/T0/B0/x",
        "EMBEDTUNE_STORE_SECRET_DIR": "/var/run/secrets/store",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/token",
        "TOKENIZERS_PARALLELISM": "false  ",
        "MONKEYS": "a monkey",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("key wJalr/XUtn+FEMI.", "key ***."),
        ("token wJalr/XUtn+FEMI/longer.", "token ***."),
        ("?key=wJalr%2FXUtn%2BFEMI", "?key=***"),
        ("hf_abcdef and minio123 and hunter2", "*** and *** and ***"),
        ("POST https://hooks.example.org/services/T0/B0/x failed", "POST *** failed"),
        ("minio://bucket/key", "minio://bucket/key"),
        ("/var/run/secrets/store and /var/run/secrets/token", "/var/run/secrets/store and /var/run/secrets/token"),
        ("false  , a monkey", "false  , a monkey"),
        ("http://ann:p@ss@mlflow:5000/a and s3://k:s@b/c", "http://***@mlflow:5000/a and s3://***@b/c"),
        ("(https://b.example.org/a.csv?X-Amz-Signature=ab%2F&x=1)", "(https://b.example.org/a.csv?***)"),
        ("'https://b.example.org/a?sig=1' is it?", "'https://b.example.org/a?***' is it?"),
        ("Authorization: Bearer abc.def-ghi=", "Authorization: Bearer ***"),
        ("Basic YW5uOnBhc3M=", "Basic ***"),
        ("Basic rules, what is it? a@b", "Basic rules, what is it? a@b"),
    ],
)
def test_secrets_are_hidden_and_nothing_else_is(text: str, clean: str) -> None:
    assert redacted(text) == clean


def test_logins_alone() -> None:
    assert without_logins("http://ann:hunter2@mlflow:5000/?a=hunter2") == "http://***@mlflow:5000/?a=hunter2"
