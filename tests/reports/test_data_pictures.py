"""The data page of images and meshes, and what it says of sizes, groups and rows that were set aside."""

import dataclasses
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
from markdown_it import MarkdownIt

from embedtune.documents.gallery import Gallery, Picture, PictureGroup
from embedtune.documents.summary import MediaSummary
from embedtune.records.layouts import Modality
from embedtune.reports.data import DataReport, data_html, data_markdown

MEDIA = MediaSummary("image", 900, 2, ((1024, 500), (2048, 400)), ((32, 900),), (("28 × 28", 890), ("32 × 20", 8)))


def words(html: str) -> str:
    body = html[html.index("<body>") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " ")


def picture(caption: str = "", readable: bool = True, width: int = 96) -> Picture:
    return Picture(np.full((96, width, 3), 99, np.uint8), caption, readable)


def report(samples: SimpleNamespace, **changes: object) -> DataReport:
    summary = dataclasses.replace(samples.DATA, modalities=("image",), media=(MEDIA,))
    groups = tuple(PictureGroup(label, (picture(), picture())) for label in ("symptoms", "masks"))
    return DataReport(dataclasses.replace(summary, **changes), Gallery(Modality.IMAGE, groups))


def hostile(samples: SimpleNamespace) -> DataReport:
    text = samples.HOSTILE
    summary = dataclasses.replace(
        samples.hostile_data(text),
        modalities=("text", "image"),
        layout="text-image",
        media=(dataclasses.replace(MEDIA, shapes=((text, 3),)),),
        largest_groups=((text, 9),),
        set_aside=((text, 5, text),) * 30,
        gain_histogram=((0.5, 3), (1.0, 9)),
        length_histogram=((1, 3), (2, 5)),
    )
    groups = tuple(PictureGroup(text, (picture(text, number % 2 == 0),) * 4) for number in range(10))
    return DataReport(summary, Gallery(Modality.IMAGE, groups), ((text, 8, text),), is_trial=True)


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_pictures_stand_below_their_label(samples: SimpleNamespace) -> None:
    html = data_html(report(samples))
    assert "Some of the images symptoms 342 masks 311 Chosen at random" in words(html)
    tiles = [attributes for tag, attributes in Tags(html).found if tag == "span" and "role" in attributes]
    assert [tile["class"] for tile in tiles] == ["tile t0", "tile t1", "tile t2", "tile t3"]
    assert [tile["aria-label"] for tile in tiles] == ["symptoms", "symptoms", "masks", "masks"]
    assert html.count("data:image/jpeg;base64,") == 1


def test_words_of_texts_are_no_words_of_images(samples: SimpleNamespace) -> None:
    text = words(data_html(report(samples)))
    assert "Data / images with labels" in text
    assert "Median words" not in text
    assert "Longer side in pixels Up to Images 32 900" in text
    assert "Bytes as stored Up to Images 1 KiB 500 2 KiB 400" in text
    assert "900 different images. Most frequent: 28 × 28 pixels (890), 32 × 20 pixels (8). 2 cannot be opened." in text


def test_a_text_has_no_pictures(samples: SimpleNamespace) -> None:
    html = data_html(DataReport(samples.DATA))
    assert "Some of the" not in html
    assert "data:image" not in html
    assert "Median words" in html


def test_meshes(samples: SimpleNamespace) -> None:
    gallery = Gallery(Modality.MESH, (PictureGroup("chair", (picture(width=288),)),))
    summary = dataclasses.replace(samples.DATA, modalities=("mesh",))
    html = data_html(DataReport(summary, gallery))
    assert "data:image/png;base64," in html
    assert "each mesh from two sides and from above" in words(html)


def test_what_cannot_be_drawn_is_said(samples: SimpleNamespace) -> None:
    gallery = Gallery(Modality.IMAGE, (PictureGroup("", (picture(), picture(readable=False))),))
    html = data_html(dataclasses.replace(report(samples), gallery=gallery))
    labels = [
        attributes["aria-label"] for tag, attributes in Tags(html).found if "tile" in (attributes.get("class") or "")
    ]
    assert labels == ["picture", "cannot be drawn"]
    assert "A crossed-out picture cannot be drawn." in words(html)
    assert "A crossed-out" not in words(data_html(report(samples)))


