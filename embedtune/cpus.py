"""How many CPUs this process may use: those of its container, not those of the machine.

A container's limit is a quota of time, which neither `os.cpu_count` nor the libraries that calculate look at: on a node
of 64 CPUs a step with a limit of 2 would start 64 threads and wait for its quota most of the time.
"""

import os
from collections.abc import Iterator
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
"""Read when torch, numpy's linear algebra, pyarrow (the first) and tokenizers (the last) are loaded."""


def available_cpus(groups: Path = CONTROL_GROUPS, own: Path = OWN_GROUPS) -> int:
    """Return the number of CPUs, 1 or more: whole ones of the smallest quota, at most those it may be scheduled on.

    Args:
        groups: Where the control groups are mounted.
        own: The file that names those of this process.
    """
    scheduled = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([scheduled, *(int(quota) for quota in _quotas(groups, own))]))


def limit_threads(groups: Path = CONTROL_GROUPS, own: Path = OWN_GROUPS) -> None:
    """Let the libraries that calculate start no more threads than there are CPUs; a variable that is set stays.

    They read the environment when they are loaded, so this comes before they are imported.
    """
    cpus = available_cpus(groups, own)
    if cpus < (os.cpu_count() or 1):
        for name in _VARIABLES:
            os.environ.setdefault(name, str(cpus))


def divided_threads(processes: int) -> dict[str, str]:
    """Return the variables by which each of several processes starts its share of the threads of this one."""
    given = {name: os.environ.get(name, "") for name in _VARIABLES}
    cpus = available_cpus()
    return {
        name: str(max(1, (int(value) if value.isdecimal() else cpus) // processes)) for name, value in given.items()
    }


def _quotas(groups: Path, own: Path) -> Iterator[float]:
    """Yield the limits in CPUs of this process's control groups and of those around them.

    See https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files (cpu.max: microseconds of CPU time, or
    'max', and the period that they are for), and for version 1 https://docs.kernel.org/scheduler/sched-bwc.html.
    """
    for controllers, path in _memberships(own):
        mounts = [groups, groups / "unified"] if not controllers else [groups / controllers, groups / "cpu"]
        for mount in mounts:
            # In a container the root of the mount is often the container's own group, whatever the path says.
            for folder in (mount / path, *(mount / path).parents):
                if folder.is_relative_to(mount):
                    yield from _quota(folder)


def _memberships(own: Path) -> Iterator[tuple[str, str]]:
    for line in _words(own, "\n"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" or "cpu" in controllers.split(","):
            yield controllers, path.strip("/")


def _quota(folder: Path) -> Iterator[float]:
    words = _words(folder / "cpu.max", None)
    if not words:
        words = [*_words(folder / "cpu.cfs_quota_us", None), *_words(folder / "cpu.cfs_period_us", None)]
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):  # 'max' and -1 are no limits
        yield int(words[0]) / int(words[1])


def _words(path: Path, separator: str | None) -> list[str]:
    try:
        return path.read_text(encoding="ascii").strip().split(separator)
    except (OSError, UnicodeDecodeError):
        return []
