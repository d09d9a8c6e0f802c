"""Figures: how they are shown, and what makes them not valid."""

from __future__ import annotations

import json

import pytest

from benchmarks.report import Figure, Ratio, Result, Series, at_least, at_most, number, summary

ENOUGH = [1.0, 1.01, 1.02, 1.0, 1.01, 1.02, 1.0]


def ratio(**options: object) -> Ratio:
    """Ours costs 2, theirs 4, in seven rounds."""
    made = Ratio("a call", "µs", scale=1e6, **options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for _ in range(7):
        made.add(2e-6, 4e-6)
    return made


def test_a_summary_has_the_median_the_quartiles_and_the_extremes() -> None:
    shown = summary([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (shown.low, shown.first_quartile, shown.median) == (1.0, 2.0, 3.0)
    assert (shown.third_quartile, shown.high) == (4.0, 5.0)
    assert shown.spread == pytest.approx(2 / 3)


def test_one_sample_has_no_spread() -> None:
    assert summary([3.0]).spread == 0.0


def test_a_ratio_is_ours_divided_by_theirs() -> None:
    assert ratio().value == 0.5


def test_a_ratio_of_speeds_is_theirs_divided_by_ours() -> None:
    assert ratio(faster=True).value == 2.0


def test_the_ratio_is_taken_round_by_round() -> None:
    made = Ratio("a call", "µs")
    made.add(1.0, 2.0)
    made.add(100.0, 50.0)  # a round in which the machine was slow for both
    made.add(1.0, 2.0)
    assert made.value == 0.5


@pytest.mark.parametrize("sides", [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_a_cost_of_zero_or_less_is_an_error(sides: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="no measurement"):
        Ratio("a call", "µs").add(*sides)


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (at_most(1.1), 1.1, True),
        (at_most(1.1), 1.11, False),
        (at_least(6), 6, True),
        (at_least(6), 5.9, False),
    ],
)
def test_a_target_is_met_or_missed(target: object, value: float, met: bool) -> None:  # noqa: FBT001
    figure = Figure("a", "µs", samples=[value], target=target)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert figure.met is met


def test_a_missed_target_is_shown_and_is_no_warning() -> None:
    figure = Figure("a", "µs", samples=[2.0] * 7, target=at_most(1))
    assert "MISSED" in figure.line()
    assert figure.warnings() == []


def test_without_a_target_none_is_missed() -> None:
    figure = Figure("a", "µs", samples=[2.0])
    assert figure.met is None
    assert "target" not in figure.line()


def test_too_few_rounds_make_a_warning() -> None:
    (warning,) = Figure("a", "µs", samples=ENOUGH[:6]).warnings()
    assert "too few rounds (6" in warning


def test_an_exact_figure_needs_one_round() -> None:
    assert Figure("a", "B", samples=[470.0], exact=True).warnings() == []


def test_enough_rounds_that_vary_little_make_no_warning() -> None:
    assert Figure("a", "µs", samples=ENOUGH).warnings() == []


def test_rounds_that_vary_much_make_a_warning() -> None:
    (warning,) = Figure("a", "µs", samples=[1.0, 1.4, 1.8, 1.0, 1.4, 1.8, 1.6]).warnings()
    assert "spread" in warning


def test_a_process_without_a_core_of_its_own_makes_a_warning() -> None:
    (warning,) = Figure("a", "µs", samples=ENOUGH, occupancy=[0.5] * 7).warnings()
    assert "50%" in warning


def test_each_warning_of_a_result_has_the_name_of_its_question() -> None:
    result = Result("calls", "Calls", figures=[Figure("a", "µs", samples=[1.0])])
    assert all(warning.startswith("calls: a: ") for warning in result.warnings())


def test_a_result_as_json_has_figures_and_series() -> None:
    result = Result(
        "calls",
        "Calls",
        figures=[ratio(target=at_most(1.1), against="by hand")],
        series=[Series("growth", "µs", ((10.0, 1.23456789), (100.0, 2.0)))],
        notes=["a note"],
    )
    kept = json.loads(json.dumps(result.as_json()))
    (figure,) = kept["figures"]
    assert figure["value"]["median"] == 0.5
    assert figure["ours"]["median"] == 2.0
    assert figure["theirs"]["median"] == 4.0
    assert (figure["target"], figure["met"], figure["rounds"]) == ("≤ 1.10", True, 7)
    assert kept["series"] == [{"name": "growth", "unit": "µs", "points": [[10.0, 1.2346], [100.0, 2.0]]}]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0567, "0.0567"),
        (1.0, "1"),
        (1.1, "1.10"),
        (12.34, "12.3"),
        (123.4, "123"),
        (123456, "123,456"),
    ],
)
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text
