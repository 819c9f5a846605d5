"""An MLflow server on this machine, over HTTP, with a database of SQLite and files behind it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
"""As in the image. The jobs, of which nothing here makes one, are eight processes more, each with all of MLflow."""


@contextmanager
def mlflow_serving(folder: Path) -> Iterator[str]:
    """Start a server that keeps everything in a folder and hands on all files itself, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/files"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")} | QUIET
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, env=kept, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(3000):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log.txt").read_text()
                time.sleep(0.1)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
