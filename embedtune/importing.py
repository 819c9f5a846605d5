"""Importing libraries of thousands of modules, such as torch, in two thirds of the time that it takes otherwise."""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing(library: str) -> Iterator[None]:
    """Import a library, and what stands on it, without looking for garbage.

    Python would look through all that was imported again and again while more comes, and once more at the end of the
    process: seconds, of which nothing comes, for what was imported stays. Everything that is there at the end of the
    block is never looked through again, so nothing is done where the library was imported before: a long process does
    not keep what it has no use for. The process then ends without a last look.

    Args:
        library: Name of its top module.
    """
    if library in sys.modules:
        yield
        return
    gc.collect()  # what is garbage by now would stay
    atexit.register(gc.freeze)
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
