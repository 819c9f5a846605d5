"""The pages in a real browser: the first view, no sideways scrolling, nothing on the console."""

import dataclasses
import io
import shutil
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from embedtune.documents.gallery import Gallery, Picture, PictureGroup
from embedtune.documents.tiles import tile_shape
from embedtune.records.layouts import Modality
from embedtune.reports.data import DataReport, data_html
from embedtune.reports.evaluation import evaluation_html
from embedtune.reports.training import training_html

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PANEL = {"width": 400, "height": 550}
"""The frame in which Kubeflow Pipelines 2.17 shows an HTML artifact, in CSS pixels."""

NAMES = [
    "good",
    "rejected",
    "equal",
    "champion",
    "corpus",
    "hostile",
    "training",
    "hostile training",
    "data",
    "hostile data",
    "images",
    "captions",
    "meshes",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH"),
]
sync_api = pytest.importorskip("playwright.sync_api")


def with_pictures(samples: SimpleNamespace, modality: Modality, caption: str) -> DataReport:
    """The data page with ten labels of ten pictures, the first red, the last blue."""
    tiles = [np.full((*tile_shape(modality), 3), (250 - 2 * number, 0, 2 * number), np.uint8) for number in range(100)]
    pictures = [Picture(tile, caption) for tile in tiles]
    title = samples.HOSTILE if caption else "a label"
    groups = tuple(PictureGroup(title, tuple(pictures[start : start + 10])) for start in range(0, 100, 10))
    summary = dataclasses.replace(samples.hostile_data(samples.HOSTILE), modalities=(modality.value,))
    return DataReport(summary, Gallery(modality, groups))


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(samples: SimpleNamespace) -> dict[str, str]:
    good, hostile = samples.evaluation_report(), samples.hostile_report(samples.HOSTILE)
    return {
        "good": evaluation_html(good),
        "rejected": evaluation_html(samples.rejected_report()),
        "equal": evaluation_html(samples.equal_report()),
        "champion": evaluation_html(samples.champion_report()),
        "corpus": evaluation_html(samples.corpus_report()),
        "hostile": evaluation_html(hostile),
        "training": training_html(samples.training_report(good)),
        "hostile training": training_html(samples.training_report(hostile)),
        "data": data_html(DataReport(samples.DATA)),
        "hostile data": data_html(DataReport(samples.hostile_data(samples.HOSTILE))),
        "images": data_html(with_pictures(samples, Modality.IMAGE, "")),
        "captions": data_html(with_pictures(samples, Modality.IMAGE, samples.HOSTILE)),
        "meshes": data_html(with_pictures(samples, Modality.MESH, "")),
    }


