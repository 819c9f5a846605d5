"""What the pages for people tell them to type, and the files that they tell them to write."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "images/README.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# ([\w./-]+\.(?:yaml|py))\n")


@dataclass(frozen=True)
class Command:
    """One line that somebody types."""

    page: Path
    text: str
    """Lines that end with a backslash are one with the next."""

    def __str__(self) -> str:
        return f"{self.page.name}: {' '.join(self.text.split())[:70]}"


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the language and the text of each block of code."""
    for indent, language, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        yield language, textwrap.dedent(text) if indent else text


def commands(pattern: str) -> list[Command]:
    """Return the commands of all pages in which a pattern is found, outside of Python and YAML."""
    found = []
    for page in PAGES:
        for language, text in blocks(page):
            if language in ("", "bash", "sh"):
                lines = text.replace("\\\n", " ").splitlines()
                found += [Command(page, line.removeprefix("$ ")) for line in lines if re.search(pattern, line)]
    return found


def files(page: Path) -> dict[str, str]:
    """Return the files that a page writes out, by the name in their first line."""
    found = {}
    for _, text in blocks(page):
        if name := _FILE.match(text):
            assert name[1] not in found, f"{page.name} has two files {name[1]}"
            found[name[1]] = text
    return found
