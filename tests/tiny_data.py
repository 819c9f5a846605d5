"""Tiny data of every task, as people have them on a disk."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_CORNERS = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)])
_SIDES = ("0 1 2", "0 2 3", "4 5 6", "4 6 7", "0 1 5", "0 5 4", "2 3 7", "2 7 6", "1 2 6", "1 6 5", "0 3 7", "0 7 4")


def write_rows(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def coloured_squares(folder: Path) -> Path:
    """Squares of one of four colours, each with noise of its own, in a folder for each colour."""
    generator = np.random.default_rng(0)
    colours = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220), "grey": (120, 120, 120)}
    for name, colour in colours.items():
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.clip(colour + generator.integers(-30, 30, (24, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def scored_pairs(path: Path) -> Path:
    """Two texts of six letters, and the share of these that they have in common."""
    rows = [("first", "second", "score")]
    for number in range(150):
        start, shared = number % 20, number % 6
        first = _LETTERS[start : start + 6]
        rows.append((f"{first} {number}", f"{first[:shared]}{_LETTERS[::-1][: 6 - shared]} {number}", str(shared / 5)))
    return write_rows(path, rows)


def named_colours(folder: Path) -> Path:
    """Forty pictures of one colour each with what they are called, which is nothing that a page may run."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [("text", "image")]
    for number in range(40):
        Image.new("RGB", (32, 24), (number * 6, 255 - number * 6, number % 7 * 30)).save(folder / f"{number}.png")
        rows.append((f"colour {number} <script>alert(1)</script>", f"{number}.png"))
    return write_rows(folder / "colours.csv", rows)


def solids(folder: Path) -> Path:
    """Boxes of one of three shapes, each a little other than the rest, as OFF files in a folder for each shape."""
    generator = np.random.default_rng(0)
    faces = "".join(f"3 {side}\n" for side in _SIDES)
    for name, shape in {"cube": (1, 1, 1), "plate": (1, 1, 0.1), "rod": (0.1, 0.1, 1)}.items():
        (folder / name).mkdir(parents=True)
        for number in range(12):
            points = _CORNERS * shape * generator.uniform(0.8, 1.2, 3)
            lines = "".join(f"{x:.4f} {y:.4f} {z:.4f}\n" for x, y, z in points)
            (folder / name / f"{number}.off").write_text(f"OFF\n8 12 0\n{lines}{faces}", encoding="utf-8")
    return folder
