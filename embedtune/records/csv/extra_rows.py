"""Tell rows of a CSV that are no data: the header again, a second row of names, a footer."""

import re
from collections import deque
from collections.abc import Iterator

from embedtune.records.csv.columns import Columns
from embedtune.records.csv.header import NameRows, is_rule, weigh_names
from embedtune.records.csv.named_tables import Records
from embedtune.text import excerpt

FOOTER = "a footer"
"""What a row at the end of a file is that is no data."""

_RULE = "a line below the header"
_PAGE = "a line between two pages"

_HELD = 5
_COMPARED = 200
_COMPARED_LENGTH = 120
_LEAST_COMPARED = 12
_LEAST_BEFORE = 5
_LIKE_NO_ROW = 1.0
_UNLIKE = 1.5
_LONGEST = 100
_FIRST_NUMBER = re.compile(r"\d[\d.,' ]*")
_ROWS = re.compile(
    r"\W*(total\w*\W+)?\d[\d.,' ]*\s*(rows?|records?|lines?|entries|results?|items?|zeilen|einträge|datensätze|lignes|"
    r"enregistrements|filas|registros|linhas|righe|rijen|wierszy|строк\w*|записей|satır|kayıt|行|条记录|件|행)\b.*",
    re.IGNORECASE,
)
_TOTAL = re.compile(
    r"\W*((grand|sub)[ -]?total|total|totals|sum|count|average|mean|summe|gesamt\w*|anzahl|somme|suma|soma|somma|"
    r"totale|totaal|razem|ogółem|итого|всего|сумма|toplam|合计|总计|合計|総計|합계|총계|المجموع|الإجمالي)\b(\W+\w+)?\W*[\d.,]*\W*",
    re.IGNORECASE,
)
_MADE = re.compile(
    r"\W*((generated|exported|created|printed|produced|downloaded|retrieved|extracted|report|erstellt|exportiert|erzeugt|"
    r"généré|exporté|creado|generado|exportado|gerado|generato|esportato|gegenereerd|wygenerowano|utworzono|"
    r"создано|выгружено|сформировано|oluşturuldu)\b.*\b(by|on|at|from|with|using|am|von|mit|aus|le|par|por|el|em|da|il|"
    r"op|door|przez|dnia|\d{4}|\d\d?[.:/]\d\d?)\b|(page|seite|página|pagina|strona|страница|sayfa)\W*\d+|"
    r"(source|quelle|fuente|fonte|bron|źródło|источник|kaynak|来源|出典)\s*:|(©|\(c\)|copyright)\s*\w|"
    r"all rights reserved|"
    r"confidential|vertraulich|end of (the )?(file|report|export|data|list|table)|ende de[rs] (datei|liste|tabelle)|"
    r"生成|导出|作成|출력).*",
    re.IGNORECASE | re.DOTALL,
)

# Two letters tell of nearly every row that it is no footer, for a tenth of the price of the expressions.
_WORD = re.compile(r"[^\W\d_]{2,}")
_STARTS = 2
_BEGINNINGS = frozenset(
    word[:_STARTS].casefold() for form in (_ROWS, _TOTAL, _MADE) for word in _WORD.findall(form.pattern)
)
_FORMS = {"rows": _ROWS, "total": _TOTAL, "made": _MADE}

Record = tuple[int, list[str], str, str, str]
"""The 1-based line of a record, its values, what is malformed about it, its text ('' where the reader gave it last),
and what it is if it is no data ('')."""


