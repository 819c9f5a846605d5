"""Whether rows hold anything that a model could learn from."""

from collections.abc import Sequence

from embedtune.errors import InputError
from embedtune.records.layouts import Layout
from embedtune.text import excerpt


class LearnableCheck:
    """Watches the rows go by and refuses those that nothing can be learned from.

    Labelled rows need two labels, one of them on two rows. Pairs need two queries, two documents, and a pair of
    different ones; text-image rows two texts and two images; scored rows two scores and a pair of different contents;
    matches a relevant document and another one that is not. Plain texts and BEIR need nothing. Only what is still
    missing is looked for, so the memory needed does not grow with the rows.
    """

    def __init__(self, layout: Layout) -> None:
        """Begin with no rows seen."""
        self._names = layout.columns
        self._first: list[object] = []
        self._labels: set[object] = set()
        self._missing = list(layout.needs)

    def watch(self, columns: Sequence[Sequence[object]]) -> None:
        """Look at a batch: the contents and values of the layout, in order; it is not empty."""
        if not self._missing:
            return
        if not self._first:
            self._first = [column[0] for column in columns]
        self._missing = [requirement for requirement in self._missing if not self._is_met(requirement, columns)]

    def finish(self, source: str) -> None:
        """Judge what was seen.

        Args:
            source: The name of what was read, for the message.

        Raises:
            InputError: the rows hold nothing to learn from.
        """
        if not self._missing or not self._first:
            return
        first, second, last = self._names[0], self._names[1], self._names[-1]
        problems = {
            "values differ": f"all rows have the same {last} {_shown(self._first[-1])}, so nothing is told apart. Give "
            f"two values of {last} or more.",
            "a label repeats": "every label occurs once, so no two contents belong together. Give labels that several "
            "contents share, or set the layout to 'pairs' if the second column is a document.",
            "queries differ": f"all rows have the same {first} {_shown(self._first[0])}. Give two or more.",
            "documents differ": f"all rows have the same {second} {_shown(self._first[1])}. Give two or more.",
            "sides differ": f"in every row the {first} is the {second} itself. Give some that differ.",
        }
        raise InputError(f"{source}, read as {','.join(self._names)}: {problems[self._missing[0]]}")

    def _is_met(self, requirement: str, columns: Sequence[Sequence[object]]) -> bool:
        if requirement == "a label repeats":
            return self._label_repeats(columns[-1])
        if requirement == "sides differ":
            return any(first != second for first, second in zip(columns[0], columns[1], strict=True))
        place = _PLACES[requirement]
        first = self._first[place]
        return any(value != first for value in columns[place])

    def _label_repeats(self, labels: Sequence[object]) -> bool:
        before = len(self._labels)
        self._labels.update(labels)
        repeats = len(self._labels) < before + len(labels)
        if repeats:
            self._labels.clear()
        return repeats


_PLACES = {"values differ": -1, "queries differ": 0, "documents differ": 1}


def _shown(value: object) -> str:
    return excerpt(value) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
