"""Build the images, push them, or say which they are; what was made is recorded in `out/images.json`.

Needs Docker with BuildKit and Python's standard library. README.md beside this file has the settings.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from embedtune import __version__

TARGETS = {"data": "CPU steps, no torch", "train": "Steps that run a model", "mlflow": "Tracking server with users"}
"""Targets of the Dockerfile, and what each image is."""
LIMITS = {"data": 700, "train": 2500}
"""Largest accepted size in MB (10^6 bytes); the one of `train` is for torch without CUDA, which alone is larger."""
RECORD = Path("out", "images.json")
_ROOT = Path(__file__).parents[1]
_SECRETS = {"pip": "pip_config", "ca": "ca"}
_CUDA_OF = ("python3", "-c", "import torch; print(torch.version.cuda)")


def build(options: argparse.Namespace) -> None:
    """Build the images, print and record them, and end with an error if one is larger than accepted."""
    record = {}
    names = {target: f"embedtune-{target}:{__version__}" for target in TARGETS}
    words = [build_words(target, name, revision(), options) for target, name in names.items()]
    with ThreadPoolExecutor() as together:  # BuildKit does once what several of them need
        list(together.map(lambda each: _docker(*each, shown=True), words))
    for target, name in names.items():
        image = _inspect(name)
        limit = _limit(target, name)
        record[target] = {"name": name, "reference": name, "id": image["Id"], "bytes": image["Size"], "limit": limit}
        sys.stdout.write(f"{name}  {image['Id']}  {image['Size'] / 1e6:.0f} MB\n")
    _write(record)
    problems = too_large(record)
    if problems:
        sys.exit("\n".join(problems))


def build_words(target: str, name: str, commit: str, options: argparse.Namespace) -> list[str]:
    """Return the arguments of `docker` that build an image.

    Args:
        target: Key of TARGETS.
        name: Name and tag of the image.
        commit: What the library is built from, '' if unknown.
        options: Settings of the command line.
    """
    labels = {
        "title": f"embedtune-{target}",
        "description": TARGETS[target],
        "version": __version__,
        "revision": commit,
        "licenses": "Apache-2.0",
        "base.name": options.base_image,
    }
    arguments = {
        "BASE_IMAGE": options.base_image,
        "TORCH_INDEX": options.torch_index,
        "KFP_VERSION": options.kfp_version,
    }
    secrets = {name: getattr(options, option) for name, option in _SECRETS.items()}
    return [
        *("build", "--file", "images/Dockerfile", "--target", target, "--tag", name),
        *(word for key, value in arguments.items() if value for word in ("--build-arg", f"{key}={value}")),
        *(word for key, path in secrets.items() if path for word in ("--secret", f"id={key},src={path}")),
        *(word for key, value in labels.items() for word in ("--label", f"org.opencontainers.image.{key}={value}")),
        *shlex.split(options.build_options),
        ".",
    ]


def revision() -> str:
    """Return the commit that is checked out, with `-dirty` where files differ from it; '' where there is no git."""
    words = ("git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
    try:
        return subprocess.run(words, cwd=_ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""


def too_large(record: dict[str, dict]) -> list[str]:
    """Return a sentence about each image that is larger than accepted."""
    return [
        f"{entry['name']} has {entry['bytes'] / 1e6:.0f} MB; at most {entry['limit'] / 1e6:.0f} MB are accepted. "
        f"See what is large: docker history {entry['name']}"
        for entry in record.values()
        if entry["limit"] is not None and entry["bytes"] > entry["limit"]
    ]


def push(options: argparse.Namespace) -> None:
    """Push what was built, and record the references with the registry's digests."""
    if not options.prefix:
        sys.exit(
            "There is no registry to push to: PREFIX is ''. Name one: make push-images PREFIX=registry.example.org/team"
        )
    record = _read()
    for entry in record.values():
        repository, tag = f"{options.prefix}/{entry['name']}".rsplit(":", 1)
        _docker("tag", entry["id"], f"{repository}:{tag}")
        _docker("push", f"{repository}:{tag}", shown=True)
        digests = _inspect(f"{repository}:{tag}")["RepoDigests"]
        entry["reference"] = next(digest for digest in digests if digest.startswith(f"{repository}@"))
        sys.stdout.write(f"{entry['reference']}\n")
    _write(record)


def refer(options: argparse.Namespace) -> None:
    """Print the reference that a pipeline is compiled with."""
    sys.stdout.write(f"{_read()[options.target]['reference']}\n")


def _limit(target: str, name: str) -> int | None:
    """Return the largest accepted size of an image in bytes, None if there is none."""
    if target not in LIMITS or (target == "train" and _run_in(name, _CUDA_OF) != "None"):
        return None
    return LIMITS[target] * 10**6


def _run_in(name: str, words: tuple[str, ...]) -> str:
    return _docker("run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", name, *words)  # noqa: S108


def _inspect(name: str) -> dict:
    return json.loads(_docker("image", "inspect", name))[0]


def _docker(*words: str, shown: bool = False) -> str:
    """Run the client and return what it prints, or end with its error; a long one is shown while it runs."""
    client = os.environ.get("DOCKER", "docker")
    stdout = sys.stderr if shown else subprocess.PIPE
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    try:
        done = subprocess.run([client, *words], cwd=_ROOT, stdout=stdout, text=True, env=environment, check=False)
    except FileNotFoundError:
        sys.exit(f"The client {client!r} is missing. Install Docker, or name another one: DOCKER=/usr/bin/docker")
    if done.returncode != 0:
        sys.exit(f"`{client} {words[0]}` failed with exit code {done.returncode}; what it printed above says why.")
    return (done.stdout or "").strip()


def _read() -> dict[str, dict]:
    """Return what was recorded, or end with what to do."""
    try:
        return json.loads((_ROOT / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        sys.exit(f"{RECORD} is not there: no images were built. Build them first: make images")


def _write(record: dict[str, dict]) -> None:
    path = _ROOT / RECORD
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m images.build", description=__doc__)
    commands = parser.add_subparsers(required=True)
    building = commands.add_parser("build", help="build, check and record the images")
    for name in ("torch-index", "kfp-version", "pip-config", "ca", "build-options"):
        building.add_argument(f"--{name}", default="")
    building.add_argument("--base-image", default="python:3.11-slim")
    building.set_defaults(run=build)
    pushing = commands.add_parser("push", help="push what was built")
    pushing.add_argument("--prefix", required=True, help="such as registry.example.org/team")
    pushing.set_defaults(run=push)
    referring = commands.add_parser("reference", help="print the reference of what was built, or pushed")
    referring.add_argument("target", choices=TARGETS)
    referring.set_defaults(run=refer)
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    main(sys.argv[1:])
