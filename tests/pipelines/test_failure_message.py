import pytest

from pipelines.local import _failure

LOG = """\
08:44:24.262 - INFO - Executing task 'ingest-csv'
    [KFP Executor 2026-11-21 08:44:24,310 INFO]: Got executor_input:
    {
        "inputs": {
        }
    }
    line 3: 2 columns instead of 3
    Traceback (most recent call last):
      File "ingest.py", line 89, in ingest_csv
    embedtune.errors.InputError: too many bad rows
    ingest_csv failed: too many bad rows
08:44:24.531 - ERROR - Task \x1b[96m'ingest-csv'\x1b[0m finished with status FAILURE
----------------------------------------------------------------------------------
"""


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.txt"
    path.write_text(LOG, encoding="utf-8")
    return path


def test_an_explained_error_comes_with_what_the_step_printed_before_it(log):
    error = {"step": "ingest_csv", "message": "too many bad rows", "explained": True}
    assert _failure(error, "ingest_csv", log) == (
        "The step ingest_csv failed: too many bad rows\n\n"
        "Last lines of its log:\n    line 3: 2 columns instead of 3\n\n"
        f"The whole log is {log}."
    )


def test_another_error_comes_with_its_traceback(log):
    message = _failure({"step": "ingest_csv", "message": "KeyError: 'x'", "explained": False}, "ingest_csv", log)
    assert message.startswith("The step ingest_csv failed: KeyError: 'x'\n\nLast lines of its log:\n")
    assert 'File "ingest.py", line 89' in message
    assert "ingest_csv failed: too many" not in message
    assert "finished with status" not in message
    assert "executor_input" not in message
