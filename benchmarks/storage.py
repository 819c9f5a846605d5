"""Push and pull of a folder against the minio client's own fput_object and fget_object: same files, same server.

The server is moto's, on this machine, in a process of its own. Each round stores and fetches every set of files in
both ways, in turns; what is printed are the rounds and the medians. Ours digests what goes and comes, and
checks it; the client's own calls do not.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from minio import Minio

from embedtune.storage.folders import delete_folder, download_folder, upload_folder
from embedtune.storage.locations import ObjectStore
from embedtune.storage.objects.client import store_client

_BUCKET = "benchmark"
_MIB = 1 << 20


@dataclass(frozen=True)
class Rates:
    """One round, in MiB/s."""

    fput: float
    push: float
    fget: float
    pull: float


def main() -> None:
    """Print both sides, round by round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, help="MiB in all")
    parser.add_argument("--files", type=int, nargs="+", default=[1, 64], help="numbers of files to split them into")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with moto_server(), tempfile.TemporaryDirectory() as scratch:
        client = store_client(ObjectStore.S3)
        client.make_bucket(_BUCKET)
        for count in options.files:
            folder = _make_files(Path(scratch) / f"{count}-files", count, options.size * _MIB // count)
            print(f"{count} x {options.size // count} MiB", flush=True)
            _report([_measure(client, folder, number) for number in range(1, options.rounds + 1)])
            shutil.rmtree(folder)


def _measure(client: Minio, folder: Path, number: int) -> Rates:
    names = sorted(path.name for path in folder.iterdir())
    size = sum(path.stat().st_size for path in folder.iterdir()) / _MIB
    own, ours = folder.with_name("own"), folder.with_name("ours")
    uri = f"s3://{_BUCKET}/ours"

    def fput() -> None:
        for name in names:
            client.fput_object(_BUCKET, f"own/{name}", str(folder / name))

    def fget() -> None:
        for name in names:
            client.fget_object(_BUCKET, f"own/{name}", str(own / name))

    stores = {"fput": fput, "push": lambda: upload_folder(folder, uri)}
    fetches = {"fget": fget, "pull": lambda: download_folder(uri, ours)}
    rates = Rates(
        **{name: size / took for name, took in (_take_turns(stores, number) | _take_turns(fetches, number)).items()}
    )
    print(
        f"  round {number}: fput {rates.fput:.0f}, push {rates.push:.0f}; fget {rates.fget:.0f}, "
        f"pull {rates.pull:.0f} MiB/s",
        flush=True,
    )
    delete_folder(uri)
    for name in names:
        client.remove_object(_BUCKET, f"own/{name}")
    shutil.rmtree(own)
    shutil.rmtree(ours)
    return rates


def _report(rounds: list[Rates]) -> None:
    push = statistics.median(rates.push / rates.fput for rates in rounds)
    pull = statistics.median(rates.pull / rates.fget for rates in rounds)
    print(f"  push / fput: {push:.2f}, pull / fget: {pull:.2f} (at least 0.7 is the aim)", flush=True)


def _make_files(folder: Path, count: int, size: int) -> Path:
    folder.mkdir()
    for number in range(count):
        with (folder / f"{number:03}.bin").open("wb") as file:
            for begin in range(0, size, _MIB):
                file.write(os.urandom(min(_MIB, size - begin)))
    return folder


def _take_turns(sides: dict[str, Callable[[], object]], number: int) -> dict[str, float]:
    """Return the seconds that both sides take, in an order that changes from round to round."""
    seconds = {}
    for name in sorted(sides, reverse=number % 2 == 0):
        os.sync()
        started = time.perf_counter()
        sides[name]()
        seconds[name] = time.perf_counter() - started
    return seconds


@contextmanager
def moto_server() -> Iterator[None]:
    """Start moto's server and point the environment of this process to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", url.rpartition(":")[2]]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ |= {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    os.environ.pop("AWS_ENDPOINT_URL_S3", None)
    try:
        _await(url)
        yield
    finally:
        process.kill()
        process.wait()


def _await(url: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"moto's server did not start at {url}.")


if __name__ == "__main__":
    main()
