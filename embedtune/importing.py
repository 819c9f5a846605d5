"""Importing libraries of thousands of modules, such as torch, in less time, for processes of our own."""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing(library: str) -> Iterator[None]:
    """Import a library, and what stands on it, without looking for garbage.

    Python would look through all that was imported again and again while more comes, and once more at the end of the
    process: seconds, of which next to nothing comes, for what was imported stays. All that the process holds at the end
    of the block is never looked through again, and the process ends without a last look, so what is to be finished at
    its end must not be left to garbage. Nothing of this is done where the library was imported before, or cannot be.

    Args:
        library: Name of its top module.
    """
    if library in sys.modules:
        yield
        return
    gc.collect()  # what is garbage by now would stay
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if collects:
            gc.enable()
    end_without_last_look()


def end_without_last_look() -> None:
    """Have this process end without looking for garbage among all that it has imported."""
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
