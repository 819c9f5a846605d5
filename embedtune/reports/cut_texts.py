"""What a model's length and vocabulary do to texts, in sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from embedtune.documents.summary import ALIKE_SHARE, CUT_SHARE
from embedtune.models.card import CutTexts
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.sides import BASE, TUNED, Side


@dataclass(frozen=True)
class TextRow:
    """One line of the table of what a model reads of the texts."""

    name: str
    counts: CutTexts
    known: int | None
    """How many are read as a training text is; None for the training texts themselves and for other models."""

    @property
    def cut(self) -> float:
        """Share that is cut, 0..1."""
        return self.counts.cut / max(self.counts.texts, 1)

    @property
    def alike(self) -> float:
        """Share that is read as another text, 0..1."""
        return self.counts.alike / max(self.counts.texts, 1)


def text_rows(train: CutTexts | None, sides: Sequence[Side] = ()) -> tuple[TextRow, ...]:
    """Return the lines of the table, none where nothing was counted; those of the tuned model first."""
    rows: list[tuple[str, CutTexts | None, int | None]] = [("Training", train, None)]
    for side in sorted(sides, key=lambda side: side.name != TUNED):
        judged, other = side.name == TUNED, f", {side.name} model"
        rows.append((f"Queries{'' if judged else other}", side.query_texts, side.seen_queries if judged else None))
        rows.append((f"Index{'' if judged else other}", side.index_texts, side.seen_index if judged else None))
    return tuple(TextRow(name, counts, known) for name, counts, known in rows if counts is not None)


def cut_warnings(*parts: tuple[CutTexts, str]) -> Iterator[str]:
    """Yield what a person should look at, with the cure.

    Args:
        parts: Of each part of the texts what was counted, and its name, such as 'queries'.
    """
    cut = [(counts.cut, counts, name) for counts, name in parts if counts.cut > CUT_SHARE * counts.texts]
    if cut:
        yield (
            f"{_listed(cut)} are longer than the {cut[0][1].max_length} tokens that the model reads; what follows "
            "is not seen. Raise model_max_length if the backbone can read more, choose one that can, or shorten the "
            "texts."
        )
    alike = [(counts.alike, counts, name) for counts, name in parts if counts.alike > ALIKE_SHARE * counts.texts]
    if not alike:
        return
    same = f"{_listed(alike)} are the same to the model as another text, which differs only"
    if 2 * sum(counts.unknown for _, counts, _ in alike) > sum(number for number, _, _ in alike):
        yield (
            f"{same} in signs that it does not know: between these it can learn and rank nothing. Choose a backbone "
            "that knows them, such as one of that language."
        )
    else:
        yield (
            f"{same} behind the cut or in signs that it does not tell apart: between these it can learn and rank "
            "nothing. Raise model_max_length, or remove what the texts have in common, such as a greeting."
        )


def _listed(parts: list[tuple[int, CutTexts, str]]) -> str:
    told = [f"{number:,} of {counts.texts:,} {name} ({number / counts.texts:.1%})" for number, counts, name in parts]
    return " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))


def text_warnings(train: CutTexts | None, tuned: Side) -> tuple[str, ...]:
    """Return all warnings of an evaluation about what the tuned model reads of the texts.

    Args:
        train: Of the training texts, None where that is not known.
        tuned: The tuned model.
    """
    parts = ((train, "training texts"), (tuned.query_texts, "queries"), (tuned.index_texts, "index documents"))
    found = cut_warnings(*((counts, name) for counts, name in parts if counts is not None))
    return (*found, *filter(None, (_seen_warning(tuned.seen_queries, tuned.seen_index),)))


def length_warning(comparison: Comparison) -> str:
    """Say that the models read texts to different lengths where that cuts more of them for the tuned one, else ''."""
    before, after = comparison.side(BASE), comparison.side(TUNED)
    both = ((after.query_texts, before.query_texts, "queries"), (after.index_texts, before.index_texts, "documents"))
    told = [
        f"{tuned.cut:,} of {tuned.texts:,} {name} instead of {base.cut:,}"
        for tuned, base, name in both
        if tuned is not None and base is not None and tuned.cut - base.cut > CUT_SHARE * tuned.texts
    ]
    if not told or before.query_texts is None or after.query_texts is None:
        return ""
    return (
        f"The base model is judged as it was published, reading {before.query_texts.max_length} tokens; the tuned "
        f"model reads {after.query_texts.max_length} and cuts {' and '.join(told)}. Raise model_max_length, or set it "
        "to 0 to keep the backbone's own."
    )


def _seen_warning(queries: int, index: int) -> str:
    """Return the warning that held-out texts are nothing new to the model, '' where all are new."""
    if not queries + index:
        return ""
    return (
        f"{queries:,} held-out queries and {index:,} index documents are read as the same tokens as a training text, "
        "so the scores do not speak of new texts alone. Raise model_max_length, or remove what the texts have in "
        "common."
    )
