import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from embedtune.samples.fetch import Mirror


@pytest.fixture(scope="session")
def public() -> SimpleNamespace:
    """`public_files.py` as a namespace."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("public_files.py"))))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMBEDTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny_server(public: SimpleNamespace, cache: Path) -> Iterator[SimpleNamespace]:
    with public.serve(public.tiny_files()) as server:
        yield server


@pytest.fixture
def tiny(tiny_server: SimpleNamespace, public: SimpleNamespace, tmp_path: Path) -> Mirror:
    """A mirror with tiny files of the right format, and their checksums."""
    return Mirror(tiny_server.url, public.write_checksums(tmp_path / "tiny.sha256", tiny_server.files))


@pytest.fixture
def at_hand(public: SimpleNamespace, cache: Path, tmp_path: Path) -> Iterator[Mirror]:
    """A mirror with cuts of the public files, or the tiny ones where those are absent."""
    files = public.files_at_hand()
    with public.serve(files) as server:
        yield Mirror(server.url, public.write_checksums(tmp_path / "at_hand.sha256", files))
