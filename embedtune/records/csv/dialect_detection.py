"""Find out how a CSV separates and quotes its values."""

import dataclasses
import io
import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice

from embedtune.errors import InputError
from embedtune.records.csv.column_contents import role_of
from embedtune.records.csv.options import NAMED_DIALECTS
from embedtune.records.csv.reader import Dialect, Straightener, parse_lines

_DETECTION_LINES = 2000
_CURLY_SHARE = 0.5
_TIED_SHARE = 0.9
_TIED_MARGIN = 0.05
_DELIMITER_LINE = re.compile(r'("?)sep=(.)\1(?:\r\n|\r|\n)', re.IGNORECASE)
# On equal evidence the rarer character wins: a comma or semicolon in every sentence is more likely than a tab.
_CANDIDATES = ("excel-tab", "semicolon", "pipe", "excel")

_UNTRIED = ("::", "||", "^^", "~~", "^", "~", "\x01", "¦", "§", "‖", '" "')
_BLANKS = re.compile(r"\S( {3,}|[ \t]*\t[ \t]*)(?=\S)")
_NEARLY_ALL = 0.9
_ROWS_NEEDED = 3


def choose_dialect(text: str, wanted: str, least_columns: int = 2) -> Dialect:
    """Choose the dialect that was asked for, else that of Excel's first line `sep=;`, else by `detect_dialect`.

    Under a named dialect too, a quote may follow blanks after the delimiter where more values can be read so. `text` is
    the beginning of the file up to the end of a line, `wanted` 'auto' or a key of NAMED_DIALECTS.
    """
    named = _DELIMITER_LINE.match(text)
    lines = _lines(text if named is None else text[named.end() :])
    if wanted != "auto":
        dialect = _best_quoted(lines, Dialect(wanted)).dialect
        return dataclasses.replace(dialect, names_delimiter=named is not None)
    if named is None:
        return detect_dialect(text, least_columns)
    names = [name for name in _CANDIDATES if NAMED_DIALECTS[name] == named[2]]
    if not names:
        raise InputError(
            f"The first line names the delimiter {named[2]!r}; accepted are comma, semicolon, tab and pipe. Write the "
            "values with one of these."
        )
    return dataclasses.replace(_best_quoting(lines, names[0]).dialect, names_delimiter=True)


def detect_dialect(text: str, least_columns: int = 2) -> Dialect:
    """Choose the dialect under which the rows agree best on their number of columns.

    Each delimiter (comma, semicolon, tab, pipe) is tried on the first 2,000 lines with quotes, with quotes that may
    follow blanks, with typographic quotes, and without quotes. A delimiter is a candidate if at least half of the lines
    get two columns or more. Among candidates wins: a first row with two known column names; then the larger share, in
    tenths, of lines with the most frequent number of columns; then one under which quotes can be read as quotes; then
    the rarer character (tab, semicolon, pipe, comma). Where two of the last three split nearly all lines into as many
    columns, one that is always followed by a blank or stands between digits is none, else it is asked for. Quotes are
    taken literally only where at least half of the values that begin with one are malformed as quoted values.
    Typographic quotes (“ ”) count as quotes where at least half of the lines hold a value in them. Of a file that no
    delimiter splits, `least_columns` 0 makes one text per row, 2 refuses it, and 1 does so only where something else
    divides nearly all rows, see `_other_separation`. Two that fit equally well are refused.
    """
    lines = _lines(text)
    trials = [_best_quoting(lines, name) for name in _CANDIDATES]
    candidates = [trial for trial in trials if trial.multiple_share >= 0.5]
    mark = "" if candidates or not least_columns else _other_separation("".join(lines))
    if not candidates and not mark and least_columns < 2:
        return _best_quoting(lines, "lines").dialect
    if not candidates:
        first = next((line for line in lines if line.strip()), "").strip()
        raise InputError(
            f"The rows have one column: neither comma, semicolon, tab nor pipe splits {first[:80]!r}. "
            + (f"Nearly every row is divided by {mark}, which is not looked for. " if mark else "")
            + "Two columns or more are needed, such as text and label or query and document. Write them with one of "
            "these delimiters, or set the CSV option `dialect` to "
            "'lines' and the layout to 'plain' if each row is one text."
        )
    best = max(candidates, key=lambda trial: (trial.known_header, round(trial.share, 1), trial.dialect.quoting))
    return _settled(best, candidates, lines).dialect


