"""Adaptive polling: learned from what ended, without learning from itself."""

from __future__ import annotations

import random

import pytest

from reflexio_async._engine.jobs.poller import DurationEstimator


def learned(ages: list[float]) -> DurationEstimator:
    estimator = DurationEstimator((0.5, 0.8, 0.95))
    for age in ages:
        estimator.add(at_least=age, at_most=age)
    return estimator


def test_nothing_is_known_until_a_few_have_ended() -> None:
    assert learned([3.0] * 7).next_poll_age(0.0) is None
    assert learned([3.0] * 8).next_poll_age(0.0) == 3.0


def test_the_moments_are_those_by_which_half_most_and_nearly_all_have_ended() -> None:
    estimator = learned([float(number) for number in range(20)])
    moments = [estimator.next_poll_age(0.0), estimator.next_poll_age(10.0), estimator.next_poll_age(16.0)]
    assert moments == [10.0, 16.0, 19.0]
    assert estimator.next_poll_age(19.0) is None


def test_what_was_long_ago_is_forgotten() -> None:
    assert learned([30.0] * 64 + [2.0] * 64).next_poll_age(0.0) == 2.0


@pytest.mark.parametrize("true_age", [0.2, 3.0, 20.0])
def test_asking_at_the_moments_finds_out_when_jobs_end(true_age: float) -> None:
    chance = random.Random(7)  # noqa: S311  # a simulation
    estimator = DurationEstimator((0.5, 0.8, 0.95))
    for _ in range(300):
        ends, asked, not_yet = true_age * chance.uniform(0.8, 1.2), 0.0, 0.0
        while asked < ends:
            not_yet, moment = asked, estimator.next_poll_age(asked)
            asked = asked + 0.25 if moment is None else max(moment, asked + 0.05)
        estimator.add(at_least=not_yet, at_most=asked)
    first = estimator.next_poll_age(0.0)
    assert first is not None
    assert 0.5 * true_age < first < 1.5 * true_age
