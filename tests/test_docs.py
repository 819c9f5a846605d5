"""What the pages for people name is there."""

import importlib.util
import re
from pathlib import Path

import pytest

from benchmarks.quality_page import read_results, with_tables

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = (
    "embedtune",
    "tests",
    "docs",
    "components",
    "pipelines",
    "benchmarks",
    "examples",
    "images",
    "manifests",
)
_PATH = re.compile(rf"(?<![\w./:-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w")
_LINK = re.compile(r"\]\(([^)#\s]+)")
_MODULE = re.compile(r"python -m ([\w.]+)")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every_page
def test_paths_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in _LINK.findall(text) if "://" not in link]
    missing = [path for path in _PATH.findall(text) if not (ROOT / path).exists()]
    missing += [link for link in links if not (page.parent / link).exists()]
    assert missing == []


@every_page
def test_modules_exist(page: Path) -> None:
    named = _MODULE.findall(page.read_text(encoding="utf-8"))
    assert [module for module in named if importlib.util.find_spec(module) is None] == []


def test_contributing_names_what_the_code_defines() -> None:
    """Words in capitals and private ones, in backticks after a module of ours, are in that module's text."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path in set(re.findall(r"`([\w/]+/\w+\.py)`", text))}
    names = set(re.findall(r"`(_?[A-Z][A-Z_]+)`", text))
    assert [name for name in sorted(names) if not any(name in source for source in sources.values())] == []


def test_quality_page_shows_the_results() -> None:
    page = (ROOT / "docs/quality.md").read_text(encoding="utf-8")
    shown = with_tables(page, read_results(ROOT / "benchmarks/quality.jsonl"))
    assert shown == page, "python -m benchmarks.quality --data '' writes it anew"
