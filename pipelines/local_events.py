"""The file in which the steps of a run tell what they do, one JSON object a line; see `embedtune.progress.emit`."""

import json
from pathlib import Path
from typing import Any

_ALL = {"event": str, "time": (int, float), "process": int}
_FIELDS: dict[str, dict[str, Any]] = {
    "start": {"step": str},
    "progress": {"description": str, "done": int, "total": (int, type(None)), "unit": str},
    "note": {"text": str},
    "end": {"step": str},
    "error": {"step": str, "message": str, "explained": bool},
    "cached": {"step": str, "notes": list},
}


def read_events(path: Path, offset: int) -> tuple[int, list[dict[str, Any]]]:
    """Return where the whole lines after an offset end, and the events on them.

    A line that holds no event, as a process leaves it that was killed while it wrote, is passed over.

    Args:
        path: The file, which may be missing yet.
        offset: Bytes that were read before.
    """
    offset, lines = new_lines(path, offset)
    return offset, [event for line in lines if (event := _parse(line)) is not None]


def new_lines(path: Path, offset: int) -> tuple[int, list[str]]:
    """Return where the whole lines after an offset end, and these lines; arguments as of `read_events`."""
    if not path.exists():
        return offset, []
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    return offset + len(whole), whole.decode("utf-8", errors="replace").splitlines()


def _parse(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or str(event.get("event")) not in _FIELDS:
        return None
    fields = _ALL | _FIELDS[event["event"]]
    return event if all(name in event and isinstance(event[name], kind) for name, kind in fields.items()) else None
