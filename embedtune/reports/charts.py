"""Charts as SVG text: pure functions of numbers, styled by the page's style sheet (class names below).

A drawing is scaled to the width it is given, so its text is sized by the style sheet: large enough on a narrow frame.
"""

import math
from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT = 360, 206
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 26, 36
_PLOT_WIDTH, _PLOT_HEIGHT = 240, 28
_MAX_POINTS = 600
"""A longer line is thinned to this; a screen has no more columns to show it."""


def line_chart(
    points: Sequence[tuple[float, float]],
    x_label: str,
    y_label: str,
    name: str,
    title: str,
    description: str,
    marked: tuple[float, float] | None = None,
) -> str:
    """Draw one line, with a dot at one of its points.

    Args:
        points: (x, y) by ascending x, at least one.
        x_label: What the horizontal axis shows, with its unit.
        y_label: What the vertical axis shows, with its unit.
        name: Identifier, unique in the page.
        title: What the chart is, for those who hear the page.
        description: What the chart shows, for those who hear the page.
        marked: The point with the dot; None: the last.

    Raises:
        ValueError: There is no point, or a coordinate is not a finite number.
    """
    if not points or not all(math.isfinite(value) for point in points for value in point):
        raise ValueError(f"A line chart takes at least one point and finite numbers only, not {list(points)[:5]!r}.")
    y_ticks = ticks(min(y for _, y in points), max(y for _, y in points))
    x_low, x_high = _widened(points[0][0], points[-1][0])
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    drawn = [
        (
            _position(x, (x_low, x_high), (_LEFT, right)),
            _position(y, (y_ticks[0], y_ticks[-1]), (bottom, _TOP)),
        )
        for x, y in (*thin(points, _MAX_POINTS), points[-1] if marked is None else marked)
    ]
    dot_x, dot_y = drawn.pop()
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
    parts = [
        _open("line-chart", (_WIDTH, _HEIGHT), name, title, description),
        *_y_axis(y_ticks, right, bottom),
        *_x_axis(_x_ticks(points, (x_low, x_high)), (x_low, x_high), bottom),
        f'<text class="axis" x="2" y="12">{escape(y_label)}</text>',
        f'<text class="axis end" x="{right}" y="{_HEIGHT - 4}">{escape(x_label)}</text>',
        f'<polyline class="line" points="{path}"/>',
        f'<circle class="dot" cx="{dot_x:.1f}" cy="{dot_y:.1f}" r="3"/>',
        "</svg>",
    ]
    return "".join(parts)


def interval_plot(
    estimate: float, interval: tuple[float, float], scale: tuple[float, float], name: str, title: str, description: str
) -> str:
    """Draw an estimate with its confidence interval beside a zero line.

    The dot is hollow where the interval holds zero, so that certainty shows without colour.

    Args:
        estimate: The difference.
        interval: Its lower and upper bound.
        scale: Values at the left and right edge; holds zero and the interval. See `common_scale`.
        name: Identifier, unique in the page.
        title: What the plot is, for those who hear the page.
        description: What the plot shows, for those who hear the page.

    Raises:
        ValueError: A number is not finite or outside the scale.
    """
    values = (estimate, *interval)
    if not all(math.isfinite(value) and scale[0] <= value <= scale[1] for value in (*values, 0.0)):
        raise ValueError(f"An interval plot takes finite numbers and zero within its scale {scale!r}, not {values!r}.")
    middle, edges = _PLOT_HEIGHT / 2, (6.0, _PLOT_WIDTH - 6.0)
    dot, lower, upper, zero = (_position(value, scale, edges) for value in (estimate, *interval, 0.0))
    kind = _kind(interval)
    parts = [
        _open(f"interval-plot {kind}", (_PLOT_WIDTH, _PLOT_HEIGHT), name, title, description),
        f'<line class="track" x1="0" y1="{middle:g}" x2="{_PLOT_WIDTH}" y2="{middle:g}"/>',
        f'<line class="zero" x1="{zero:.1f}" y1="1" x2="{zero:.1f}" y2="{_PLOT_HEIGHT - 1}"/>',
        f'<text class="tick" x="{zero - 5:.1f}" y="8" text-anchor="end">0</text>',
        f'<line class="span" x1="{lower:.1f}" y1="{middle:g}" x2="{upper:.1f}" y2="{middle:g}"/>',
        *(
            f'<line class="span" x1="{x:.1f}" y1="{middle - 4:g}" x2="{x:.1f}" y2="{middle + 4:g}"/>'
            for x in (lower, upper)
        ),
        f'<circle class="dot" cx="{dot:.1f}" cy="{middle:g}" r="4.5"/>',
        "</svg>",
    ]
    return "".join(parts)


