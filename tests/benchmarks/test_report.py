"""Figures: what is said of them, and what makes them worth nothing."""

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


def test_a_summary_is_the_median_with_quartiles_and_the_ends() -> None:
    shown = summary([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (shown.low, shown.first_quartile, shown.median) == (1.0, 2.0, 3.0)
    assert (shown.third_quartile, shown.high) == (4.0, 5.0)
    assert shown.spread == pytest.approx(2 / 3)


def test_one_sample_has_no_spread() -> None:
    assert summary([3.0]).spread == 0.0


def test_a_ratio_says_what_ours_costs_as_a_multiple_of_theirs() -> None:
    assert ratio().value == 0.5


def test_a_ratio_may_say_how_many_times_theirs_ours_does() -> None:
    assert ratio(faster=True).value == 2.0


def test_the_ratio_is_taken_round_by_round() -> None:
    made = Ratio("a call", "µs")
    made.add(1.0, 2.0)
    made.add(100.0, 50.0)  # a round in which the machine was slow for both
    made.add(1.0, 2.0)
    assert made.value == 0.5


@pytest.mark.parametrize("sides", [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_a_side_that_cost_nothing_was_not_measured(sides: tuple[float, float]) -> None:
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


def test_a_missed_target_is_shown_and_nothing_more() -> None:
    figure = Figure("a", "µs", samples=[2.0] * 7, target=at_most(1))
    assert "MISSED" in figure.line()
    assert figure.warnings() == []


def test_without_a_target_there_is_nothing_to_miss() -> None:
    figure = Figure("a", "µs", samples=[2.0])
    assert figure.met is None
    assert "target" not in figure.line()


def test_too_few_rounds_are_told() -> None:
    (warning,) = Figure("a", "µs", samples=ENOUGH[:6]).warnings()
    assert "too few rounds (6" in warning


def test_what_is_counted_needs_one_round() -> None:
    assert Figure("a", "B", samples=[470.0], exact=True).warnings() == []


def test_enough_rounds_close_together_are_fine() -> None:
    assert Figure("a", "µs", samples=ENOUGH).warnings() == []


def test_rounds_that_spread_widely_are_told() -> None:
    (warning,) = Figure("a", "µs", samples=[1.0, 1.4, 1.8, 1.0, 1.4, 1.8, 1.6]).warnings()
    assert "spread" in warning


def test_a_process_that_had_no_core_of_its_own_is_told() -> None:
    (warning,) = Figure("a", "µs", samples=ENOUGH, occupancy=[0.5] * 7).warnings()
    assert "50%" in warning


def test_a_result_names_its_question_in_each_warning() -> None:
    result = Result("calls", "Calls", figures=[Figure("a", "µs", samples=[1.0])])
    assert all(warning.startswith("calls: a: ") for warning in result.warnings())


def test_a_result_is_json_without_loss_of_its_shape() -> None:
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
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
