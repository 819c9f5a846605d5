"""The public files of the samples, real or tiny, and a web server for them that misbehaves as it is told."""

import contextlib
import gzip
import hashlib
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
COVID_QA = """question,answer,wrong_answer
How does it spread?,By droplets.,"No, it does not."
"Is there a vaccine, yet?",Yes.,By droplets.
How long is quarantine?,"Ten
days.",Yes.
Who is at risk?,Older people.,Wash your hands.
What helps?,Wash your hands.,Older people.
"""


def idx_bytes(values: np.ndarray) -> bytes:
    return gzip.compress(struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes())


def tiny_images(per_class: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.tile(np.arange(10, dtype=np.uint8), per_class)
    images = np.zeros((len(labels), 28, 28), np.uint8)
    images[:, 3, 5] = labels + 1
    images[:, 20, 10] = np.arange(len(labels))
    return images, labels


def tiny_files() -> dict[str, bytes]:
    """40 training and 20 test images, and 5 questions, in the formats of the public files."""
    files = {"dataset.csv": COVID_QA.encode()}
    for part, per_class in (("train", 4), ("t10k", 2)):
        images, labels = tiny_images(per_class)
        files[f"{part}-images-idx3-ubyte.gz"] = idx_bytes(images)
        files[f"{part}-labels-idx1-ubyte.gz"] = idx_bytes(labels)
    return files


def files_at_hand() -> dict[str, bytes]:
    """Cuts of the public files where ../shared/data is beside the repository, tiny files elsewhere."""
    paths = [*(DATA / "fashion-mnist").glob("*.gz"), DATA / "covid-qa" / "dataset.csv"]
    return {path.name: path.read_bytes() for path in paths} if len(paths) == 5 else tiny_files()


def write_checksums(path: Path, files: dict[str, bytes]) -> Path:
    path.write_text("".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()))
    return path


@dataclass
class PublicServer:
    """A real HTTP server."""

    files: dict[str, bytes]
    url: str = ""
    statuses: list[int] = field(default_factory=list)
    """With which the next requests are refused."""
    break_after: list[int] = field(default_factory=list)
    """Bytes after which each of the next answers breaks off."""
    honours_ranges: bool = True
    names_length: bool = True
    pause_s: float = 0.0
    """Between the pieces, of 64 KiB, of a body."""
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of every request."""


class Handler(BaseHTTPRequestHandler):
    state: PublicServer

    def log_message(self, *_):
        pass

    def do_GET(self):
        state = self.state
        state.requests.append((self.path, self.headers.get("Range")))
        content = state.files.get(self.path.rpartition("/")[2])
        if state.statuses or content is None:
            self.begin(state.statuses.pop(0) if state.statuses else 404, {"Location": "/elsewhere"})
            return
        requested = self.headers.get("Range") if state.honours_ranges else None
        start = int(requested.removeprefix("bytes=").rstrip("-")) if requested else 0
        if start >= len(content) > 0:
            self.begin(416, {})
            return
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if requested else {}
        length = {"Content-Length": str(len(content) - start)} if state.names_length else {}
        self.begin(206 if requested else 200, headers | length | state.headers)
        self.send(content[start:][: state.break_after.pop(0) if state.break_after else None])

    def begin(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, body):
        if not self.state.pause_s:
            self.wfile.write(body)
            return
        with contextlib.suppress(OSError):  # the client has gone
            for place in range(0, len(body), 1 << 16):
                self.wfile.write(body[place : place + (1 << 16)])
                time.sleep(self.state.pause_s)


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[PublicServer]:
    state = PublicServer(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("_Handler", (Handler,), {"state": state}))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}/files/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