@dataclass(frozen=True)
class _Trial:
    """How well a dialect fits; shares are of the lines that are not blank."""

    dialect: Dialect
    share: float
    """Lines in records with the most frequent number of columns above one."""
    multiple_share: float
    """Lines in records with two columns or more."""
    malformed: int
    """Records that break the rules of quoting."""
    literal: int
    """Values that begin with a quote after parsing."""
    known_header: bool
    """Whether the first record holds two known column names."""
    width: int
    """The most frequent number of columns above one, 0 if there is none."""


def _settled(best: _Trial, candidates: list[_Trial], lines: list[str]) -> _Trial:
    """Return which of the trials that fit equally well is right, or ask where it cannot be told."""
    if best.dialect.name == "excel-tab" or best.known_header:
        return best
    equal = [
        trial
        for trial in candidates
        if trial.width == best.width
        and trial.share >= max(_TIED_SHARE, best.share - _TIED_MARGIN)
        and trial.dialect.quoting == best.dialect.quoting
        and trial.dialect.name != "excel-tab"
    ]
    text = "".join(lines)
    likely = [trial for trial in equal if not _is_punctuation(text, trial.dialect.delimiter)]
    if len(equal) < 2 or not likely:
        return best
    if len(likely) == 1:
        return likely[0]
    names = [repr(trial.dialect.name) for trial in likely]
    raise InputError(
        f"Each of {' and '.join(repr(trial.dialect.delimiter) for trial in likely)} as delimiter splits the rows into "
        f"{best.width} columns. Set the CSV option `dialect` to {' or '.join(names)}."
    )


def _is_punctuation(text: str, character: str) -> bool:
    """Whether a character is always followed by a blank, or stands between digits as a decimal comma does."""
    mark = re.escape(character)
    return re.search(rf"(?<!\d){mark}(?![ \r\n])|{mark}(?![\d \r\n])", text) is None


def _lines(text: str) -> list[str]:
    return list(islice(io.StringIO(text, newline=""), _DETECTION_LINES))


def _best_quoting(lines: list[str], name: str) -> _Trial:
    dialect = Dialect(name, typographic=_is_typographic(lines, name))
    quoted = _best_quoted(lines, dialect)
    if not quoted.malformed:
        return quoted
    unquoted = _try(lines, Dialect(name, quoting=False))
    literally = unquoted.share >= quoted.share and 2 * quoted.malformed >= unquoted.literal
    return unquoted if literally else quoted


def _best_quoted(lines: list[str], dialect: Dialect) -> _Trial:
    return max(
        (_try(lines, dialect), _try(lines, dataclasses.replace(dialect, skip_blanks=True))),
        key=lambda trial: (round(trial.share, 2), -trial.malformed - trial.literal),
    )


def _is_typographic(lines: list[str], name: str) -> bool:
    if name == "lines":
        return False
    straighten = Straightener(NAMED_DIALECTS[name])
    filled = [line for line in lines if line.strip()]
    return sum(straighten(line) != line for line in filled) >= max(1, _CURLY_SHARE * len(filled))


def _try(lines: list[str], dialect: Dialect) -> _Trial:
    widths: Counter[int] = Counter()
    total = malformed = literal = 0
    first: list[str] | None = None
    for cells, count in parse_lines(lines, dialect):
        total += count
        if cells is None:
            malformed += 1
            continue
        widths[len(cells)] += count
        literal += sum(cell.startswith('"') for cell in cells)
        first = cells if first is None else first
    several = [count for width, count in widths.items() if width > 1]
    width = max((width for width in widths if width > 1), key=widths.__getitem__, default=0)
    return _Trial(
        dialect=dialect,
        share=max(several, default=0) / max(total, 1),
        multiple_share=sum(several) / max(total, 1),
        malformed=malformed,
        literal=literal,
        known_header=sum(role_of(cell) is not None for cell in first or ()) > 1,
        width=width,
    )


def _other_separation(text: str) -> str:
    """Name what divides nearly every row and is none of the delimiters that are looked for, '' if nothing does."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < _ROWS_NEEDED:
        return ""
    for mark in _UNTRIED:
        counts = [line.strip().count(mark) for line in lines]
        most = max(set(counts), key=counts.count)
        if most and counts.count(most) >= _NEARLY_ALL * len(lines):
            return repr(mark)
    divided = sum(len(_BLANKS.findall(line)) == len(_BLANKS.findall(lines[-1])) > 0 for line in lines)
    return "a run of blanks" if divided >= _NEARLY_ALL * len(lines) else ""
