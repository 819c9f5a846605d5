"""The templates' environments: what is not a template's own words is cleaned, bounded and escaped by default."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from embedtune.reports import numbers
from embedtune.reports.text import MAX_CHARACTERS, escape_markdown, setting, shorten

TEMPLATES = Path(__file__).parent / "templates"
_NUMBER_FILTERS: tuple[Callable[..., str], ...] = (
    numbers.score,
    numbers.exact,
    numbers.signed,
    numbers.count,
    numbers.percent,
    numbers.compact,
    numbers.duration,
    numbers.amount_of_bytes,
)


def render(template: str, context: Mapping[str, object]) -> str:
    """Fill a template.

    Args:
        template: File name in `templates/`, ending in .html or .md, which decides how texts are escaped.
        context: What the template refers to. Texts may be hostile; only `trusted` ones are taken as they are.

    Raises:
        jinja2.UndefinedError: The template refers to something that the context lacks.
    """
    environment = _markdown_environment() if template.endswith(".md") else _html_environment()
    return environment.get_template(template).render(context)


def trusted(markup: str) -> Markup:
    """Mark what this package made itself, such as a chart or a number, as needing no escape."""
    return Markup(markup)  # noqa: S704 - callers pass no user text that is not escaped yet


@cache
def _html_environment() -> Environment:
    return _environment(_html_value)


@cache
def _markdown_environment() -> Environment:
    return _environment(_markdown_value)


def _environment(finalize: Callable[[object], object]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shorten"] = shorten
    environment.filters["setting"] = setting
    environment.filters |= {function.__name__: _number_filter(function) for function in _NUMBER_FILTERS}
    return environment


def _number_filter(function: Callable[..., str]) -> Callable[[float], Markup]:
    # Escaped here because '< 0.1 %' holds a character of markup; and Markdown needs no backslash in +0.134.
    return lambda value: Markup.escape(function(value))


def _html_value(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return shorten(value, MAX_CHARACTERS)
    return value


def _markdown_value(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return trusted(escape_markdown(shorten(value, MAX_CHARACTERS)))
    return value