def test_captions(samples: SimpleNamespace) -> None:
    gallery = Gallery(Modality.IMAGE, (PictureGroup("", (picture("a red shoe"), picture("كلب كبير"))),))
    html = data_html(dataclasses.replace(report(samples), gallery=gallery))
    assert '<p dir="auto">a red shoe</p>' in html
    assert '<p dir="auto">كلب كبير</p>' in html


def test_reasons_of_reading_and_building_are_one_table(samples: SimpleNamespace) -> None:
    summary = dataclasses.replace(samples.DATA, set_aside=(("several labels", 14, "'a', 'b'"),))
    text = words(data_html(DataReport(summary, rejected=(("no label", 30, "x,"),))))
    assert "44 set aside" in text
    assert "Reason Rows The first one no label 30 x, several labels 14 &#39;a&#39;, &#39;b&#39;" in text
    assert "| no label | 30 | x, |" in data_markdown(DataReport(summary, rejected=(("no label", 30, "x,"),)))


def test_groups_that_are_labels_are_not_told_twice(samples: SimpleNamespace) -> None:
    labels = dataclasses.replace(samples.DATA, largest_groups=(("label 'symptoms' with 342 documents", 342),))
    joined = dataclasses.replace(samples.DATA, largest_groups=(("label 'symptoms' with 342 documents", 653),))
    assert "Largest groups" not in data_html(DataReport(labels))
    assert "Joined by Documents label &#39;symptoms&#39; with 342 documents 653" in words(data_html(DataReport(joined)))


def test_leaks_and_a_trial(samples: SimpleNamespace) -> None:
    summary = dataclasses.replace(samples.DATA, compared_contents=2073, shared_contents=3)
    text = words(data_html(DataReport(summary, is_trial=True)))
    assert "Leaks 3 of 2,073 held-out contents are in training too" in text
    assert "Nothing was built: this is the split that a run would make." in text
    assert "Trial split" in text


def test_scores_have_a_histogram_but_equal_ones_none(samples: SimpleNamespace) -> None:
    scored = dataclasses.replace(samples.PAIRS_DATA, layout="scored", gain_histogram=((0.0, 5), (0.5, 10)))
    assert "Score of the judged pairs Score Pairs 0 5 0.5 10" in words(data_html(DataReport(scored)))
    pairs = dataclasses.replace(samples.PAIRS_DATA, gain_histogram=((1.0, 500),))
    assert "of the judged pairs" not in data_html(DataReport(pairs))


def test_plain_texts_have_neither_labels_nor_queries(samples: SimpleNamespace) -> None:
    nothing = dataclasses.replace(samples.DATA.query, documents=0)
    summary = dataclasses.replace(
        samples.DATA, layout="plain", query=nothing, index=nothing, split_rule="none", examples=(("a text", ""),)
    )
    text = words(data_html(DataReport(summary)))
    assert "Queries" not in text
    assert "Examples Text a text" in text
    assert "Part Documents Median words" in text


def test_hostile_texts_stay_texts(samples: SimpleNamespace) -> None:
    html, markdown = data_html(hostile(samples)), data_markdown(hostile(samples))
    assert not {"script", "img", "iframe"} & {tag for tag, _ in Tags(html).found}
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    kinds = {child.type for token in tokens for child in (token, *(token.children or ()))}
    assert not {kind for kind in kinds if kind.startswith(("html", "link", "image", "code", "fence"))}
    for page in (html, markdown):
        assert len(page.encode()) < 1_200_000
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)


def test_a_page_with_pictures_runs_and_fetches_nothing(samples: SimpleNamespace) -> None:
    html = data_html(hostile(samples))
    (styles,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert re.findall(r"url\(([a-z:/]+)", styles) == ["data:image/jpeg"]
    assert "@import" not in styles
    names = {name for _, attributes in Tags(html).found for name in attributes}
    assert not {"src", "href", "srcset", "style"} & names
    assert not [name for name in names if name.startswith("on")]
