"""Turn the quotes of word processors and web pages around values into those that CSV knows."""

import re
from bisect import bisect_left

OPENING, CLOSING = "“", "”"


class Straightener:
    """Rewrites “value” as "value" where it fills a value of a line, and leaves every other quote as it is.

    The value must begin and end on the line; blanks may stand around it, and delimiters in it. It ends with the first ”
    that a delimiter or the line's end follows.
    """

    def __init__(self, delimiter: str) -> None:
        """Prepare for one delimiter."""
        mark = re.escape(delimiter)
        self._end = re.compile(rf"{CLOSING} *(?={mark}|[\r\n]|\Z)")
        self._start = re.compile(rf" *{OPENING}")
        # A value in straight quotes, or one without quotes, with the delimiter or line end behind it.
        self._other = re.compile(rf' *"(?:[^"]|"")*(?:"[^{mark}\r\n]*)?{mark}?|[^{mark}\r\n]*(?:{mark}|[\r\n]+|\Z)')

    def __call__(self, line: str) -> str:
        """Return one physical line on which a record starts, rewritten."""
        if OPENING not in line or CLOSING not in line:
            return line
        ends = [(match.start(), match.end()) for match in self._end.finditer(line)]
        parts: list[str] = []
        position = 0
        while position < len(line):
            start = self._start.match(line, position)
            place = bisect_left(ends, (start.end(), 0)) if start is not None else len(ends)
            if start is not None and place < len(ends):
                close, end = ends[place]
                parts.append('"' + line[start.end() : close].replace('"', '""') + '"' + line[end : end + 1])
                position = end + 1
            else:
                other = self._other.match(line, position)
                end = other.end() if other is not None else len(line)
                parts.append(line[position:end])
                position = end
        return "".join(parts)
