import hashlib
import subprocess
import sys

import pytest

from embedtune.errors import StorageError
from embedtune.storage.opening import LocalSource, local_copy, resolve_source


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a,b\n" * 600_000)
    return path


def test_version_is_the_sha256(source):
    expected = "sha256:" + hashlib.sha256(source.read_bytes()).hexdigest()
    assert resolve_source(str(source)).version == expected
    assert resolve_source(source.as_uri()).version == expected


def test_local_copy_is_the_file_itself(source):
    for uri, version in [(source.as_uri(), resolve_source(str(source)).version), (str(source), "")]:
        with local_copy(uri, version) as found:
            assert found == LocalSource(source.parent, (source,), (uri,))
    assert source.exists()


def test_a_changed_file_is_refused(source):
    version = resolve_source(str(source)).version
    source.write_text("changed")
    message = r"changed: version sha256:\w+ was asked for, sha256:\w+ is there"
    with pytest.raises(StorageError, match=message), local_copy(str(source), version):
        pass


@pytest.mark.parametrize("version", ["", "sha256:0"])
def test_a_missing_file(tmp_path, version):
    path = tmp_path / "none"
    with pytest.raises(StorageError, match="does not exist"):
        resolve_source(str(path))
    with pytest.raises(StorageError, match="does not exist"), local_copy(str(path), version):
        pass


def test_errors_of_the_reader_pass_unchanged(source):
    with pytest.raises(OSError, match="of the reader"), local_copy(str(source), ""):
        raise OSError("of the reader")


def test_local_work_imports_no_client():
    code = (
        "import sys; from embedtune.storage import content_reader, folders, opening;"
        "opening.resolve_source(sys.argv[1]);"
        "assert not {'minio', 'urllib3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, __file__], check=True)
