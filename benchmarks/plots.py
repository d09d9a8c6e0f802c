"""One SVG per question: bars with their targets, or lines over sizes.

The SVGs have colours for light and dark pages, and nothing that identifies the machine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from benchmarks.report import TIMES, Figure, Ratio, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.report import Result, Series

WIDTH = 960
_LABELS = 420  # where the bars begin
_BAR = 250  # from there to the right end of the bars
_ROW = 24
_HEAD = 58

_STYLE = """
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.quiet { fill: #59636e; font-size: 12px; }
.met { fill: #2c7d7a; } .missed { fill: #c4621b; } .plain { fill: #8792a2; }
.whisker { stroke: #1f2328; stroke-width: 1.2; } .mark { stroke: #1f2328; stroke-width: 1.6; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.line0 { stroke: #2c7d7a; } .line1 { stroke: #c4621b; } .line2 { stroke: #6d5bc7; }
.line3 { stroke: #a7739f; } .line4 { stroke: #8792a2; }
.dot3 { fill: #a7739f; } .dot4 { fill: #8792a2; }
.dot0 { fill: #2c7d7a; } .dot1 { fill: #c4621b; } .dot2 { fill: #6d5bc7; }
.line { fill: none; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .quiet { fill: #9198a1; }
  .met { fill: #4fb3ae; } .missed { fill: #e58a45; } .plain { fill: #6e7887; }
  .whisker, .mark { stroke: #e6edf3; } .grid { stroke: #3d444d; }
  .line0 { stroke: #4fb3ae; } .line1 { stroke: #e58a45; } .line2 { stroke: #a99bf0; }
  .line3 { stroke: #d3a3cc; } .line4 { stroke: #9198a1; }
  .dot3 { fill: #d3a3cc; } .dot4 { fill: #9198a1; }
  .dot0 { fill: #4fb3ae; } .dot1 { fill: #e58a45; } .dot2 { fill: #a99bf0; }
}
"""


def drawing(result: Result, *, date: str, machine: str) -> str:
    """Return the plot of one question as an SVG."""
    below = f"{date}, {machine}"
    if result.series:
        return _lines(result.title, result.series, below)
    return _bars(result.title, [figure for figure in result.figures if figure.drawn], below)


def _bars(title: str, figures: list[Figure], below: str) -> str:
    """One bar per figure. All targets are at the same place, so that figures of any unit can be compared."""
    height = _HEAD + _ROW * len(figures) + 34
    parts = [
        _text(16, 26, title, "title"),
        _text(
            16,
            46,
            "vertical mark: the target, or 1; thin line: from the lowest to the highest round",
            "quiet",
        ),
    ]
    for row, figure in enumerate(figures):
        y = _HEAD + _ROW * row
        parts.append(_text(16, y + 15, figure.name))
        parts += _bar(figure, y)
        said = f"{number(figure.value)}{_unit(figure)}"
        parts.append(_text(_LABELS + _BAR + 14, y + 15, said))
        if figure.target is not None:
            kept = "" if figure.met else ", missed"
            parts.append(_text(_LABELS + _BAR + 110, y + 15, f"target {figure.target}{kept}", "quiet"))
    parts.append(_text(16, height - 12, below, "quiet"))
    return _svg(height, title, parts)


def _bar(figure: Figure, y: int) -> Iterable[str]:
    mark = figure.target.limit if figure.target is not None else 1.0
    if figure.target is None and not isinstance(figure, Ratio):
        return  # there is nothing to compare it with
    shown = figure.summary
    place = _Place(mark)
    kind = {True: "met", False: "missed", None: "plain"}[figure.met]
    length = _fixed(place(shown.median) - _LABELS)
    yield f'<rect class="{kind}" x="{_LABELS}" y="{y + 4}" width="{length}" height="14" rx="2"/>'
    if shown.high > shown.low:
        low, high = place(shown.low), place(shown.high)
        yield f'<line class="whisker" x1="{_fixed(low)}" x2="{_fixed(high)}" y1="{y + 11}" y2="{y + 11}"/>'
    at = _fixed(place(mark))
    yield f'<line class="mark" x1="{at}" x2="{at}" y1="{y + 1}" y2="{y + 21}"/>'


class _Place:
    """The x coordinate of a value; a bar is at most twice as long as the distance to the mark."""

    def __init__(self, mark: float) -> None:
        self._mark = mark or 1.0

    def __call__(self, value: float) -> float:
        return _LABELS + _BAR * min(1.0, max(0.0, value / self._mark / 2))


def _lines(title: str, series: list[Series], below: str) -> str:
    """One line per series. The axis of values is logarithmic if they span more than one power of ten."""
    left, top, right, bottom = 70, 66, WIDTH - 310, 330
    height = bottom + 66
    sizes = [size for each in series for size, _ in each.points]
    values = [value for each in series for _, value in each.points]
    x, x_ticks = _axis(sizes, left, right, powers=series[0].powers)
    y, y_ticks = _axis(values, bottom, top, powers=max(values) >= 10 * min(values))
    parts = [_text(16, 26, title, "title"), _text(left, 52, series[0].unit, "quiet")]
    for tick in y_ticks:
        at = _fixed(y(tick))
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(_text(left - 8, y(tick) + 4, number(tick), "quiet", anchor="end"))
    parts += [_text(x(tick), bottom + 20, number(tick), "quiet", anchor="middle") for tick in x_ticks]
    ends: list[float] = []
    for index, each in enumerate(series):
        points = [(x(size), y(value)) for size, value in each.points]
        path = " ".join(f"{_fixed(at_x)},{_fixed(at_y)}" for at_x, at_y in points)
        parts.append(f'<polyline class="line line{index % 5}" points="{path}"/>')
        parts += [
            f'<circle class="dot{index % 5}" cx="{_fixed(at_x)}" cy="{_fixed(at_y)}" r="3"/>'
            for at_x, at_y in points
            if len(points) < 20
        ]
        end = points[-1][1]
        while any(abs(end - other) < 17 for other in ends):
            end += 1  # labels must not cover one another
        ends.append(end)
        parts.append(f'<circle class="dot{index % 5}" cx="{right + 16}" cy="{_fixed(end)}" r="4"/>')
        parts.append(_text(right + 26, end + 4, f"{each.name}: {number(each.points[-1][1])}"))
    parts.append(_text(16, height - 12, below, "quiet"))
    return _svg(height, title, parts)


class _Axis:
    """The coordinate of a value on one axis."""

    def __init__(self, low: float, high: float, begin: float, end: float, *, powers: bool) -> None:
        self._low, self._span = low, (high - low) or 1.0
        self._begin, self._length = begin, end - begin
        self._powers = powers

    def __call__(self, value: float) -> float:
        at = math.log10(value) if self._powers else value
        return self._begin + self._length * (at - self._low) / self._span


def _axis(values: list[float], begin: float, end: float, *, powers: bool) -> tuple[_Axis, list[float]]:
    low, high = min(values), max(values)
    if powers and 0 < low < high:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return _Axis(first, last, begin, end, powers=True), [10.0**power for power in range(first, last + 1)]
    step = _nice(high / 4 or 1.0)
    steps = math.ceil(high / step)
    return _Axis(0.0, steps * step, begin, end, powers=False), [step * tick for tick in range(steps + 1)]


def _nice(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * 0.999)


def _unit(figure: Figure) -> str:
    unit = TIMES if isinstance(figure, Ratio) else figure.unit
    return f" {unit}" if unit else ""


def _text(x: float, y: float, words: str, kind: str = "", *, anchor: str = "") -> str:
    kind = f' class="{kind}"' if kind else ""
    anchor = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{_fixed(x)}" y="{_fixed(y)}"{kind}{anchor}>{escape(words)}</text>'


def _fixed(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _svg(height: int, title: str, parts: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">'
    )
    return "\n".join([head, f"<style>{_STYLE}</style>", *parts, "</svg>"]) + "\n"
