"""The pages are well-formed, self-contained, bounded, and no user text becomes markup."""

import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from markdown_it import MarkdownIt

from embedtune.reports.data import DataReport, data_html, data_markdown
from embedtune.reports.evaluation import evaluation_html, evaluation_markdown
from embedtune.reports.training import training_html

VOID = {"meta", "br", "hr", "img", "input", "link"}
CASES = ["good", "champion", "rejected", "equal", "hostile", "emoji"]


class Outline(HTMLParser):
    """Checks that tags are balanced and identifiers unique, and collects what the tests ask about."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def pages(samples: SimpleNamespace, case: str) -> list[tuple[str, str]]:
    """Return (HTML, Markdown) of the three pages; that of the training has no Markdown."""
    # Four bytes a character and five after escaping are the most that a text can grow to.
    hostile = {"hostile": samples.HOSTILE, "emoji": "\N{ROCKET}'" * 5000}.get(case, "")
    report = {
        "good": samples.evaluation_report,
        "champion": samples.champion_report,
        "rejected": samples.rejected_report,
        "equal": samples.equal_report,
    }.get(case, lambda: samples.hostile_report(hostile))()
    data = samples.hostile_data(hostile) if hostile else samples.PAIRS_DATA if case == "equal" else samples.DATA
    training = samples.training_report(report)
    return [
        (evaluation_html(report), evaluation_markdown(report)),
        (training_html(training), ""),
        (data_html(DataReport(data)), data_markdown(DataReport(data))),
    ]


@pytest.fixture(scope="module", params=CASES)
def drawn(request: pytest.FixtureRequest, samples: SimpleNamespace) -> list[tuple[str, str]]:
    return pages(samples, request.param)


def test_html_is_well_formed_and_identifiers_are_unique(drawn: list[tuple[str, str]]) -> None:
    for html, _ in drawn:
        outline = Outline(html)
        identifiers = [value for _, name, value in outline.attributes if name == "id"]
        assert len(identifiers) == len(set(identifiers))
        references = " ".join(value or "" for _, name, value in outline.attributes if name == "aria-labelledby").split()
        assert set(references) <= set(identifiers)


def test_html_needs_nothing_from_outside_and_runs_nothing(drawn: list[tuple[str, str]]) -> None:
    for html, _ in drawn:
        outline = Outline(html)
        assert outline.tags.count("script") == ("queries-table" in html)
        assert not {"link", "iframe", "object", "embed", "form", "base", "img", "a"} & set(outline.tags)
        names = {name for _, name, _ in outline.attributes}
        assert not {"src", "href", "srcset", "xlink:href", "style"} & names
        assert not [name for name in names if name.startswith("on")]
        styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
        assert len(styles) == 1
        assert "url(" not in styles[0]
        assert "@import" not in styles[0]
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        found = [value for tag, name, value in outline.attributes if (tag, name) == ("meta", "content")]
        assert [value.partition("; script-src 'sha256-")[0] for value in found if value and "default" in value] == [
            policy
        ]


def test_html_can_be_heard(drawn: list[tuple[str, str]]) -> None:
    for html, _ in drawn:
        outline = Outline(html)
        assert ("html", "lang", "en") in outline.attributes
        assert outline.tags.count("h1") == outline.tags.count("main") == 1
        levels = [int(tag[1]) for tag in outline.tags if re.fullmatch("h[1-6]", tag)]
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
        headers = outline.tags.count("th")
        assert headers == sum(1 for tag, name, _ in outline.attributes if (tag, name) == ("th", "scope"))
        drawings = [name for tag, name, _ in outline.attributes if tag == "svg" and name in ("role", "aria-hidden")]
        assert len(drawings) == outline.tags.count("svg")


def test_sizes_are_bounded(drawn: list[tuple[str, str]]) -> None:
    for html, markdown in drawn:
        assert len(html.encode("utf-8")) < 1_000_000
        assert len(markdown) < 400_000


def test_pages_can_be_written_and_hold_no_control_characters(drawn: list[tuple[str, str]]) -> None:
    for page in (page for pair in drawn for page in pair):
        page.encode("utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)


def test_markdown_holds_no_raw_html_and_no_link(drawn: list[tuple[str, str]]) -> None:
    for _, markdown in drawn:
        tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
        kinds = {child.type for token in tokens for child in (token, *(token.children or ()))}
        assert not {kind for kind in kinds if kind.startswith(("html", "link", "image", "code", "fence"))}
        assert not re.search(r"(?<!\\)://", markdown)
        assert "www." not in markdown


def test_markdown_tables_have_as_many_cells_in_each_row(drawn: list[tuple[str, str]]) -> None:
    for _, markdown in drawn:
        for table in re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_hostile_text_is_shown_as_it_is(samples: SimpleNamespace) -> None:
    for html, _ in pages(samples, "hostile"):
        assert "<script>alert(1)</script></style>" in Outline(html).text
        assert "{{ 7*7 }}" in html


def test_pages_are_the_same_each_time(samples: SimpleNamespace) -> None:
    assert pages(samples, "good") == pages(samples, "good")


def test_importing_the_report_imports_nothing_slow() -> None:
    """Who makes a page has read tables for it, with numpy and pyarrow."""
    slow = "{'docarray', 'mlflow', 'PIL', 'torch', 'transformers', 'trimesh'}"
    code = f"import sys, embedtune.reports.evaluation; print(sorted({slow} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
