"""Charts are drawn where the numbers say."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedtune.reports.charts import bar, common_scale, interval_plot, line_chart, thin, ticks

finite = st.floats(-1e6, 1e6, allow_nan=False)


def chart(points: list[tuple[float, float]]) -> str:
    return line_chart(points, "step", "loss", "loss", "Loss <by> step", "Falls & falls.")


def line_points(svg: str) -> list[tuple[float, float]]:
    found = re.search(r'<polyline class="line" points="([^"]*)"', svg)
    assert found is not None
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in found[1].split())]


def test_line_goes_from_corner_to_corner() -> None:
    assert line_points(chart([(0, 0.0), (5, 0.5), (10, 1.0)])) == [(46.0, 170.0), (197.0, 98.0), (348.0, 26.0)]


@pytest.mark.parametrize(("marked", "place"), [(None, ("348.0", "26.0")), ((5, 0.5), ("197.0", "98.0"))])
def test_a_dot_is_at_the_marked_point_or_the_last(marked: tuple[float, float] | None, place: tuple[str, str]) -> None:
    points = [(0, 0.0), (5, 0.5), (10, 1.0)]
    svg = line_chart(points, "epoch", "nDCG@10", "n", "t", "d", marked)
    (dot,) = ElementTree.fromstring(svg).iter("circle")
    assert (dot.get("cx"), dot.get("cy")) == place
    assert line_points(svg) == line_points(chart(points))


def test_axes_are_labelled_and_ticked() -> None:
    texts = [text.text for text in ElementTree.fromstring(chart([(0, 0.0), (10, 1.0)])).iter("text")]
    assert texts == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0", "0", "2", "4", "6", "8", "10", "loss", "step"]


@pytest.mark.parametrize(("last", "shown"), [(3, ["1", "2", "3"]), (2.5, ["1.0", "1.5", "2.0", "2.5"])])
def test_only_counted_steps_have_whole_ticks(last: float, shown: list[str]) -> None:
    texts = [text.text for text in ElementTree.fromstring(chart([(1, 0.0), (last, 1.0)])).iter("text")]
    assert [text for text in texts if text not in ("loss", "step")][6:] == shown


def test_title_and_description_are_escaped_and_referred_to() -> None:
    svg = ElementTree.fromstring(chart([(0, 1.0)]))
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == "loss-title loss-description"
    assert (svg[0].text, svg[1].text) == ("Loss <by> step", "Falls & falls.")
    assert (svg[0].get("id"), svg[1].get("id")) == ("loss-title", "loss-description")


@pytest.mark.parametrize("points", [[(7, 0.4)], [(0, 0.0)], [(1, 2.0), (2, 2.0)], [(1, -1.0), (2, 1e-12)]])
def test_flat_and_single_histories_can_be_drawn(points: list[tuple[float, float]]) -> None:
    assert all(46 <= x <= 348 and 26 <= y <= 170 for x, y in line_points(chart(points)))


@pytest.mark.parametrize("points", [[], [(1, float("nan"))], [(1, 1.0), (2, float("inf"))]])
def test_what_cannot_be_drawn_is_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        chart(points)


@given(st.lists(finite, min_size=1, max_size=30))
def test_every_line_stays_in_its_frame(losses: list[float]) -> None:
    svg = chart([(float(step), loss) for step, loss in enumerate(losses)])
    ElementTree.fromstring(svg)
    assert all(45.9 <= x <= 348.1 and 25.9 <= y <= 170.1 for x, y in line_points(svg))


def test_ticks_are_round_and_enclose() -> None:
    assert ticks(0.3439, 2.379) == (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
    assert ticks(2, 396) == (0.0, 100.0, 200.0, 300.0, 400.0)


@given(finite, finite)
def test_ticks_enclose_everything(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    found = ticks(low, high)
    tolerance = 1e-6 * max(abs(low), abs(high), 1e-6)
    assert found[0] <= low + tolerance
    assert found[-1] >= high - tolerance
    assert 2 <= len(found) <= 8


def test_interval_plot_is_to_scale() -> None:
    svg = ElementTree.fromstring(interval_plot(0.5, (0.25, 1.0), (-1.0, 1.0), "n", "t", "d"))
    lines = [(line.get("class"), line.get("x1"), line.get("x2")) for line in svg.iter("line")]
    assert lines == [
        ("track", "0", "240"),
        ("zero", "120.0", "120.0"),
        ("span", "148.5", "234.0"),
        ("span", "148.5", "148.5"),
        ("span", "234.0", "234.0"),
    ]
    assert [circle.get("cx") for circle in svg.iter("circle")] == ["177.0"]


@pytest.mark.parametrize(
    ("interval", "kind"),
    [((0.1, 0.2), "better"), ((-0.2, -0.1), "worse"), ((-0.1, 0.1), "unclear"), ((0, 0), "unclear")],
)
def test_interval_plot_says_where_zero_lies(interval: tuple[float, float], kind: str) -> None:
    middle = (interval[0] + interval[1]) / 2
    assert f'class="interval-plot {kind}"' in interval_plot(middle, interval, (-1, 1), "n", "t", "d")


@pytest.mark.parametrize(("estimate", "interval"), [(float("nan"), (0, 1)), (0.5, (0, 2)), (0.5, (float("-inf"), 1))])
def test_interval_outside_the_scale_is_refused(estimate: float, interval: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="within its scale"):
        interval_plot(estimate, interval, (-1, 1), "n", "t", "d")


def test_common_scale_holds_zero_and_everything() -> None:
    assert common_scale([0.1, 0.2]) == pytest.approx((-0.024, 0.224))
    assert common_scale([-0.1, 0.1]) == pytest.approx((-0.124, 0.124))
    assert common_scale([0.0, 0.0]) == (-0.05, 0.05)


def test_thin_keeps_every_spike() -> None:
    points = [(float(x), 0.0) for x in range(10_000)]
    points[1234] = (1234.0, 9.0)
    points[8765] = (8765.0, -9.0)
    thinned = thin(points, 100)
    assert len(thinned) <= 100
    assert {points[0], points[1234], points[8765], points[-1]} <= set(thinned)
    assert thinned == sorted(thinned)


def test_thin_leaves_a_short_line_alone() -> None:
    assert thin([(0, 1), (1, 2)], 4) == [(0, 1), (1, 2)]


def test_bar_is_as_long_as_its_share() -> None:
    assert '<rect width="25.0" height="8"/>' in bar(0.25)
    assert 'aria-hidden="true"' in bar(0.25)
