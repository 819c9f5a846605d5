"""Write today's facts and files anew: `python -m tests.files_of_today.renew`.

Never for a refactoring: that must leave both as they are. It is right where a change of what embedtune writes was
decided, such as a new field of a manifest or a source of one more kind, and then the diff of `today.json` shows nothing
else. Files that older versions wrote must be readable for ever, so a new format gets files beside those of the old one:
`kept` is written only where it does not exist.

`python -m tests.files_of_today.renew FOLDER` writes the files there and nothing else, for a comparison with those of
another checkout: `diff -r` shows what the digests hide.
"""

import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.files_of_today.facts import facts_of, writers
from tests.files_of_today.making import make_files
from tests.files_of_today.reading import WHAT_IS_KEPT, kept_digests, read_facts
from tests.files_of_today.sources import write_sources

HERE = Path(__file__).parent
TODAY, KEPT = HERE / "today.json", HERE / "kept"


def all_facts(scratch: Path) -> dict[str, dict[str, str]]:
    """Make every file in an empty folder, and return the facts of these and of what is read of them."""
    sources, made, read = (scratch / name for name in ("sources", "made", "read"))
    for folder in (sources, made, read):
        folder.mkdir()
    write_sources(sources)
    versions = make_files(sources, made)
    return {"versions": versions, "made": facts_of(made), "read": read_facts(made, read)}


def _main() -> None:
    if len(sys.argv) > 1:
        all_facts(Path(sys.argv[1]))
        return
    with TemporaryDirectory() as folder:
        found = all_facts(Path(folder))
        if not KEPT.exists():
            _keep(Path(folder) / "made")
    found |= {"kept": kept_digests(KEPT), "writers": writers()}
    TODAY.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _keep(made: Path) -> None:
    for name in WHAT_IS_KEPT:
        (KEPT / name).parent.mkdir(parents=True, exist_ok=True)
        if (made / name).is_dir():
            shutil.copytree(made / name, KEPT / name)
        else:
            shutil.copyfile(made / name, KEPT / name)


if __name__ == "__main__":
    _main()
