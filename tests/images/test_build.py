"""What `make images` asks of Docker, and what it says about the result; nothing is built here."""

import argparse
from pathlib import Path

import pytest

from embedtune import __version__
from images import build
from images.build import TARGETS, build_words, main, too_large

ROOT = Path(__file__).parents[2]
NOTHING = {"torch_index": "", "kfp_version": "", "pip_config": "", "ca": "", "build_options": ""}


def words_of(**settings: str) -> list[str]:
    options = argparse.Namespace(base_image="python:3.11-slim", **{**NOTHING, **settings})
    return build_words("data", "embedtune-data:1", "abc", options)


def test_a_build_without_settings_names_base_and_labels_alone() -> None:
    label = "org.opencontainers.image."
    assert words_of() == [
        *("build", "--file", "images/Dockerfile", "--target", "data", "--tag", "embedtune-data:1"),
        *("--build-arg", "BASE_IMAGE=python:3.11-slim"),
        *("--label", f"{label}title=embedtune-data", "--label", f"{label}description=CPU steps, no torch"),
        *("--label", f"{label}version={__version__}", "--label", f"{label}revision=abc"),
        *("--label", f"{label}licenses=Apache-2.0", "--label", f"{label}base.name=python:3.11-slim"),
        ".",
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"torch_index": "https://example.org/cpu"}, ["--build-arg", "TORCH_INDEX=https://example.org/cpu"]),
        ({"kfp_version": "2.16.0"}, ["--build-arg", "KFP_VERSION=2.16.0"]),
        ({"pip_config": "/etc/my pip.conf"}, ["--secret", "id=pip,src=/etc/my pip.conf"]),
        ({"ca": "ca.pem"}, ["--secret", "id=ca,src=ca.pem"]),
        ({"build_options": "--network host --label 'a=b c'"}, ["--network", "host", "--label", "a=b c"]),
    ],
)
def test_a_setting_becomes_an_argument_or_a_secret(settings: dict[str, str], expected: list[str]) -> None:
    more = words_of(**settings)
    for word in words_of():
        more.remove(word)
    assert more == expected


def test_what_the_dockerfile_takes_is_what_is_given() -> None:
    text = (ROOT / "images" / "Dockerfile").read_text(encoding="utf-8")
    for target in TARGETS:
        assert f" AS {target}\n" in text
    given = {word.partition("=")[0] for word in words_of(torch_index="a", kfp_version="b") if "=" in word}
    taken = {line.split()[1].partition("=")[0] for line in text.splitlines() if line.startswith("ARG ")}
    assert taken == given & {"BASE_IMAGE", "TORCH_INDEX", "KFP_VERSION"}
    assert text.count("USER 1000:0\n") == len(TARGETS)


def entry(size: int, limit: int | None) -> dict[str, object]:
    return {"name": "embedtune-data:1", "bytes": size, "limit": limit}


def test_an_image_above_its_limit_is_a_problem() -> None:
    assert too_large({"data": entry(700_000_000, 700_000_000), "mlflow": entry(10**12, None)}) == []
    assert too_large({"data": entry(701_000_000, 700_000_000)}) == [
        "embedtune-data:1 has 701 MB; at most 700 MB are accepted. See what is large: docker history embedtune-data:1"
    ]


def test_a_missing_client_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER", "no-such-client")
    with pytest.raises(SystemExit, match=r"'no-such-client' is missing\. Install Docker, or name another one: DOCKER="):
        main(["build"])


@pytest.mark.parametrize(
    "words", [["push", "--prefix", "registry.example.org/team"], ["reference", "data"]], ids=" ".join
)
def test_where_nothing_was_built_it_says_what_to_do(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "_ROOT", tmp_path)
    with pytest.raises(SystemExit, match=r"no images were built\. Build them first: make images"):
        main(words)


def test_the_reference_is_the_one_that_was_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "_ROOT", tmp_path)
    build._write({target: {"reference": f"registry.example.org/{target}@sha256:0"} for target in TARGETS})
    main(["reference", "train"])
    assert capsys.readouterr().out == "registry.example.org/train@sha256:0\n"


def test_a_push_without_a_registry_says_how_to_name_one() -> None:
    with pytest.raises(SystemExit, match=r"PREFIX is ''\. Name one: make push-images PREFIX="):
        main(["push", "--prefix", ""])
