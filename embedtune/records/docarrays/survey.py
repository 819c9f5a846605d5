"""What most Documents of a source are, which decides what is read of it."""

from collections import Counter
from dataclasses import dataclass, field

from docarray.proto.docarray_pb2 import DocumentProto

from embedtune.errors import InputError
from embedtune.records.docarrays.shapes import MatchValues, match_label, rows_format
from embedtune.records.layouts import Layout
from embedtune.records.rows import RowsFormat
from embedtune.text import excerpt

DEFAULT_VALUES = MatchValues("1", "-1")
"""What the labels of matches mean where nobody says so."""

_MOST_LABELS = 20


@dataclass
class Survey:
    """What the Documents of a source are."""

    total: int = 0
    formats: Counter[RowsFormat] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    """Of matches, the first few different ones."""
    problem: str = ""
    """Why the first unusable Document is that."""

    def watch(self, document: DocumentProto | str) -> None:
        """Look at one Document."""
        self.total += 1
        try:
            if isinstance(document, str):
                raise InputError(document)
            found = rows_format(document)
            if found.layout is Layout.MATCHES:
                for match in document.matches:
                    self._watch_label(match_label(match))
        except InputError as error:
            self.problem = self.problem or str(error)
            return
        self.formats[found] += 1

    def _watch_label(self, label: str) -> None:
        if label in self.labels or len(self.labels) < _MOST_LABELS:
            self.labels[label] += 1


def chosen_format(survey: Survey, origin: str) -> RowsFormat:
    """Return what most Documents become.

    Raises:
        InputError: there are no Documents, or none that can be used.
    """
    if not survey.total:
        raise InputError(f"{origin} holds no Documents. Give an array with at least two.")
    if not survey.formats:
        raise InputError(
            f"{origin}: none of the {survey.total} Documents can be used; the first one because {survey.problem}."
        )
    return survey.formats.most_common(1)[0][0]


def match_values(survey: Survey, positive: str, negative: str, origin: str) -> MatchValues:
    """Return what the labels of the matches mean.

    Args:
        survey: What was seen.
        positive: Label that means relevant, '' if nobody said so.
        negative: Label that means not relevant, '' if nobody said so.
        origin: URI of the source, for messages.

    Raises:
        InputError: it cannot be told.
    """
    told = ", ".join(excerpt(label) for label, _ in survey.labels.most_common(5))
    if not positive and not negative:
        if not {DEFAULT_VALUES.positive, DEFAULT_VALUES.negative} & set(survey.labels):
            raise InputError(
                f"{origin}: the labels of the matches are {told}, expected 1 (relevant) and -1 (not relevant). Say "
                "with pos_value and neg_value which is which; where matches are search results and no judgments, "
                "clear them."
            )
        return DEFAULT_VALUES
    if positive and negative:
        return MatchValues(positive, negative)
    given = positive or negative
    others = [label for label in survey.labels if label != given]
    if len(others) > 1 or given not in survey.labels:
        name, other = ("pos_value", "neg_value") if positive else ("neg_value", "pos_value")
        raise InputError(
            f"{origin}: the labels of the matches are {told}; with {name}={given!r} alone there must be that one and "
            f"one other. Give {other}, too."
        )
    rest = others[0] if others else ""
    return MatchValues(positive or rest, negative or rest)
