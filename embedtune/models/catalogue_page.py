"""The known models as tables of docs/models.md: `python -m embedtune.models.catalogue_page docs/models.md`."""

import sys
from pathlib import Path

from embedtune.models.catalogue import TASKS, KnownModel, models_of

START, END = "<!-- models: made by embedtune.models.catalogue_page -->\n", "<!-- end of models -->\n"

_COLUMNS = ("name", "model", "dimension", "tokens", "pooling", "million parameters", "licence", "what it is for")


def with_tables(page: str) -> str:
    """Return a page with the text between its two marks made anew."""
    before, _, rest = page.partition(START)
    return f"{before}{START}{''.join(map(_section, TASKS))}\n{END}{rest.partition(END)[2]}"


def _section(task: str) -> str:
    head = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n"
    return f"\n### {task}\n\n{head}{''.join(map(_row, models_of(task)))}"


def _row(known: KnownModel) -> str:
    cells = (
        f"`{known.name}`",
        f"`{known.model}`" if known.model else "",
        _number(known.dimension),
        _number(known.max_length),
        known.pooling,
        _number(known.millions),
        known.licence,
        _what_for(known),
    )
    return f"| {' | '.join(cells)} |\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _what_for(known: KnownModel) -> str:
    instead = " or ".join(f"`{name}`" for name in known.instead)
    return f"{known.purpose}. **Not loaded**: it {known.refusal}. Use {instead}" if known.refusal else known.purpose


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
