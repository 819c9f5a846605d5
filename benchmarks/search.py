"""Exact search beside faiss's flat index, on one thread, and the peak memory of a search in a million documents.

Each round runs both, one after the other, in one process; what counts is the fastest round of each. The memory is that
of a process of its own, whose index is a memory-mapped file: the pages that it has read count.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import ROOT
from benchmarks.memory import peak_mib
from embedtune.retrieval.distances import DISTANCES
from embedtune.retrieval.ranking import rank

_DIMENSION = 384
_QUERIES = 1_000
_K = 100
_BLOCK = 50_000
_AIM = f"aims: at most 2.5 x the time of faiss for 100,000 x {_DIMENSION}, and below 3 GiB for 1,000,000"

Vectors = NDArray[np.float32]


def main() -> None:
    """Print the seconds of both sides and the peak memory of ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--memory-documents", type=int, default=1_000_000, help="0 leaves the memory out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--distances", default="cosine", help=f"comma-separated, of {', '.join(DISTANCES)}")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        found = {"speed": _speed, "memory": _memory}[options.child[0]](json.loads(options.child[1]))
        print(json.dumps(found))
        return
    print(_AIM, flush=True)
    for distance in options.distances.split(","):
        shape = {"distance": distance, "documents": options.documents, "rounds": options.rounds}
        _print_speed(shape, _run("speed", shape))
    if options.memory_documents:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "index.npy"
            _write(path, options.memory_documents)
            found = _run("memory", {"path": str(path)})
        print(f"{options.memory_documents:,} documents: {found['seconds']:.1f} s, {found['peak_mib']:.0f} MiB at most")


def _print_speed(shape: dict[str, object], found: dict[str, list[float]]) -> None:
    print(f"{shape['documents']:,} documents, {_QUERIES:,} queries, k {_K}, {shape['distance']}, one thread")
    if not found["faiss"]:
        print(f"  ours {min(found['ours']):.2f} s; faiss is not installed, so there is nothing to compare with: "
              "pip install -e '.[dev]'", flush=True)  # fmt: skip
        return
    for ours, faiss in zip(found["ours"], found["faiss"], strict=True):
        print(f"  ours {ours:.2f} s, faiss {faiss:.2f} s, {ours / faiss:.2f} x")
    ours, faiss = min(found["ours"]), min(found["faiss"])
    print(f"  fastest: ours {ours:.2f} s, faiss {faiss:.2f} s, {ours / faiss:.2f} x", flush=True)


def _run(side: str, shape: dict[str, object]) -> dict[str, list[float]]:
    """Run a measurement in a process whose libraries read, as they load, that they have one thread."""
    command = [sys.executable, "-m", "benchmarks.search", "--child", side, json.dumps(shape)]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **one})
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _speed(shape: dict[str, object]) -> dict[str, list[float]]:
    generator = np.random.default_rng(0)
    index, queries = (_unit_vectors(generator, rows) for rows in (shape["documents"], _QUERIES))
    ids, query_ids = [f"{row:032x}" for row in range(len(index))], [f"q{row}" for row in range(_QUERIES)]
    search = _faiss_search(index, shape["distance"])
    seconds: dict[str, list[float]] = {"ours": [], "faiss": []}
    for _ in range(shape["rounds"]):
        seconds["ours"].append(_time(lambda: rank(queries, query_ids, index, ids, _K, shape["distance"])))
        if search is not None:
            seconds["faiss"].append(_time(lambda: search(queries)))
    return seconds


def _faiss_search(index: Vectors, distance: str) -> Callable[[Vectors], object] | None:
    try:
        import faiss
    except ModuleNotFoundError:
        return None
    faiss.omp_set_num_threads(1)
    flat = (faiss.IndexFlatL2 if distance == "euclidean" else faiss.IndexFlatIP)(_DIMENSION)
    flat.add(index)
    return lambda queries: flat.search(queries, _K)


def _memory(shape: dict[str, object]) -> dict[str, float]:
    index = np.load(shape["path"], mmap_mode="r")
    queries = _unit_vectors(np.random.default_rng(1), _QUERIES)
    ids, query_ids = [f"{row:032x}" for row in range(len(index))], [f"q{row}" for row in range(_QUERIES)]
    seconds = _time(lambda: rank(queries, query_ids, index, ids, _K))
    return {"seconds": seconds, "peak_mib": peak_mib()}


def _time(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _write(path: Path, rows: int) -> None:
    generator = np.random.default_rng(0)
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, _DIMENSION))
    for start in range(0, rows, _BLOCK):
        file[start : start + _BLOCK] = _unit_vectors(generator, min(_BLOCK, rows - start))
    file.flush()


def _unit_vectors(generator: np.random.Generator, rows: int) -> Vectors:
    vectors = generator.standard_normal((rows, _DIMENSION), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
