"""What a person should know about the documents before training on them."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from embedtune.errors import InputError

SUMMARY_FILE = "summary.json"
"""The data summary inside the evaluation folder, for the evaluation report."""


@dataclass(frozen=True)
class SplitSummary:
    """One split in numbers."""

    documents: int
    labels: int
    """Distinct labels (labelled) or connected components (pairs)."""
    words_median: int
    """Median length in white-space separated words."""
    words_p95: int
    """95th percentile of the length in words."""


@dataclass(frozen=True)
class DataSummary:
    """The outcome of building documents; also the page a person reads."""

    layout: str
    rows: int
    """Validated rows read."""
    quarantined: int
    """Rows set aside here: a text with several labels, a query that is its own document, a blank cell."""
    duplicates: int
    """Rows merged into an earlier one with the same text (labelled) or the same pair up to spelling (pairs)."""
    split_rule: str
    """The rule that was applied: 'stratified' or 'group'."""
    split_reason: str
    """Why this rule, in one sentence."""
    eval_share: float
    seed: int
    train: SplitSummary
    query: SplitSummary
    index: SplitSummary
    relevant_per_query: float
    """Mean number of relevant index documents per query."""
    largest_group_share: float
    """Share of all documents in the largest group of connected rows, 0..1."""
    label_histogram: tuple[tuple[str, int], ...]
    """The most frequent labels with their number of documents (labelled), at most 20; empty for pairs."""
    examples: tuple[tuple[str, str], ...]
    """The first few (text, label) or (query, document) rows."""
    warnings: tuple[str, ...]
    """What a person should look at, one sentence each."""

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "DataSummary":
        """Read what `save` wrote.

        Raises:
            InputError: there is no such file, it is damaged, or another version wrote it.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            for split in ("train", "query", "index"):
                data[split] = SplitSummary(**data[split])
            for name in ("label_histogram", "examples"):
                data[name] = tuple(tuple(entry) for entry in data[name])
            data["warnings"] = tuple(data["warnings"])
            return cls(**data)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path} cannot be read as a data summary of this version ({error!r}). Build the documents again."
            ) from error
