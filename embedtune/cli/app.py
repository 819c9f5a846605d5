"""Run a command line: the one place where errors, terminals and interruptions become what a person sees."""

import errno
import functools
import inspect
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import typer
from rich.console import Console

from embedtune.cli.flags import flag, near_options, with_flags
from embedtune.errors import ConfigError, EmbedtuneError, StorageError, explain, reason
from embedtune.names import similar_names
from embedtune.storage.locations import parse_location

UsageError: Any = typer.BadParameter.__base__
"""Of click, which some versions of typer have inside."""

_INTERRUPTED = 130
_ENDED = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What writing to a terminal, pipe or redirected file ends with."""
_ADDRESSES = ("uri", "data_uri", "rows_uri")
_ACCEPTED = (
    (r"greater than or equal to (\S+)", r"\1 or more"),
    (r"less than or equal to (\S+)", r"\1 or less"),
    (r"not in the range (\S+?)\.", r"\1"),
    (r"not one of (.*)", r"one of \1"),
    (r"is not (readable|writable)", r"a path that is \1 for you"),
    (r"valid integer", "a whole number"),
    (r"valid (?:number|float)", "a number"),
)
"""What typer's messages say of a value, and how we do."""


def run_app(app: typer.Typer) -> None:
    """Run an app; an error a user can act on becomes one message and exit code 1 or 2, Ctrl-C exit code 130."""
    _take_any_text(sys.stdout, sys.stderr)
    try:
        code = _run(app)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in _ENDED:
            raise
        # Nobody reads on, or the disk is full: what is left to write cannot be, and Python would say so at its end.
        code = 1 if isinstance(error, BrokenPipeError) else _fail(f"The output cannot be written: {reason(error)}.")
        _close(sys.stdout)
    sys.exit(code)


def _run(app: typer.Typer) -> int:
    try:
        command = typer.main.get_command(app)
        leaf = _leaf(command, sys.argv[1:])
        _check_words(sys.argv[1:], _path_flags(leaf.callback))
        leaf.callback = leaf.callback and _with_flags(leaf.callback)
        code = command(standalone_mode=False)
    except UsageError as error:
        return _fail_usage(error)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except (EmbedtuneError, OSError, UnicodeEncodeError) as error:
        if not explain(error) or (isinstance(error, OSError) and error.filename is None and error.errno in _ENDED):
            raise
        return _fail(explain(error))
    if code == _INTERRUPTED:
        Console(stderr=True).print("Stopped.")
    return code if isinstance(code, int) else 0


def _take_any_text(*streams: object) -> None:
    """Write a sign that a terminal cannot show as '?', and names that are no text in any encoding too."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _close(stream: Any) -> None:
    try:
        number = os.open(os.devnull, os.O_WRONLY)
        os.dup2(number, stream.fileno())
        os.close(number)
    except (OSError, ValueError):
        pass  # it is no real file, so nothing is left to write


def _leaf(command: Any, words: Sequence[str]) -> Any:
    """Return the command that words call."""
    for word in words:
        if word not in getattr(command, "commands", {}):
            break
        command = command.commands[word]
    return command


def _path_flags(callback: Callable[..., object] | None) -> set[str]:
    parameters = inspect.signature(callback).parameters if callback is not None else {}
    return {flag(name) for name, parameter in parameters.items() if _is_path(parameter.annotation)}


def _is_path(annotation: object) -> bool:
    return annotation is Path or any(map(_is_path, get_args(annotation)))


def _check_words(words: Sequence[str], paths: set[str]) -> None:
    """Refuse what is no text, and empty paths, which would be the present folder."""
    for before, word in pairwise(("", *words)):
        raw = os.fsencode(word)
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"{repr(raw)[1:]} is not text in UTF-8. Write it in UTF-8; rename a file or folder of that name."
            ) from error
        name, sign, value = word.partition("=") if word.startswith("--") else (before, "=", word)
        if sign and name in paths and not value.strip():
            raise ConfigError(f"{name} is {value!r}. Give a path.")


def _with_flags(callback: Callable[..., object]) -> Callable[..., object]:
    """Return a command that names the flags that were typed in what is wrong with their values."""

    @functools.wraps(callback)
    def named(**values: object) -> object:  # click calls a command with its options by name
        for name in _ADDRESSES:
            if values.get(name):
                _check_address(flag(name), str(values[name]))
        try:
            return callback(**values)
        except ConfigError as error:
            given = [name for name, value in values.items() if value is not None]
            raise type(error)(with_flags(str(error), given)) from error

    return named


def _check_address(name: str, address: str) -> None:
    try:
        parse_location(address)
    except StorageError as error:
        raise type(error)(f"{name}: {error}") from error


def _fail(message: str) -> int:
    console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    console.print("Error:", style="bold red", end=" ")
    console.print(message)
    return 1


def _fail_usage(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message(), err=True)
    else:
        path = "" if error.ctx is None else f" See `{error.ctx.command_path} --help`."
        _fail(_usage_message(error) + path)
    return int(error.exit_code)


def _usage_message(error: Any) -> str:
    """Say in our words what typer found wrong with a command line."""
    message = str(error.message)
    option = str(getattr(error, "option_name", ""))
    if type(error).__name__ == "NoSuchOption":
        return f"There is no option {option}.{near_options(option, [param.name for param in error.ctx.command.params])}"
    if type(error).__name__ == "MissingParameter":
        return f"{_shown(error)} is missing. Give it a value."
    if type(error).__name__ == "BadOptionUsage":
        return f"{option} needs a value." if "requires" in message else f"{option} takes no value."
    param = getattr(error, "param", None)
    if param is not None:
        return f"{_shown(error)} is {_value_of(param.opts)!r}; accepted: {_accepted(message)}."
    unknown = re.match(r"No such command '(.*)'\.", message, re.DOTALL)
    if unknown:
        names = list(error.ctx.command.commands)
        near = similar_names(unknown[1], names)
        return f"There is no command {unknown[1]}. " + (
            f"Perhaps {near[0]}?" if near else f"One of {', '.join(names)}."
        )
    extra = re.search(r"unexpected extra arguments?(?:\(s\))? \((.*)\)", message, re.DOTALL)
    return f"{extra[1]} is one word too many; an option is written --name value." if extra else message


def _shown(error: Any) -> str:
    name = str(error.param.opts[0])
    return name if name.startswith("-") else name.upper()


def _value_of(names: Sequence[str]) -> str:
    """Return the last value that was given to an option."""
    given = ""
    for before, word in pairwise(sys.argv):
        name, sign, value = word.partition("=")
        given = value if sign and name in names else word if before in names else given
    return given


def _accepted(message: str) -> str:
    for pattern, words in _ACCEPTED:
        found = re.search(pattern, message, re.DOTALL)
        if found:
            return found.expand(words).replace("'", "").rstrip(".")
    return "what --help says"
