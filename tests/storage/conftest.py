import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class FaultyServer:
    """A real HTTP server, for one file at every path, that misbehaves as it is told."""

    port: int = 0
    content: bytes = bytes(range(256)) * 1000
    etag: str | None = '"v1"'
    break_after: list[int] = field(default_factory=list)
    """Bytes after which each of the next answers to GET breaks off."""
    failures: list[int] = field(default_factory=list)
    """Status codes of the next answers, whatever is asked."""
    location: str = ""
    retry_after: str = ""
    ranges: list[str | None] = field(default_factory=list)
    """The Range headers of the GET requests so far."""
    peers: dict[str, set[tuple[str, int]]] = field(default_factory=lambda: defaultdict(set))
    """The connections that requests came on, by the first part of their paths."""
    honours_ranges: bool = True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def failure(self, wanted: str | None) -> int:
        """Return the status with which to refuse a request with this If-Match header, 0 for none."""
        if self.failures:
            return self.failures.pop(0)
        # Compared strongly: a weak etag never matches (RFC 9110, 13.1.1).
        return 412 if wanted is not None and (wanted != self.etag or wanted.startswith("W/")) else 0


def handler_for(state: FaultyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            state.ranges.append(self.headers.get("Range"))
            self.answer(body=True)

        def answer(self, body):
            state.peers[self.path.split("/")[1]].add(self.client_address)
            if failure := state.failure(self.headers.get("If-Match")):
                self.send_response(failure)
                self.send_header("Location", state.location)
                self.send_header("Retry-After", state.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            requested = self.headers.get("Range") if state.honours_ranges else None
            start = int(requested.removeprefix("bytes=").partition("-")[0]) if requested else 0
            content = state.content[start:]
            self.send_response(206 if requested else 200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT")
            if requested:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            if state.etag is not None:
                self.send_header("ETag", state.etag)
            self.end_headers()
            if body and state.break_after:
                self.wfile.write(content[: state.break_after.pop(0)])
                self.close_connection = True
            elif body:
                self.wfile.write(content)

    return Handler


@pytest.fixture
def faulty_server():
    state = FaultyServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(state))
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
