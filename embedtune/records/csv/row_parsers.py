"""Turn the cells of one record of a CSV into validated rows, and tell whether rows teach anything."""

from collections.abc import Callable, Sequence

from embedtune.errors import InputError
from embedtune.records.csv.addresses import is_address
from embedtune.records.csv.columns import Columns
from embedtune.records.csv.layout_by_content import parse_score
from embedtune.records.layouts import Layout, Modality
from embedtune.text import excerpt, stripped

Row = tuple[object, ...]
"""The line, and the values of one validated row."""

_PLACES = {"values differ": -1, "queries differ": 0, "documents differ": 1}
_ARTICLES = {Modality.IMAGE: "an image", Modality.MESH: "a mesh"}


class RowParser:
    """Parses the records of a file.

    Values are stripped of white space around them; one without a sign that can be seen, or with a NUL character, makes
    the record unusable, and so does what is no address in a column of images or meshes, a score that is not from 0 to
    1, and another number of cells than columns. Of several wrong answers or plain texts, empty ones are left out.
    """

    def __init__(self, columns: Columns) -> None:
        """Prepare for the columns of the file."""
        self._used = columns.used
        self._width = len(columns.names)
        self._modalities = columns.modalities
        self._media = any(modality is not Modality.TEXT for modality in columns.modalities)
        self._what = columns.layout.columns
        makers = {Layout.SCORED: self._scored, Layout.MATCHES: self._matches, Layout.PLAIN: self._plain}
        self._rows: Callable[[int, list[str]], list[Row] | str] = makers.get(columns.layout, self._two)
        self._are_two_texts = self._rows == self._two and not self._media

    def parse(self, line: int, cells: list[str]) -> list[Row] | str:
        """Return the rows of a record, or why it cannot be used."""
        if self._are_two_texts and len(cells) == self._width:
            # Nearly every row is such a one, which the way below takes twice the time for.
            first, second = stripped(cells[self._used[0]]), stripped(cells[self._used[1]])
            if first and second and "\0" not in first and "\0" not in second:
                return [(line, first, second)]
        if len(cells) != self._width:
            hint = "; a value that contains the delimiter must stand in quotes" if len(cells) > self._width else ""
            return f"{len(cells)} columns instead of {self._width}{hint}"
        values = [stripped(cells[i]) for i in self._used]
        return "a value contains a NUL character" if "\0" in "".join(values) else self._rows(line, values)

    def _two(self, line: int, values: list[str]) -> list[Row] | str:
        """labelled, pairs, text-image: one row of two values."""
        return self._problem(values) or [(line, *values)]

    def _scored(self, line: int, values: list[str]) -> list[Row] | str:
        """scored: one row of two contents and a number."""
        score = self._problem(values) or parse_score(values[2])
        return score if isinstance(score, str) else [(line, *values[:2], score)]

    def _matches(self, line: int, values: list[str]) -> list[Row] | str:
        """matches: one row for the answer, and one for each wrong answer."""
        query, answer, *others = values
        wrong = [value for value in dict.fromkeys(others) if value]
        if not query or not answer or not wrong:
            empty = "query" if not query else "wrong answer" if answer else "answer"
            return f"the {empty} is empty"
        if answer in wrong:
            return "a wrong answer is the answer itself"
        documents = [answer, *wrong]
        problems = (self._not_media([query, document]) for document in documents)
        return next(filter(None, problems), "") or [
            (line, query, document, float(document is answer)) for document in documents
        ]

    def _plain(self, line: int, values: list[str]) -> list[Row] | str:
        """plain: one row for each value that is not empty."""
        return [(line, value) for value in values if value] or "the text is empty"

    def _problem(self, values: list[str]) -> str:
        if "" in values:
            return f"the {self._what[values.index('')]} is empty"
        return self._not_media(values) if self._media else ""

    def _not_media(self, values: list[str]) -> str:
        """Say which of the contents is no address though it should be one, '' if none."""
        for what, modality, value in zip(self._what, self._modalities, values, strict=False):
            if modality is not Modality.TEXT and not is_address(value):
                return f"the {what} {excerpt(value)} is no address of {_ARTICLES[modality]}"
        return ""


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
        """Judge what was seen; `source` is the name of what was read.

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
        if requirement == "sides differ":
            return any(first != second for first, second in zip(columns[0], columns[1], strict=True))
        if requirement != "a label repeats":
            place = _PLACES[requirement]
            return any(value != self._first[place] for value in columns[place])
        most = len(self._labels) + len(columns[-1])
        self._labels.update(columns[-1])
        if repeats := len(self._labels) < most:
            self._labels.clear()
        return repeats


def _shown(value: object) -> str:
    return excerpt(value) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
