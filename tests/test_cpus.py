"""Threads follow the container's quota of CPU time, in both versions of control groups."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedtune.cpus import available_cpus, limit_threads

ROOT = Path(__file__).parents[1]
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
QUOTA_OF_3 = (("pod/cpu.cfs_quota", "15\n"), ("pod/cpu.cfs_period", "5\n"))
HYBRID = "9:name=systemd:/pod\n3:cpuset:/pod\n2:cpu,cpuacct:/kubepods/pod\n0::/"


@pytest.fixture(autouse=True)
def large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def groups(folder: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    """Write control groups as the kernel shows them; return where they are mounted, and the file of one's own."""
    mount, mine = folder / "cgroup", folder / "own"
    mount.mkdir()
    mine.write_text(own, encoding="ascii")
    for name, content in files.items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_text(content, encoding="ascii")
    return mount, mine


@pytest.mark.parametrize(
    ("own", "files", "cpus"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "390000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 64),
        ("0::/\n", {}, 64),
        ("0::/kubepods/pod/main\n", {"kubepods/pod/main/cpu.max": "max 100000", "kubepods/cpu.max": "4000 1000"}, 4),
        ("0::/kubepods/pod/main\n", {"kubepods/pod/main/cpu.max": "3000 1000", "kubepods/cpu.max": "4000 1000"}, 3),
        # The container sees its own group as the root, and itself by the path on the node.
        ("0::/kubepods/pod/main\n", {"cpu.max": "5000 1000"}, 5),
        (HYBRID, {f"cpu,cpuacct/kubepods/{name}_us": us for name, us in QUOTA_OF_3}, 3),
        (HYBRID, {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        (HYBRID, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        (HYBRID, {"cpuset/cpu.cfs_quota_us": "20\n", "cpuset/cpu.cfs_period_us": "10\n"}, 64),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "700\n", "cpu/cpu.cfs_period_us": "100\n"}, 7),
        ("0::/\n", {"cpu.max": "200000 0\n"}, 64),
        ("0::/\n", {"cpu.max": "many\n"}, 64),
    ],
)  # fmt: skip
def test_the_smallest_quota_counts(tmp_path: Path, own: str, files: dict[str, str], cpus: int) -> None:
    assert available_cpus(*groups(tmp_path, own, files)) == cpus


def test_without_control_groups_all_cpus_count(tmp_path: Path) -> None:
    assert available_cpus(tmp_path / "none", tmp_path / "neither") == 64


def test_cpus_that_one_is_bound_to_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 4, 5})
    assert available_cpus(*groups(tmp_path, "0::/\n", {"cpu.max": "800000 100000\n"})) == 3


def test_the_environment_says_it_to_the_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES[1:]:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    limit_threads(*groups(tmp_path, "0::/\n", {"cpu.max": "200000 100000\n"}))
    assert [os.environ[name] for name in VARIABLES] == ["5", "2", "2", "2"]


def test_on_a_machine_of_ones_own_nothing_is_said(tmp_path: Path) -> None:
    limit_threads(*groups(tmp_path, "0::/\n", {"cpu.max": "max 100000\n"}))
    assert [name for name in VARIABLES if name in os.environ] == []


def test_torch_and_arrow_start_as_many_threads(tmp_path: Path) -> None:
    mount, own = groups(tmp_path, "0::/\n", {"cpu.max": "100000 100000\n"})
    code = (
        "import sys\nfrom pathlib import Path\nfrom embedtune.cpus import limit_threads\n"
        f"limit_threads(Path({str(mount)!r}), Path({str(own)!r}))\n"
        "assert 'numpy' not in sys.modules\nimport pyarrow, torch\n"
        "print(pyarrow.cpu_count(), torch.get_num_threads())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "1 1\n"


@pytest.mark.parametrize("module", ["embedtune.steps", "embedtune.cli", "embedtune.steps.surroundings"])
def test_a_step_says_it_before_numpy_is_there(module: str) -> None:
    """`embedtune.steps` is imported before any of its modules, and sets the variables when it is."""
    code = f"import sys, {module}\nprint('numpy' in sys.modules or 'pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
