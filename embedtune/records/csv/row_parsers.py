"""Turn the cells of one record of a CSV into validated rows."""

from collections.abc import Callable

from embedtune.records.csv.addresses import is_address
from embedtune.records.csv.columns import Columns
from embedtune.records.csv.scores import parse_score
from embedtune.records.layouts import CONTENT_COLUMNS, VALUE_COLUMNS, Layout, Modality
from embedtune.text import excerpt, stripped

Row = tuple[object, ...]
"""The line, and the values of one validated row."""

RowParser = Callable[[int, list[str]], list[Row] | str]
"""Takes the line and the cells of a record; returns its rows, or why it cannot be used."""


def row_parser(columns: Columns) -> RowParser:
    """Return what parses the records of a file.

    Values are stripped of white space around them; one without a sign that can be seen, or with a NUL character, makes
    the record unusable, and so does what is no address in a column of images or meshes, a score that is not from 0 to
    1, and another number of cells than columns. Of several wrong answers or plain texts, empty ones are left out.
    """
    if columns.layout is Layout.SCORED:
        return _ScoredParser(columns).parse
    if columns.layout is Layout.MATCHES:
        return _MatchesParser(columns).parse
    if columns.layout is Layout.PLAIN:
        return _PlainParser(columns).parse
    return _TwoColumnsParser(columns).parse


class _Parser:
    """What all layouts share."""

    def __init__(self, columns: Columns) -> None:
        self._used = columns.used
        self._width = len(columns.names)
        self._modalities = columns.modalities
        self._media = any(modality is not Modality.TEXT for modality in columns.modalities)
        self._what = CONTENT_COLUMNS[columns.layout] + VALUE_COLUMNS[columns.layout]

    def _values(self, cells: list[str]) -> list[str] | str:
        """Return the stripped values of the used columns, some perhaps empty, or what is wrong with them."""
        if len(cells) != self._width:
            return self._wrong_width(cells)
        values = [stripped(cells[i]) for i in self._used]
        return "a value contains a NUL character" if "\0" in "".join(values) else values

    def _wrong_width(self, cells: list[str]) -> str:
        hint = "; a value that contains the delimiter must stand in quotes" if len(cells) > self._width else ""
        return f"{len(cells)} columns instead of {self._width}{hint}"

    def _not_media(self, values: list[str]) -> str:
        """Say which of the contents is no address though it should be one, '' if none."""
        for what, modality, value in zip(self._what, self._modalities, values, strict=False):
            if modality is not Modality.TEXT and not is_address(value):
                return f"the {what} {excerpt(value)} is no address of {_ARTICLES[modality]}"
        return ""

    def _empty(self, values: list[str]) -> str:
        """Say which of the values is empty, '' if none."""
        if all(values):
            return ""
        return f"the {self._what[values.index('')]} is empty"


_ARTICLES = {Modality.IMAGE: "an image", Modality.MESH: "a mesh"}


class _TwoColumnsParser(_Parser):
    """labelled, pairs, text-image: one row of two values."""

    def __init__(self, columns: Columns) -> None:
        super().__init__(columns)
        self._first, self._second = columns.used

    def parse(self, line: int, cells: list[str]) -> list[Row] | str:
        if len(cells) == self._width:
            first, second = stripped(cells[self._first]), stripped(cells[self._second])
            if first and second and "\0" not in first and "\0" not in second:
                problem = self._not_media([first, second]) if self._media else ""
                return problem or [(line, first, second)]
        values = self._values(cells)
        return values if isinstance(values, str) else self._empty(values)


class _ScoredParser(_Parser):
    """scored: one row of two contents and a number."""

    def parse(self, line: int, cells: list[str]) -> list[Row] | str:
        values = self._values(cells)
        if isinstance(values, str):
            return values
        score = parse_score(values[2])
        problem = self._empty(values) or (self._not_media(values) if self._media else "")
        if problem or isinstance(score, str):
            return problem or str(score)
        return [(line, values[0], values[1], score)]


class _MatchesParser(_Parser):
    """matches: one row for the answer, and one for each wrong answer."""

    def parse(self, line: int, cells: list[str]) -> list[Row] | str:
        values = self._values(cells)
        if isinstance(values, str):
            return values
        query, answer, *others = values
        wrong = [value for value in dict.fromkeys(others) if value]
        if not query or not answer or not wrong:
            empty = "query" if not query else "wrong answer" if answer else "answer"
            return f"the {empty} is empty"
        if answer in wrong:
            return "a wrong answer is the answer itself"
        documents = [answer, *wrong]
        for document in documents if self._media else ():
            if problem := self._not_media([query, document]):
                return problem
        return [(line, query, document, float(document is answer)) for document in documents]


class _PlainParser(_Parser):
    """plain: one row for each value that is not empty."""

    def parse(self, line: int, cells: list[str]) -> list[Row] | str:
        values = self._values(cells)
        if isinstance(values, str):
            return values
        return [(line, value) for value in values if value] or "the text is empty"
