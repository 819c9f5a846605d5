"""The memory of a measurement that is a process of its own."""

from pathlib import Path


def peak_mib() -> float:
    """Return the peak memory of this process in MiB; `ru_maxrss` of a child would begin with its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024