@pytest.mark.parametrize("name", ["good", "rejected", "equal", "hostile"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_decision_and_headline_fit_the_panel(
    browser: "sync_api.Browser", pages: dict[str, str], name: str, scheme: str
) -> None:
    page = browser.new_page(viewport=PANEL, color_scheme=scheme)
    page.set_content(pages[name])
    basis = (".basis",) if name != "hostile" else ()  # a reason of 600 characters leaves no room for it
    for selector in ("h1", ".scores", ".number.gain", ".interval", ".reason", *basis):
        box = page.locator(selector).bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= PANEL["height"], selector
        assert box["x"] + box["width"] <= PANEL["width"], selector
    tops = [box["y"] for box in (item.bounding_box() for item in page.locator(".number dd").all()) if box]
    assert len(tops) == 3
    assert len(set(tops)) == 1
    page.close()


@pytest.mark.parametrize("name", ["champion", "corpus"])
def test_both_headlines_and_the_reason_fit_the_panel(
    browser: "sync_api.Browser", pages: dict[str, str], name: str
) -> None:
    page = browser.new_page(viewport=PANEL)
    page.set_content(pages[name])
    for selector in ("h1", ".scores", ".interval >> nth=0", ".interval >> nth=1", ".reason >> nth=0"):
        box = page.locator(selector).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= PANEL["height"], selector
        assert box["x"] + box["width"] <= PANEL["width"], selector
    page.close()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_scrolls_sideways_and_the_console_is_silent(
    browser: "sync_api.Browser", pages: dict[str, str], name: str
) -> None:
    page = browser.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url))
    page.set_content(pages[name])
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    for width in (360, 390, 400, 800, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
    assert heard == []
    page.close()


def test_it_works_in_the_frame_that_kubeflow_uses(browser: "sync_api.Browser", pages: dict[str, str]) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_content("<iframe sandbox='allow-scripts' width=400 height=550></iframe>")
    page.locator("iframe").evaluate("(frame, html) => { frame.srcdoc = html }", pages["good"])
    frame = page.frame_locator("iframe")
    frame.get_by_text("All settings of the training").click()
    frame.get_by_text("How to read this page").click()
    assert frame.locator("h1").inner_text().strip() == "Better than the base"
    assert frame.get_by_text("Paired bootstrap").is_visible()
    assert frame.get_by_text("train_options").is_visible()
    page.close()


@pytest.mark.parametrize("name", ["images", "captions", "meshes"])
@pytest.mark.parametrize("width", [400, 1400])
def test_each_tile_shows_its_own_picture(
    browser: "sync_api.Browser", pages: dict[str, str], name: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, device_scale_factor=2)
    page.set_content(pages[name])
    tiles = page.locator(".tile")
    assert tiles.count() == 100
    for number in (0, 9, 10, 57, 99):
        shot = Image.open(io.BytesIO(tiles.nth(number).screenshot())).convert("RGB")
        assert shot.width >= 90
        for place in ((0.1, 0.1), (0.5, 0.5), (0.9, 0.9)):
            color = shot.getpixel((int(place[0] * shot.width), int(place[1] * shot.height)))
            assert np.allclose(color, (250 - 2 * number, 0, 2 * number), atol=8), (number, color)
    page.close()


def test_pictures_work_in_the_frame_that_kubeflow_uses(browser: "sync_api.Browser", pages: dict[str, str]) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_content("<iframe sandbox='allow-scripts' width=400 height=550></iframe>")
    page.locator("iframe").evaluate("(frame, html) => { frame.srcdoc = html }", pages["images"])
    tile = page.frame_locator("iframe").locator(".tile").first
    tile.scroll_into_view_if_needed()
    shot = Image.open(io.BytesIO(tile.screenshot())).convert("RGB")
    assert np.allclose(shot.getpixel((shot.width // 2, shot.height // 2)), (250, 0, 0), atol=8)
    page.close()


def texts(page: "sync_api.Page") -> list[str]:
    """The queries that can be seen, from above."""
    return [item.inner_text() for item in page.locator("#queries-table tbody th").all() if item.is_visible()]


def queries(page: "sync_api.Page | sync_api.FrameLocator") -> "sync_api.Locator":
    return page.get_by_role("region", name="Worst queries")


def column(page: "sync_api.Page", number: int) -> list[str]:
    return page.locator(f"#queries-table tbody tr td:nth-child({number})").all_inner_texts()


@pytest.mark.parametrize("width", [390, 1400])
def test_queries_are_found_by_text_and_label(
    browser: "sync_api.Browser", pages: dict[str, str], samples: SimpleNamespace, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_content(pages["good"])
    field = page.get_by_role("searchbox", name="Show only texts or labels with")
    status = queries(page).get_by_role("status")
    assert len(texts(page)) == 60
    assert status.inner_text() == ""
    field.fill("  JOG? (1")
    assert texts(page) == [f"Should I wear a mask when I jog? ({number})" for number in (10, 14, 18)]
    assert status.inner_text() == "3 of 60 shown"
    field.fill("surface")
    assert len(texts(page)) == 15
    field.fill("0.877")
    assert texts(page) == []
    assert status.inner_text() == "0 of 60 shown"
    field.fill("")
    assert len(texts(page)) == 60
    page.close()


def test_queries_are_sorted_by_any_column_with_the_keyboard(browser: "sync_api.Browser", pages: dict[str, str]) -> None:
    page = browser.new_page()
    page.set_content(pages["champion"])
    queries(page).get_by_role("searchbox").focus()
    heard = []
    for _ in range(6):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        heard.append(focused.inner_text())
        assert focused.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    assert heard == ["Query", "Label", "Base", "Tuned", "Champion", "Change"]
    page.keyboard.press("Enter")
    changes = [float(text[2:].replace("\N{MINUS SIGN}", "-")) for text in column(page, 6)]
    assert changes == sorted(changes)
    assert queries(page).get_by_role("status").inner_text() == "60 of 60 shown, sorted by Change, ascending"
    sorts = page.locator("#queries-table th").evaluate_all("all => all.map(one => one.getAttribute('aria-sort'))")
    assert [sort for sort in sorts if sort] == ["ascending"]
    page.keyboard.press("Enter")
    changes = [float(text[2:].replace("\N{MINUS SIGN}", "-")) for text in column(page, 6)]
    assert changes == sorted(changes, reverse=True)
    for order in ("ascending", "descending"):
        queries(page).get_by_role("button", name="Champion").click()
        assert queries(page).get_by_role("columnheader", name="Champion").get_attribute("aria-sort") == order
        assert column(page, 5) == ["0.250"] * 40 + ["\N{EN DASH}"] * 20
    queries(page).get_by_role("button", name="Label").click()
    assert column(page, 2) == sorted(column(page, 2))
    page.close()


def test_labels_have_a_filter_and_an_order_of_their_own(browser: "sync_api.Browser", pages: dict[str, str]) -> None:
    page = browser.new_page()
    page.set_content(pages["good"])
    labels = page.get_by_role("region", name="Labels", exact=True)
    labels.get_by_role("searchbox", name="Show only labels with").fill("S")
    assert labels.get_by_role("status").inner_text() == "4 of 4 shown"
    labels.get_by_role("searchbox").fill("SU")
    assert labels.get_by_role("status").inner_text() == "1 of 4 shown"
    labels.get_by_role("searchbox").fill("")
    labels.get_by_role("button", name="Queries").click()
    assert labels.locator("tbody th").all_inner_texts() == ["animals", "surface survival", "masks", "basics"]
    labels.get_by_role("button", name="Queries").click()
    assert labels.locator("tbody th").all_inner_texts() == ["basics", "masks", "surface survival", "animals"]
    assert len(texts(page)) == 60
    assert queries(page).get_by_role("columnheader", name="Tuned").get_attribute("aria-sort") == "ascending"
    page.close()


def test_the_table_stands_already_sorted_where_no_script_runs(
    browser: "sync_api.Browser", pages: dict[str, str]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(pages["good"])
    assert page.locator("#queries-table tbody th").count() == 60
    assert queries(page).get_by_role("columnheader", name="Tuned").get_attribute("aria-sort") == "ascending"
    assert page.get_by_role("searchbox").count() == 0
    assert page.locator("button").count() == 0
    context.close()


@pytest.mark.parametrize(
    "foreign",
    [
        "<script>document.title = 'taken'</script>",
        "<img src=x onerror=\"document.title = 'taken'\">",
        "<a id=link href=\"javascript:document.title = 'taken'\">go</a>",
    ],
)
def test_the_policy_stops_any_script_but_the_pages_own(
    browser: "sync_api.Browser", pages: dict[str, str], foreign: str
) -> None:
    page = browser.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.set_content(pages["good"].replace("</main>", f"{foreign}</main>", 1))
    if "link" in foreign:
        page.locator("#link").click()
    queries(page).get_by_role("searchbox").fill("jog")
    assert queries(page).get_by_role("status").inner_text() == "15 of 60 shown"
    assert page.title().startswith("Better than the base")
    assert any("Content Security Policy" in text for text in heard)
    page.close()


def test_filter_and_sort_work_in_the_frame_that_kubeflow_uses(
    browser: "sync_api.Browser", pages: dict[str, str]
) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_content("<iframe sandbox='allow-scripts' width=400 height=550></iframe>")
    page.locator("iframe").evaluate("(frame, html) => { frame.srcdoc = html }", pages["hostile"])
    frame = page.frame_locator("iframe")
    queries(frame).get_by_role("searchbox").fill("<script>alert(1)")
    assert queries(frame).get_by_role("status").inner_text() == "200 of 200 shown"
    queries(frame).get_by_role("button", name="Tuned").click()
    assert queries(frame).get_by_role("status").inner_text() == "200 of 200 shown, sorted by Tuned, descending"
    page.close()
