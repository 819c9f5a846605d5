"""Garbage is looked for before libraries are imported and after it, not meanwhile, and only the first time."""

import gc
import subprocess
import sys

import pytest

from embedtune.importing import importing


@pytest.fixture
def collected():
    """Generations that Python begins and ends to look through."""
    found = []
    gc.collect()  # the next time that Python does so by itself is far

    def note(phase, facts):
        found.append((phase, facts["generation"]))

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def test_nothing_is_looked_through_meanwhile_nor_ever_after(collected):
    frozen = gc.get_freeze_count()
    with importing("a library that nobody has"):
        assert collected == [("start", 2), ("stop", 2)]
        made = [[] for _ in range(100_000)]
        assert len(collected) == 2
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen + len(made)
    made.extend([] for _ in range(100_000))
    assert len(collected) > 2


IMPORTED_BEFORE = """
import gc
from embedtune.importing import importing

found = []
gc.callbacks.append(lambda phase, facts: found.append(phase))
with importing("sys"):
    print(gc.isenabled())
print(found, gc.get_freeze_count())
"""


def test_what_was_imported_before_is_left_alone():
    ended = subprocess.run([sys.executable, "-c", IMPORTED_BEFORE], capture_output=True, text=True, check=True)
    assert ended.stdout == "True\n[] 0\n"


def test_a_failure_ends_it(monkeypatch):
    monkeypatch.setattr(gc, "freeze", lambda: pytest.fail("nothing was imported"))
    with pytest.raises(ImportError), importing("nothing"):
        raise ImportError
    assert gc.isenabled()


def test_who_collects_nothing_goes_on_so():
    gc.disable()
    try:
        with importing("a library that nobody has"):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


LAST_LOOK = """
import atexit, gc, sys
from embedtune.importing import importing

# What is registered first is called last.
atexit.register(lambda: print(len([one for one in gc.get_objects() if one is made])))
made = ["in a cycle"]
with importing(sys.argv[1]):
    pass
made.append(made)
"""


@pytest.mark.parametrize(("library", "seen"), [("a library that nobody has", 0), ("sys", 1)])
def test_the_process_ends_without_a_last_look(library, seen):
    ended = subprocess.run([sys.executable, "-c", LAST_LOOK, library], capture_output=True, text=True, check=True)
    assert ended.stdout == f"{seen}\n"
