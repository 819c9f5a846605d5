"""What is wrong with a command line is said in the words that were typed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
import typer
from docstring_parser import parse_from_object

from embedtune.cli.app import run_app
from embedtune.cli.flags import near_options, with_flags
from embedtune.cli.steps import STEPS, outputs_of
from embedtune.errors import InputError, explain

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.argv[0] = 'embedtune'; from embedtune.cli.main import main; main()"

FILES = {
    "ingest-csv": "--uri d.csv --rows r --quarantine q",
    "build-documents": "--rows r --train t --evaluation e --quarantine q --html h --markdown m",
    "plan-documents": "--rows r --plan p --quarantine q",
    "build-shard": "--plan p --rows-uri r --train t --evaluation e",
    "finetune": "--documents d --model m --html h",
    "evaluate-retrieval": "--model m --evaluation e --scores s --html h --markdown k",
    "register-model": "--model m --scores s --reports r",
    "encode": "--model m --input d.csv",
    "search": "query --model m --index d.csv",
    "summary": "d.csv",
}


def program(*words: str | bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text("text,label\na,b\n", encoding="utf-8")
    for name in "mesp":
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        ("ingest-csv", "--max-bad-share 2", "--max-bad-share"),
        ("ingest-csv", "--layout tables", "--layout"),
        ("ingest-csv", "--csv-options {", "--csv-options: The CSV options"),
        ("ingest-csv", "--csv-options []", "--csv-options: The CSV options"),
        (
            "ingest-csv",
            '--csv-options {"delimiter":";"}',
            "--csv-options: Unknown CSV option 'delimiter'. Perhaps",
        ),
        ("ingest-csv", '--csv-options {"header":"perhaps"}', "--csv-options: CSV option header='perhaps'"),
        ("ingest-csv", "--uri ftp://a/b", "--uri: The address"),
        ("build-documents", "--eval-share 2", "--eval-share=2.0; give"),
        ("build-documents", "--eval-share half", "--eval-share is 'half'; accepted: a number."),
        ("build-documents", "--split random", "--split"),
        ("build-documents", "--seed -1", "--seed=-1; give"),
        ("build-documents", "--seed=1.5", "--seed is '1.5'; accepted: a whole number."),
        ("build-documents", "--max-bad-share -1", "--max-bad-share"),
        ("plan-documents", "--eval-share 0", "--eval-share"),
        ("build-shard", "--number one", "--number"),
        ("finetune", "--epochs -1", "--epochs is -1; accepted: "),
        ("finetune", "--batch-size 1", "--batch-size is 1; accepted"),
        ("finetune", "--loss Cross", "--loss is 'Cross'; accepted: one of "),
        ("finetune", "--train-optimizer Best", "--train-optimizer is 'Best'; accepted: one of "),
        ("finetune", "--learning-rate 7", "--learning-rate is 7.0; accepted"),
        ("finetune", "--train-warmup 2", "--train-warmup"),
        ("finetune", "--max-length -1", "--max-length is -1; accepted"),
        ("finetune", "--gpu-count abc", "--gpu-count is 'abc'; accepted"),
        ("evaluate-retrieval", "--min-gain 2", "--min-gain"),
        ("evaluate-retrieval", "--metric best", "--metric"),
        ("evaluate-retrieval", "--eval-batch-size 0", "--eval-batch-size"),
        ("evaluate-retrieval", "--seed -1", "--seed is -1; accepted"),
        ("register-model", "--model-name a/b", "--model-name is 'a/b'; accepted"),
        ("register-model", "--model-name a --experiment=", "--experiment is blank; give"),
        ("encode", "--output v.txt", "--output is 'v.txt'"),
        ("encode", "--output v.npy --batch-size 0", "--batch-size is '0'; accepted: 1 or more."),
        ("search", "--limit 0", "--limit is '0'; accepted: 1 or more."),
        ("search", "--csv-options x", "--csv-options: The CSV options"),
        ("summary", "--eval-share 1", "--eval-share=1.0; give"),
        ("summary", "--split no", "--split"),
        ("summary", "--csv-options 3", "--csv-options: The CSV options"),
        ("summary", "--layout x", "--layout"),
    ],
)
def test_the_flag_that_was_typed_is_named(command: str, words: str, message: str, embedtune, here: Path) -> None:
    done = embedtune(command, *FILES[command].split(), *words.split())
    assert done.code in (1, 2)
    assert message in done.err
    assert done.err.startswith("Error: ")
    assert len(done.err.splitlines()) == 1
    assert sorted(path.name for path in here.iterdir()) == ["d.csv", "e", "m", "p", "s"]


@pytest.mark.parametrize(
    ("command", "flag", "hint"),
    [
        ("summary", "--delimiter", " dialect is a key of --csv-options, which takes a JSON object."),
        ("ingest-csv", "--sep", " dialect is a key of --csv-options, which takes a JSON object."),
        ("search", "--encoding", " encoding is a key of --csv-options, which takes a JSON object."),
        ("ingest-csv", "--data", " Perhaps --uri?"),
        ("ingest-csv", "--max-bad-shares", " Perhaps --max-bad-share?"),
        ("finetune", "--lr", " Perhaps --learning-rate?"),
        ("finetune", "--num_train_epochs", " Perhaps --epochs?"),
        ("finetune", "--base-model", " Perhaps --backbone?"),
        ("finetune", "--device", " Perhaps --gpu-count?"),
        ("finetune", "--optimiser", " Perhaps --train-optimizer?"),
        ("search", "--top-k", " Perhaps --limit?"),
        ("encode", "--force", " Perhaps --overwrite?"),
        ("finetune", "--colour", ""),
    ],
)
def test_options_of_other_tools_point_to_ours(command: str, flag: str, hint: str, embedtune) -> None:
    done = embedtune(command, *FILES[command].split(), flag, "1")
    assert (done.code, done.err) == (
        2,
        f"Error: There is no option {flag}.{hint} See `embedtune {command} --help`.\n",
    )


def test_a_name_within_a_pipelines_names() -> None:
    names = ["data_uri", "data_csv_options", "train_batch_size", "model_backbone", "eval_share"]
    assert near_options("--batch-size", names) == " Perhaps --train-batch-size?"
    assert near_options("--model", names) == " Perhaps --model-backbone?"
    assert near_options("--backbonne", names) == " Perhaps --model-backbone?"
    assert near_options("--quotechar", names) == " dialect is a key of --data-csv-options, which takes a JSON object."
    assert with_flags("batch_size is 1; accepted: 4", names) == "--train-batch-size is 1; accepted: 4"
    assert with_flags("CSV option size=0", names) == "--data-csv-options: CSV option size=0"
    assert with_flags("model is broken", names) == "model is broken"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sumary",), "There is no command sumary. Perhaps summary? See `embedtune --help`."),
        (("summary",), "DATA is missing. Give it a value. See `embedtune summary --help`."),
        (("summary", "a", "b"), "b is one word too many; an option is written --name value. See `embedtune summary"),
        (("summary", "a", "--html"), "--html needs a value."),
        (("summary", "a", "--html", ""), "--html is ''. Give a path."),
        (("summary", "a", "--html= "), "--html is ' '. Give a path."),
        (("summary", ""), "The address '' is empty"),
        (("search", " ", "--model", "m", "--index", "d.csv"), "The query is blank"),
    ],
)
def test_what_is_missing_or_too_much(words: tuple[str, ...], message: str, embedtune) -> None:
    done = embedtune(*words)
    assert done.code in (1, 2)
    assert message in done.err
    assert done.err.startswith("Error: ")


@pytest.mark.parametrize("name", STEPS)
def test_every_path_that_a_step_writes_is_marked(name: str) -> None:
    step = getattr(sys.modules[f"embedtune.steps.{name}"], name)
    texts = {entry.arg_name: entry.description or "" for entry in parse_from_object(step).params}
    paths = {key for key, kind in get_type_hints(step).items() if kind is Path}
    writes = {key for key in paths if "write" in texts[key] or texts[key].startswith("The same as Markdown")}
    assert set(outputs_of(step)) == writes


class TestSurroundings:
    """What comes from the terminal, the pipe, the system."""

    def data(self, here: Path) -> str:
        path = here / "data.csv"
        rows = [f"Gr\u00f6\u00dfe {number} \u2192 \u65e5\u672c,{'abcd'[number % 4]}" for number in range(40)]
        path.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
        return str(path)

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
    def test_terminals_that_cannot_show_everything(self, encoding: str, here: Path) -> None:
        done = program("summary", self.data(here), PYTHONIOENCODING=encoding, COLUMNS="100")
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"40 rows" in done.stdout
        assert done.stdout.decode(encoding).isprintable() or "\n" in done.stdout.decode(encoding)
        assert ("?" in done.stdout.decode(encoding)) == (encoding != "utf-8")

    def test_a_locale_without_an_encoding(self, here: Path) -> None:
        locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        done = program("summary", self.data(here), **locale)
        assert (done.returncode, done.stderr) == (0, b"")

    @pytest.mark.parametrize("words", [("summary", "d.csv"), ("--help",), ("--version",)])
    def test_nobody_reads_on(self, words: tuple[str, ...], here: Path) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *[self.data(here) if word == "d.csv" else word for word in words]],
            cwd=ROOT,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
        os.close(writer)
        assert (done.returncode, done.stderr) == (1, b"")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
    def test_a_full_disk(self, here: Path) -> None:
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, "summary", self.data(here)],
                cwd=ROOT,
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=120,
                check=False,
            )
        message = b"Error: The output cannot be written: No space left on device.\n"
        assert (done.returncode, done.stderr) == (1, message)

    def test_words_that_are_no_text(self, here: Path) -> None:
        for words in ((b"summary", b"lat\xfcn.csv"), (b"search", b"\xff\xfe", b"--model", b"m", b"--index", b"i")):
            done = program(*words)
            assert done.returncode == 1
            assert done.stderr.startswith(b"Error: '")
            assert done.stderr.count(b"\n") == 1
            assert b"is not text in UTF-8. Write it in UTF-8; rename a file" in done.stderr

    def test_names_in_a_folder_that_are_no_text(self, here: Path) -> None:
        folder = here / "data"
        folder.mkdir()
        for name in (b"a.csv", b"\xfc.csv"):
            (folder / os.fsdecode(name)).write_text("text,label\na,b\nb,c\n", encoding="utf-8")
        done = program("summary", str(folder))
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr
        assert b"not text in UTF-8" in done.stderr

    def test_errors_of_the_system_are_sentences(self, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
        def command() -> None:
            raise PermissionError(13, "Permission denied", "folder/file")

        app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
        app.command()(command)
        monkeypatch.setattr(sys, "argv", ["program"])
        with pytest.raises(SystemExit) as end:
            run_app(app)
        assert end.value.code == 1
        assert capsys.readouterr().err == (
            "Error: folder/file cannot be used: Permission denied. Check its permissions, its name, and the space on "
            "its disk.\n"
        )

    def test_what_is_explained(self) -> None:
        assert explain(InputError("Empty.")) == "Empty."
        assert explain(OSError(28, "No space left on device")).startswith("A file cannot be used: No space left")
        assert explain(UnicodeEncodeError("utf-8", "a\udcff", 1, 2, "surrogates not allowed")).startswith(
            "'a\\udcff' is"
        )
        for bug in (FileNotFoundError(2, "No such file", "x"), ZeroDivisionError(), ConnectionError()):
            assert explain(bug) == ""