def bar(share: float) -> str:
    """Draw a horizontal bar; the number it stands for belongs beside it, so those who hear the page skip the drawing.

    Args:
        share: Length of the bar as a share of the longest, 0..1.
    """
    width = max(100 * share, 0.5)
    return (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<rect width="{width:.1f}" height="8"/></svg>'
    )


def common_scale(values: Sequence[float]) -> tuple[float, float]:
    """Return left and right edge of a scale that holds all values and zero, with a little air on both sides."""
    low, high = min(0.0, *values), max(0.0, *values)
    air = 0.12 * (high - low) if high > low else 0.05
    return low - air, high + air


def _x_ticks(points: Sequence[tuple[float, float]], scale: tuple[float, float]) -> list[float]:
    """Return the round values on a horizontal axis; of steps, which are counted, only whole ones."""
    counted = all(x == int(x) for x, _ in points)
    return [tick for tick in ticks(*scale) if scale[0] <= tick <= scale[1] and (not counted or tick == int(tick))]


def ticks(low: float, high: float) -> tuple[float, ...]:
    """Return about five round numbers, equally far apart, of which the first and last enclose low and high."""
    low, high = _widened(low, high)
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    return tuple(index * step for index in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1))


def thin(points: Sequence[tuple[float, float]], limit: int) -> list[tuple[float, float]]:
    """Return at most `limit` points: the lowest and highest of each stretch, so that no spike is lost.

    The last point is always kept.

    Args:
        points: (x, y) by ascending x.
        limit: At least 4.
    """
    if len(points) <= limit:
        return list(points)
    stretches = (limit - 2) // 2
    kept: set[int] = {0, len(points) - 1}
    for number in range(stretches):
        stretch = range(number * len(points) // stretches, (number + 1) * len(points) // stretches)
        kept.add(min(stretch, key=lambda index: points[index][1]))
        kept.add(max(stretch, key=lambda index: points[index][1]))
    return [points[index] for index in sorted(kept)]


def _open(kind: str, size: tuple[int, int], name: str, title: str, description: str) -> str:
    identifier = escape(name)
    return (
        f'<svg class="{kind}" viewBox="0 0 {size[0]} {size[1]}" role="img" '
        f'aria-labelledby="{identifier}-title {identifier}-description">'
        f'<title id="{identifier}-title">{escape(title)}</title>'
        f'<desc id="{identifier}-description">{escape(description)}</desc>'
    )


def _y_axis(values: Sequence[float], right: float, bottom: float) -> list[str]:
    parts = []
    for value, label in zip(values, _tick_labels(values), strict=True):
        y = _position(value, (values[0], values[-1]), (bottom, _TOP))
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick end" x="{_LEFT - 6}" y="{y:.1f}" dy="0.33em">{label}</text>')
    return parts


def _x_axis(values: Sequence[float], domain: tuple[float, float], bottom: float) -> list[str]:
    parts = []
    for value, label in zip(values, _tick_labels(values), strict=True):
        x = _position(value, domain, (_LEFT, _WIDTH - _RIGHT))
        parts.append(f'<line class="mark" x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 4}"/>')
        parts.append(f'<text class="tick middle" x="{x:.1f}" y="{bottom + 6}" dy="0.9em">{label}</text>')
    return parts


def _tick_labels(values: Sequence[float]) -> list[str]:
    """Write evenly spaced numbers with as many decimals as their distance needs."""
    decimals = max(0, -math.floor(math.log10(values[1] - values[0]) + 1e-9)) if len(values) > 1 else 0
    plain = decimals <= 4 and max(abs(value) for value in values) < 100_000
    labels = [f"{value:.{decimals}f}" if plain else f"{value:.3g}" for value in values]
    return [label.replace("-", "\N{MINUS SIGN}", 1) if label.startswith("-") else label for label in labels]


def _kind(interval: tuple[float, float]) -> str:
    if interval[0] > 0:
        return "better"
    if interval[1] < 0:
        return "worse"
    return "unclear"


def _widened(low: float, high: float) -> tuple[float, float]:
    """Give a range that is too small to draw a width of its own."""
    least = max(abs(low), abs(high), 1e-6) * 1e-3
    if high - low >= least:
        return low, high
    half = max(abs(low), abs(high)) / 2 or 0.5
    return low - half, high + half


def _position(value: float, domain: tuple[float, float], pixels: tuple[float, float]) -> float:
    return pixels[0] + (value - domain[0]) / (domain[1] - domain[0]) * (pixels[1] - pixels[0])