class ExtraRows:
    """Tells the rows of a file that are no data, with little held back.

    The header again, whatever its case, and a second row of names are told wherever they stand. Counts of rows,
    totals, notes on who made the file and lines of dashes are footers at the end of the file, or before the header
    comes again; elsewhere they are data. One that fills all columns is a footer only if none of its values comes in its
    column among the rows before, and if it is unlike those (`header.weigh_names`) or a word for a total before
    numbers. In a single column, whose texts may read like footers, only a total with its number is one, and the count
    of the rows above. A row of too few values before the header comes again is a line between pages.
    """

    def __init__(self, columns: Columns, looks: bool = True) -> None:
        """Begin with nothing told; unless it `looks`, all rows are data, for each has the names of its values."""
        self._looks = looks
        self.found: dict[str, tuple[int, int, str]] = {}  # how many of each sort, line and text of the first one
        self.warning = ""  # what is not certain about the last rows
        self._header = columns.header
        self._width = len(columns.names)
        self._used = columns.used
        self._names = NameRows(columns.names, columns.more_names) if columns.header and looks else None
        self._before: deque[list[str]] = deque(maxlen=_COMPARED)
        self._rows = 0

    def records(self, reader: Records) -> Iterator[Record]:
        """Yield the records of the file, the header left out; raises as the reader does."""
        for record in self._tell(reader):
            self._rows += not record[-1]
            yield record

    def _tell(self, reader: Records) -> Iterator[Record]:
        header_ahead = self._header
        held: list[Record] = []
        for line, cells, problem in reader.records():
            if header_ahead and not problem:
                header_ahead = False
                continue
            sort = "" if problem or self._names is None else self._names.sort(cells)
            looks = self._looks and not problem and not sort
            if looks and not self._before and len(cells) != self._width and is_rule(cells):
                sort, looks = _RULE, False
            if looks and self._may_end(cells):
                held.append((line, cells, "", reader.raw, ""))
                if len(held) > _HELD:
                    yield held.pop(0)
                continue
            for each in held:
                yield self._told(each, FOOTER if self._ends(each[1]) else _PAGE) if sort else each
            held.clear()
            yield self._told((line, cells, "", reader.raw, ""), sort) if sort else (line, cells, problem, "", "")
            if looks and len(cells) == self._width:
                self._before.append([cell[:_COMPARED_LENGTH] for cell in cells])
        yield from self._last(held)

    def notes(self, name: str) -> list[str]:
        """Return a sentence on each sort of rows that were set aside; `name` is the file's, '' of a single one."""
        sentences = []
        for sort, (count, line, text) in self.found.items():
            rows = f"{count} row{'s' * (count > 1)} set aside as {sort}, on line {line} first: {excerpt(text)}."
            sentences.append(f"{name}: {rows}" if name else rows)
        return sentences

    def _last(self, held: list[Record]) -> Iterator[Record]:
        """Yield what was held back at the end of the file, and look at the last row of data."""
        enough = len(self._before) >= _LEAST_BEFORE
        footers = [enough and self._ends(record[1]) for record in held]
        for record, ends in zip(held, footers, strict=True):
            yield self._told(record, FOOTER) if ends else record
        if self._width == 1 and not all(footers):
            shown = excerpt(held[footers.index(False)][3])
            self.warning = (
                f"A row at the end, {shown}, reads like a footer and was taken for data. Remove it if it is one."
            )
        if any(footers) or len(self._before) <= _LEAST_COMPARED or self._width < 2:
            return
        *rows, last = self._before
        if all(last) and weigh_names(last, rows) >= _UNLIKE:
            self.warning = (
                f"The last row, {excerpt(','.join(last))}, is unlike those above it and was taken for data. Remove it "
                "if it is a footer."
            )

    def _told(self, record: Record, sort: str) -> Record:
        line, cells, problem, raw, _ = record
        count, first, text = self.found.get(sort, (0, line, raw))
        self.found[sort] = (count + 1, first, text)
        return line, cells, problem, raw, sort

    def _may_end(self, cells: list[str]) -> bool:
        """Whether a row is worth holding back."""
        if len(cells) != self._width:
            return self._sort(cells) != "" or (self._width > 1 and sum(map(bool, map(str.strip, cells))) == 1)
        return (_may_begin(cells[0]) or _may_begin(cells[self._used[0]])) and self._sort(cells) != ""

    def _sort(self, cells: list[str]) -> str:
        """Return what sort of footer a row may be, '' if none; one may stand beside numbers of rows."""
        whole = [cell.strip() for cell in cells]
        for part in (whole, [whole[i] for i in self._used]) if len(cells) == self._width else (whole,):
            first = next(filter(None, part), "")
            if first and is_rule(part):
                return "rule" if self._width > 1 else ""
            for sort, form in _FORMS.items():
                if first and len(first) <= _LONGEST and form.fullmatch(first):
                    return sort
        return ""

    def _ends(self, cells: list[str]) -> bool:
        """Whether a row that was held back is a footer, given that no data follow."""
        sort = self._sort(cells)
        if self._width == 1:
            text = cells[0].strip()
            count = "".join(filter(str.isdecimal, _FIRST_NUMBER.findall(text)[0])) if sort == "rows" else ""
            return count == str(self._rows) or (sort == "total" and text[-1].isdigit())
        if sort in ("", "rule") or len(cells) != self._width:
            return sort != ""
        values = [cells[i].strip() for i in self._used]
        before = [[row[i] for i in self._used] for row in self._before]
        columns = list(zip(*before, strict=True))
        if not all(values):
            return True
        if any(value in column for value, column in zip(values, columns, strict=True)):
            return False
        figures = not any(map(str.isalpha, "".join(values[1:])))
        recurring = any(2 * len(set(column)) < len(column) for column in columns)
        return (sort == "total" and figures) or recurring or weigh_names(values, before) >= _LIKE_NO_ROW


def _may_begin(cell: str) -> bool:
    """Whether a value is worth a closer look; most are not, and this is asked of every row."""
    start = cell[:_STARTS]
    if start[:1].isalpha():
        return start.casefold() in _BEGINNINGS
    return not cell.isdecimal()
