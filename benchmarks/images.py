"""Loading 10,000 JPEGs of 224 x 224 from a folder into a rows file, against a bare thread-pooled loop.

Each round runs both, one after the other; the bare loop reads every file and decodes it with Pillow, keeping nothing.
Ours besides checks what may be opened, takes digests, and writes the rows file. Each side is a process of its own that
measures its work without imports, while the files are in the disk cache. CPU time is told beside the rate, since on a
machine that does other things at the same time only that can be compared. The peak memory of ours at a quarter of the
images and at all of them shows that it does not grow with their number.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.memory import peak_mib
from embedtune.records.csv.options import CSVOptions
from embedtune.records.layouts import Layout, Modality
from embedtune.records.loading import load_contents
from embedtune.records.output import open_output
from embedtune.records.rows import RowsFormat

_SIZE = 224
_FIELD = 2048


def main() -> None:
    """Print both sides, round by round, the ratio, and the peak memory of ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=("bare", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side is not None:
        seconds, cpu_seconds = {"bare": _bare, "ours": _ours}[options.side](options.folder, options.images)
        cpu_us = 1e6 * cpu_seconds / options.images
        print(json.dumps({"rate": options.images / seconds, "cpu_us": cpu_us, "peak_mib": peak_mib()}))
        return
    with tempfile.TemporaryDirectory() as name:
        _compare(Path(name), options.images, options.rounds)


def _compare(folder: Path, count: int, rounds: int) -> None:
    total = make_images(folder, count)
    print(f"{count} JPEGs of {total / count / 1000:.1f} kB on average, {os.cpu_count()} CPUs", flush=True)
    few = _run("ours", folder, count // 4)
    ratios, cpu_ratios, peaks = [], [], []
    for number in range(1, rounds + 1):
        bare, ours = _run("bare", folder, count), _run("ours", folder, count)
        ratios.append(ours["rate"] / bare["rate"])
        cpu_ratios.append(bare["cpu_us"] / ours["cpu_us"])
        peaks.append(ours["peak_mib"])
        print(f"round {number}: bare {_show(bare)}; embedtune {_show(ours)}; ratio {ratios[-1]:.2f}", flush=True)
    print(
        f"rate, embedtune / bare: {statistics.median(ratios):.2f} (at least 0.8 is the aim); "
        f"images per CPU second: {statistics.median(cpu_ratios):.2f}"
    )
    print(
        f"peak memory of embedtune: {few['peak_mib']:.0f} MiB at {count // 4} images, "
        f"{statistics.median(peaks):.0f} MiB at {count} (the same is the aim)"
    )


def _show(side: dict[str, float]) -> str:
    return f"{side['rate']:.0f} images/s, {side['cpu_us']:.0f} us of CPU each"


def _run(side: str, folder: Path, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.images", "--side", side]
    command += ["--folder", str(folder), "--images", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def make_images(folder: Path, count: int) -> int:
    """Write crops of blurred noise, which compress about like photos of this size; return their bytes in all."""
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(0, 256, (_FIELD // 8, _FIELD // 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((_FIELD, _FIELD), Image.Resampling.BICUBIC), dtype=np.float32)
    grain = generator.normal(0, 6, (_FIELD, _FIELD, 1)).astype(np.float32)
    field = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    total = 0
    for number in range(count):
        top, left = generator.integers(0, _FIELD - _SIZE, 2)
        crop = np.ascontiguousarray(field[top : top + _SIZE, left : left + _SIZE])
        path = _image(folder, number)
        Image.fromarray(crop).save(path, quality=80)
        total += path.stat().st_size
    return total


def _image(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.jpg"


def _bare(folder: Path, count: int) -> tuple[float, float]:
    def verify(path: Path) -> int:
        data = path.read_bytes()
        Image.open(io.BytesIO(data)).load()
        return len(data)

    paths = [_image(folder, number) for number in range(count)]
    verify(paths[0])
    started, cpu_started = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor() as pool:
        sum(pool.map(verify, paths))
    return time.perf_counter() - started, time.process_time() - cpu_started


def _ours(folder: Path, count: int) -> tuple[float, float]:
    with open_output(folder / "rows.parquet", folder / "quarantine.csv") as output:
        output.begin(RowsFormat(Layout.LABELLED, (Modality.IMAGE,), loaded=False))
        for number in range(count):
            output.add((number + 1, _image(folder, number).name, str(number % 100)), 0)
        output.flush()
        started, cpu_started = time.perf_counter(), time.process_time()
        load_contents(output, str(folder / "rows.csv"), CSVOptions())
    if output.rows != count:
        sys.exit(f"{count - output.rows} images were set aside: {output.first}")
    return time.perf_counter() - started, time.process_time() - cpu_started


if __name__ == "__main__":
    main()
