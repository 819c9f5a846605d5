"""Which files of a BEIR folder hold what."""

from dataclasses import dataclass
from pathlib import Path

from embedtune.errors import InputError

_SPLITS = {"train": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "test": "test"}
"""Of the name of a file of judgments, the split; in the order in which they are read."""


@dataclass(frozen=True)
class BEIRFiles:
    """The files of a BEIR folder."""

    root: Path
    """The folder itself."""
    corpus: Path
    queries: Path
    judgments: tuple[tuple[Path, str], ...]
    """Each file with its split, in the order in which they are read."""

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        paths = (self.corpus, self.queries, *(path for path, _ in self.judgments))
        return sum(path.stat().st_size for path in paths)

    def name(self, path: Path) -> str:
        """Return the name of a file inside the folder."""
        return path.relative_to(self.root).as_posix()


def find_files(root: Path, origin: str) -> BEIRFiles:
    """Find the files of a BEIR folder.

    Args:
        root: The folder, or one that holds nothing but it.
        origin: Its URI, for messages.

    Raises:
        InputError: a file is missing, there twice, or its split cannot be told.
    """
    inner = sorted({path.parent for path in root.glob("*/corpus.jsonl*")})
    if not list(root.glob("corpus.jsonl*")) and len(inner) == 1:
        root = inner[0]
    corpus, queries = (_only(root, name, origin) for name in ("corpus.jsonl", "queries.jsonl"))
    found = sorted([*root.glob("qrels/*.tsv"), *root.glob("qrels.tsv")])
    if not found:
        raise InputError(
            f"{origin} has a corpus and queries, but no judgments (qrels/train.tsv, qrels/dev.tsv, qrels/test.tsv). "
            "Add them; or have them synthesised: give the texts of queries and corpus as CSVs with one text per row "
            "(layout 'plain') to the synthesis."
        )
    if len(found) == 1 and found[0].stem not in _SPLITS:
        return BEIRFiles(root, corpus, queries, ((found[0], ""),))
    unknown = [path.name for path in found if path.stem not in _SPLITS]
    if unknown:
        raise InputError(
            f"{origin}: the judgments in {', '.join(unknown)} are of no known split. Name the files train.tsv, dev.tsv "
            "and test.tsv, or give a single one."
        )
    found.sort(key=lambda path: list(_SPLITS).index(path.stem))
    return BEIRFiles(root, corpus, queries, tuple((path, _SPLITS[path.stem]) for path in found))


def _only(root: Path, name: str, origin: str) -> Path:
    found = [path for path in (root / name, root / f"{name}.gz") if path.is_file()]
    if len(found) != 1:
        problem = f"has both {name} and {name}.gz" if found else f"has no {name} or {name}.gz"
        raise InputError(f"{origin} {problem}. Give a BEIR folder: corpus.jsonl, queries.jsonl and qrels/*.tsv.")
    return found[0]
