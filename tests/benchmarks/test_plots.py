"""Plots are well-formed and complete."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from benchmarks.plots import drawing
from benchmarks.report import Figure, Ratio, Result, Series, at_least, at_most

SVG = "{http://www.w3.org/2000/svg}"


def drawn(result: Result) -> ET.Element:
    return ET.fromstring(drawing(result, date="2026-11-22", machine="AMD, 2 cores"))  # noqa: S314  # our own


def bars(*figures: Figure) -> Result:
    return Result("calls", "Calls & <others>", figures=list(figures))


def texts(svg: ET.Element) -> list[str]:
    return [element.text or "" for element in svg.iter(f"{SVG}text")]


def test_every_figure_has_a_bar_its_number_and_its_target() -> None:
    svg = drawn(
        bars(
            Figure("first", "µs", samples=[1.0], target=at_most(2)),
            Figure("second", "B", samples=[500.0], target=at_most(512)),
        )
    )
    shown = texts(svg)
    assert {"Calls & <others>", "first", "1 µs", "target ≤ 2", "second", "500 B"} <= set(shown)
    assert len(list(svg.iter(f"{SVG}rect"))) == 2


def test_a_figure_that_is_not_to_be_drawn_is_left_out() -> None:
    svg = drawn(bars(Figure("a", "µs", samples=[1.0], drawn=False)))
    assert "a" not in texts(svg)


@pytest.mark.parametrize(
    ("target", "kind"),
    [(at_most(2), "met"), (at_most(0.5), "missed"), (at_least(2), "missed"), (None, "plain")],
)
def test_the_colour_shows_whether_the_target_was_met(target: object, kind: str) -> None:
    ratio = Ratio("a", "µs", target=target)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ratio.add(1.0, 1.0)
    (bar,) = drawn(bars(ratio)).iter(f"{SVG}rect")
    assert bar.get("class") == kind


def test_a_bar_ends_at_the_mark_when_the_target_is_just_met() -> None:
    svg = drawn(bars(Figure("a", "µs", samples=[512.0], target=at_most(512))))
    (bar,) = svg.iter(f"{SVG}rect")
    (mark,) = (line for line in svg.iter(f"{SVG}line") if line.get("class") == "mark")
    assert float(bar.get("x", 0)) + float(bar.get("width", 0)) == float(mark.get("x1", 0))


def test_every_bar_ends_within_the_plot() -> None:
    svg = drawn(bars(Figure("a", "µs", samples=[1e9], target=at_most(1))))
    (bar,) = svg.iter(f"{SVG}rect")
    assert float(bar.get("x", 0)) + float(bar.get("width", 0)) < float(svg.get("width", 0))


@pytest.mark.parametrize("powers", [True, False])
@pytest.mark.parametrize("values", [(1.0, 2.0), (0.001, 5000.0), (0.0, 3.0), (7.0, 7.0)])
def test_lines_stay_within_the_plot(values: tuple[float, float], powers: bool) -> None:  # noqa: FBT001
    points = tuple(zip((10.0, 100_000.0), values, strict=True))
    svg = drawn(Result("growth", "Growth", series=[Series("a call", "µs", points, powers)]))
    for dot in svg.iter(f"{SVG}circle"):
        assert 0 <= float(dot.get("cx", -1)) <= float(svg.get("width", 0))
        assert 0 <= float(dot.get("cy", -1)) <= float(svg.get("height", 0))


def test_labels_of_lines_with_the_same_end_do_not_overlap() -> None:
    series = [Series(name, "µs", ((10.0, 1.0), (100.0, 1.0))) for name in ("one", "two", "three")]
    svg = drawn(Result("growth", "Growth", series=series))
    places = {
        float(element.get("y", 0))
        for element in svg.iter(f"{SVG}text")
        if element.text in ("one: 1", "two: 1", "three: 1")
    }
    assert len(places) == 3


def test_plots_have_colours_for_dark_pages() -> None:
    assert "prefers-color-scheme: dark" in drawing(bars(), date="", machine="")
