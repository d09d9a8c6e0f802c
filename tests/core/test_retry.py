"""How long to wait before a call is repeated."""

from __future__ import annotations

import itertools

import pytest

from reflexio_async import RetryPolicy
from reflexio_async._engine.retry import delays, retry_after

NOW = 1_795_000_000.0  # Wed, 18 Nov 2026 11:06:40 GMT


def test_there_is_one_delay_fewer_than_tries() -> None:
    assert len(list(delays(RetryPolicy(max_attempts=5)))) == 4


def test_one_try_has_no_delay() -> None:
    assert list(delays(RetryPolicy(max_attempts=1))) == []


def test_delays_are_random_below_a_bound_that_doubles_up_to_max_delay() -> None:
    policy = RetryPolicy(max_attempts=8, base_delay=0.5, max_delay=10.0)
    bounds = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0)
    for _ in range(200):
        for delay, bound in zip(delays(policy), bounds, strict=True):
            assert 0 <= delay <= bound


def test_delays_are_random_from_zero_to_the_bound() -> None:
    policy = RetryPolicy(max_attempts=2, base_delay=1.0)
    drawn = sorted(next(delays(policy)) for _ in range(300))
    assert drawn[0] < 0.2
    assert drawn[-1] > 0.8


def test_the_first_delay_of_every_call_is_below_base_delay() -> None:
    policy = RetryPolicy(base_delay=0.01)
    assert all(next(delays(policy)) <= 0.01 for _ in range(100))


def test_delays_are_made_one_by_one() -> None:
    assert len(list(itertools.islice(delays(RetryPolicy(max_attempts=10**9)), 3))) == 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("Wed, 18 Nov 2026 11:07:40 GMT", 60.0),
        ("Wed, 18 Nov 2026 13:07:40 +0200", 60.0),
        ("Tue, 17 Nov 2026 11:07:40 GMT", 0.0),
        ("tomorrow", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_from_now(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}, NOW) == seconds


@pytest.mark.parametrize("text", ["9" * 400, "86400", "Wed, 18 Nov 9999 11:06:40 GMT"])
def test_more_than_an_hour_is_not_believed(text: str) -> None:
    assert retry_after({"Retry-After": text}, NOW) == 3600


@pytest.mark.parametrize("ours", [NOW - 5000, NOW, NOW + 5000])
def test_a_date_is_by_the_clock_of_the_server(ours: float) -> None:
    headers = {"Date": "Wed, 18 Nov 2026 11:06:40 GMT", "Retry-After": "Wed, 18 Nov 2026 11:07:40 GMT"}
    assert retry_after(headers, ours) == 60


def test_a_date_without_a_zone_is_in_utc() -> None:
    assert retry_after({"Retry-After": "Wed, 18 Nov 2026 11:07:40 -0000"}, NOW) == 60


@pytest.mark.parametrize(
    "text",
    [
        "nan",
        "-1",
        "Wed, 18 Nov 99999999999999999999 11:06:40 GMT",
        "Wed, 32 Foo 2026 25:61:61 GMT",
        "x" * 10**6,
    ],
)
def test_a_broken_value_names_no_time(text: str) -> None:
    assert retry_after({"Retry-After": text}, NOW) is None


def test_without_the_header_there_is_no_time() -> None:
    assert retry_after({}, NOW) is None
