"""Results of earlier steps, taken again only if nothing of them is missing or damaged.

kfp.local's cache asks of an artifact only whether something is at its path. This one records the size and SHA-256 of
every file when a step has finished, and looks at all of them before it gives the step's outputs away. It finds them
again after the output folder was moved, and tells once more what the step had told.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp.dsl import Artifact
from kfp.local.cache import LocalCache

from embedtune.progress import emit, note, silent
from embedtune.storage.atomic import write_text_whole
from embedtune.storage.digests import file_sha256

NOTES = "notes.json"
"""What a step told a person, beside its outputs."""

_MARKER = "__kfp_artifact__"
"""kfp's sign for an artifact in a serialized value."""

Contents = dict[str, list[Any]]
"""Size and SHA-256 of each file of an artifact, by its name in it; of an artifact that is one file, by ''."""


class _UnusableError(Exception):
    """An entry of the cache cannot be used; the message says why."""


class CheckedCache(LocalCache):
    """kfp.local's cache, with entries that say what their artifacts consist of."""

    def __init__(self, root: Path, output: Path) -> None:
        """Prepare.

        Args:
            root: Folder of the entries.
            output: The output folder, absolute; its place may be another when the entries are read.
        """
        super().__init__(str(root))
        self._output = output
        self._steps: dict[str, str] = {}
        self._recorded: dict[str, dict[str, Contents]] = {}

    def compute_key(
        self,
        component_name: str,
        image: str,
        full_command: list[str],
        arguments: dict[str, Any],
        env_vars: dict[str, str] | None = None,
        custom_cache_key: str | None = None,
    ) -> str:
        """Return a key that does not depend on where the output folder is."""
        portable = _with_uris(self._serialize_value_for_key(arguments), self._portable)
        key = super().compute_key(component_name, image, full_command, portable, env_vars, custom_cache_key)
        self._steps[key] = component_name.removeprefix("comp-").replace("-", "_")
        return key

    def put(self, key: str, outputs: dict[str, Any]) -> None:
        """Record what a step returned, and every file of it.

        If the step ran again because its earlier result was damaged, and came to the same, that is mended: MLflow and
        earlier runs may know the damaged file under another name.
        """
        artifacts = [value for value in outputs.values() if isinstance(value, Artifact)]
        notes: list[str] = []
        for artifact in artifacts:
            path = Path(artifact.uri)
            if not path.exists():  # Metrics: the values are metadata
                path.touch()
            beside = path.with_name(NOTES)
            notes = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else []
        contents = {self._portable(artifact.uri): _contents(Path(artifact.uri)) for artifact in artifacts}
        entry = {
            "output": str(self._output),
            "outputs": _with_uris(self._serialize_outputs(outputs), self._portable),
            "contents": contents,
            "notes": notes,
        }
        write_text_whole(Path(self._entry_path(key)), json.dumps(entry))
        earlier = {Path(uri).name: (uri, recorded) for uri, recorded in self._recorded.pop(key, {}).items()}
        for uri, new in contents.items():
            old_uri, recorded = earlier.get(Path(uri).name, (uri, {}))
            _mend(Path(self._absolute(old_uri)), recorded, Path(self._absolute(uri)), new)

    def get(self, key: str) -> dict[str, Any] | None:
        """Return what a step returned before, or None if it has to run; a person is told which, and why."""
        path, step = Path(self._entry_path(key)), self._steps[key]
        if not path.exists():
            return None
        try:
            entry = self._read(path)
            self._recorded[key] = entry["contents"]
            for uri, recorded in entry["contents"].items():
                _check_contents(Path(self._absolute(uri)), recorded)
        except _UnusableError as error:
            path.unlink()
            note(f"{step} runs again: {error}.")
            return None
        emit("cached", {"step": step, "notes": entry["notes"]})
        return self._deserialize_outputs(_with_uris(entry["outputs"], self._absolute))

    def _read(self, path: Path) -> dict[str, Any]:
        """Read an entry.

        Raises:
            _UnusableError: it is damaged, or names files where the output folder was before.
        """
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            written_at = str(entry["output"])
            dict(entry["contents"])
            values = [value for value in entry["outputs"].values() if not isinstance(value, dict)]
            list(entry["notes"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _UnusableError(f"{path} is damaged") from error
        if written_at != str(self._output) and written_at in json.dumps(values, ensure_ascii=False):
            raise _UnusableError(f"its result names files in {written_at}, where the output folder was before")
        return entry

    def _portable(self, uri: str) -> str:
        """Return a path in the output folder as one that begins there."""
        path = Path(uri)
        return path.relative_to(self._output).as_posix() if path.is_relative_to(self._output) else uri

    def _absolute(self, uri: str) -> str:
        return str(self._output / uri)


def _with_uris(value: Any, change: Callable[[str], str]) -> Any:
    """Return a serialized value with the addresses of its artifacts changed."""
    if isinstance(value, list):
        return [_with_uris(item, change) for item in value]
    if isinstance(value, dict):
        changed = {name: _with_uris(item, change) for name, item in value.items()}
        return {**changed, "uri": change(value["uri"])} if value.get(_MARKER) else changed
    return value


def _files(path: Path) -> dict[str, Path]:
    """Return the files of an artifact by their names in it."""
    if path.is_file():
        return {"": path}
    return {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()}


def _contents(path: Path) -> Contents:
    return {name: [file.stat().st_size, file_sha256(file, silent)] for name, file in _files(path).items()}


def _check_contents(path: Path, recorded: Contents) -> None:
    """Compare an artifact with what was recorded of it: all sizes first, for that costs nothing.

    Raises:
        _UnusableError: they differ.
    """
    files = _files(path)
    for name in recorded:
        if name not in files:
            raise _UnusableError(f"{path / name} of an earlier run is missing")
    for name, file in files.items():
        if name not in recorded:
            raise _UnusableError(f"{file} does not belong to the result of an earlier run")
    for name, (size, _) in recorded.items():
        if files[name].stat().st_size != size:
            raise _UnusableError(f"{files[name]} is damaged: it has {files[name].stat().st_size} bytes of {size}")
    for name, (_, sha256) in recorded.items():
        if file_sha256(files[name], silent) != sha256:
            raise _UnusableError(f"{files[name]} is damaged: its content is not what was written")


def _mend(old: Path, recorded: Contents, new: Path, contents: Contents) -> None:
    """Write what a damaged artifact should hold into its files, under all their names, where it was made again."""
    files, copies = _files(old), _files(new)
    for name in files.keys() & recorded.keys() & contents.keys():
        if recorded[name] == contents[name] != _contents(old / name if name else old).get(""):
            shutil.copyfile(copies[name], files[name])
