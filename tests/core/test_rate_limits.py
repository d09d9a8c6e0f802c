"""Rate limits, learned in virtual time from a server that counts as the real one does."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexio_async._engine.loops import LoopBinding
from reflexio_async._engine.rate_limits import Limit, RateLimiter, RateLimiters, parse_limit
from reflexio_async.sandbox import VirtualClock

BODY = b'{"error":"Rate limit exceeded: 5 per 1 minute"}'
MARGIN = 0.25


@pytest.fixture
def rate_limiter(clock: VirtualClock) -> RateLimiter:
    return RateLimiter(clock)


@dataclass
class Server:
    """Allows five hits a minute, in fixed windows. A hit counts before its response is sent."""

    clock: VirtualClock
    hits: int = 5
    period: float = 60.0
    latency: float = 0.05
    statuses: Counter[int] = field(default_factory=Counter[int])
    _opened: float = -math.inf
    _used: int = 0

    def hit(self, count: int = 1) -> bool:
        if self.clock.now() >= self._opened + self.period:
            self._opened, self._used = self.clock.now(), 0
        admitted = self._used + count <= self.hits
        self._used += count
        return admitted

    async def call(self, rate_limiter: RateLimiter) -> float:
        """Repeat a call until it is admitted, as ``Caller`` does. Return the time."""
        while True:
            permit = rate_limiter.try_acquire()
            if permit is None:
                permit = await rate_limiter.acquire()
            await self.clock.sleep(self.latency)
            admitted = self.hit()
            await self.clock.sleep(self.latency)
            rate_limiter.release(permit, counted=admitted)
            if admitted:
                self.statuses[200] += 1
                return self.clock.now()
            self.statuses[429] += 1
            rate_limiter.refused(permit, {}, BODY)


def learn_limit(rate_limiter: RateLimiter) -> None:
    """Let the rate limiter learn the limit from a refusal, before any hit of ours."""
    permit = rate_limiter.try_acquire()
    assert permit is not None
    rate_limiter.release(permit, counted=False)
    rate_limiter.refused(permit, {}, BODY)


def enter(rate_limiter: RateLimiter) -> int:
    permit = rate_limiter.try_acquire()
    assert permit is not None
    return permit


# --- before anything is known


def test_every_request_passes_until_a_limit_is_known(rate_limiter: RateLimiter) -> None:
    assert all(rate_limiter.try_acquire() is not None for _ in range(1000))
    assert rate_limiter.limit is None
    assert rate_limiter.opens_in() == 0


def test_every_path_has_a_rate_limiter_of_its_own(clock: VirtualClock) -> None:
    rate_limiters = RateLimiters(clock, LoopBinding())
    learn_limit(rate_limiters.rate_limiter("/a"))
    assert rate_limiters.rate_limiter("/a").try_acquire() is None
    assert rate_limiters.rate_limiter("/b").try_acquire() is not None
    assert rate_limiters.rate_limiter("/a") is rate_limiters.rate_limiter("/a")


# --- what is learned from a refusal


async def test_the_window_ends_one_period_after_our_own_first_hit(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    server = Server(clock, latency=0.0)
    for _ in range(5):
        await server.call(rate_limiter)
        await clock.sleep(10)
    assert clock.now() == 50
    assert not server.hit()
    permit = enter(rate_limiter)
    rate_limiter.release(permit, counted=False)
    rate_limiter.refused(permit, {}, BODY)
    assert rate_limiter.limit == Limit(5, 60.0)
    assert rate_limiter.opens_in() == pytest.approx(10 + MARGIN)


async def test_of_twelve_calls_at_once_seven_are_refused_once_and_then_wait(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    server = Server(clock)
    ended = sorted(await asyncio.gather(*(server.call(rate_limiter) for _ in range(12))))
    assert server.statuses == {200: 12, 429: 7}
    assert ended[4] < 1
    assert 60 < ended[5] <= ended[9] < 61
    assert 120 < ended[10] <= ended[11] < 122


async def test_calls_one_after_another_are_refused_once(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    server = Server(clock)
    for _ in range(23):
        await server.call(rate_limiter)
    assert server.statuses == {200: 23, 429: 1}
    assert clock.now() < 4 * 61


async def test_once_the_limit_is_known_none_of_a_hundred_calls_is_refused(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    server = Server(clock)
    await server.call(rate_limiter)
    learn_limit(rate_limiter)
    await asyncio.gather(*(server.call(rate_limiter) for _ in range(100)))
    assert server.statuses == {200: 101}
    assert clock.now() < 21 * 61


async def test_with_slow_responses_no_window_begins_too_early(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    server = Server(clock, latency=4.0)
    learn_limit(rate_limiter)
    await asyncio.gather(*(server.call(rate_limiter) for _ in range(25)))
    assert server.statuses[429] == 0


@pytest.mark.parametrize("foreign", [1, 3, 5])
async def test_windows_used_by_other_clients_are_waited_out(
    clock: VirtualClock, rate_limiter: RateLimiter, foreign: int
) -> None:
    server = Server(clock)
    for _ in range(4):
        server.hit(foreign)
        await asyncio.gather(*(server.call(rate_limiter) for _ in range(5)))
        await clock.sleep(120)
    assert server.statuses[200] == 20
    assert server.statuses[429] <= 4 * 5
    assert clock.now() < 4 * (120 + 2 * 61)


async def test_a_refusal_of_an_older_window_changes_nothing(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    first, second = enter(rate_limiter), enter(rate_limiter)
    rate_limiter.release(first, counted=False)
    rate_limiter.refused(first, {}, BODY)
    closed_for = rate_limiter.opens_in()
    await clock.sleep(5)
    rate_limiter.release(second, counted=False)
    rate_limiter.refused(second, {}, BODY)
    assert rate_limiter.opens_in() == closed_for - 5


async def test_the_end_of_a_window_is_unknown_until_its_first_response(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    learn_limit(rate_limiter)
    await clock.sleep(rate_limiter.opens_in())
    permits = [enter(rate_limiter) for _ in range(5)]
    assert math.isinf(rate_limiter.opens_in())
    await clock.sleep(7)
    rate_limiter.release(permits[0], counted=True)
    assert rate_limiter.opens_in() == 60 + MARGIN


async def test_a_call_without_a_response_counts(clock: VirtualClock, rate_limiter: RateLimiter) -> None:
    learn_limit(rate_limiter)
    await clock.sleep(rate_limiter.opens_in())
    for _ in range(5):
        rate_limiter.release(enter(rate_limiter), counted=True)
    assert rate_limiter.try_acquire() is None


# --- the end of a window, which the server may place a little before ours


async def test_a_hit_in_the_margin_counts_in_both_windows(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    server = Server(clock, latency=0.0)
    learn_limit(rate_limiter)
    await clock.sleep(200)
    await server.call(rate_limiter)
    await clock.sleep(60.12)  # the server's next window, and still ours
    await server.call(rate_limiter)
    await clock.sleep(0.3)
    await asyncio.gather(*(server.call(rate_limiter) for _ in range(5)))
    assert server.statuses == {200: 7}


async def test_a_hit_that_counted_in_both_windows_is_forgotten_after_the_second(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    server = Server(clock, latency=0.0)
    learn_limit(rate_limiter)
    await clock.sleep(200)
    await server.call(rate_limiter)
    await clock.sleep(60.12)
    await server.call(rate_limiter)
    await clock.sleep(0.3)
    await server.call(rate_limiter)
    await clock.sleep(61)
    assert [rate_limiter.try_acquire() is not None for _ in range(6)] == [True] * 5 + [False]


@given(
    pauses=st.lists(st.one_of(st.floats(0, 1), st.floats(0, 90), st.floats(59.5, 60.5)), max_size=25),
    latency=st.one_of(st.floats(0, 0.2), st.floats(0, 10)),
    width=st.integers(1, 8),
)
@settings(deadline=None, max_examples=200)
def test_after_the_limit_is_known_no_call_is_refused(pauses: list[float], latency: float, width: int) -> None:
    async def run() -> Counter[int]:
        clock = VirtualClock()
        server, rate_limiter = Server(clock, latency=latency), RateLimiter(clock)
        learn_limit(rate_limiter)
        await clock.sleep(100)
        for pause in pauses:
            await asyncio.gather(*(server.call(rate_limiter) for _ in range(width)))
            await clock.sleep(pause)
        return server.statuses

    assert asyncio.run(run())[429] == 0


# --- hits that the server did not count


async def test_a_hit_that_was_not_counted_can_be_used_again(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    learn_limit(rate_limiter)
    await clock.sleep(rate_limiter.opens_in())
    permits = [enter(rate_limiter) for _ in range(5)]
    assert rate_limiter.try_acquire() is None
    rate_limiter.release(permits[0], counted=True)
    rate_limiter.release(permits[1], counted=False)
    assert rate_limiter.try_acquire() is not None
    assert rate_limiter.try_acquire() is None


@pytest.mark.parametrize("end_known", [False, True])
async def test_a_hit_that_was_not_counted_goes_to_the_first_waiter(
    clock: VirtualClock, rate_limiter: RateLimiter, *, end_known: bool
) -> None:
    learn_limit(rate_limiter)
    await clock.sleep(rate_limiter.opens_in())
    permits = [enter(rate_limiter) for _ in range(5)]
    if end_known:
        rate_limiter.release(permits[1], counted=True)
    began = clock.now()
    waiter = asyncio.create_task(rate_limiter.acquire())
    await asyncio.sleep(0)
    rate_limiter.release(permits[0], counted=False)
    await waiter
    assert clock.now() == began


async def test_a_window_without_counted_hits_stays_open(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    learn_limit(rate_limiter)
    await clock.sleep(rate_limiter.opens_in())
    for _ in range(50):
        rate_limiter.release(enter(rate_limiter), counted=False)
    assert rate_limiter.opens_in() == 0


# --- limits in headers


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Wed, 18 Nov 2026 11:07:10 GMT"}, 30.0),
        ({"Retry-After": "whenever"}, 1.0),
        ({}, 1.0),
    ],
    ids=["number", "date", "nonsense", "nothing"],
)
@pytest.mark.parametrize("body", [b'{"detail":"slow down"}', b"", b"<html>"], ids=repr)
def test_a_429_without_a_limit_closes_for_its_retry_after_or_a_second(
    rate_limiter: RateLimiter, headers: dict[str, str], seconds: float, body: bytes
) -> None:
    rate_limiter.refused(enter(rate_limiter), headers, body)
    assert rate_limiter.limit is None
    assert rate_limiter.opens_in() == seconds
    assert rate_limiter.try_acquire() is None


@pytest.mark.parametrize("reset", ["20", "1795000020"], ids=["from now", "epoch"])
async def test_a_remaining_of_zero_in_the_headers_closes_until_the_reset(
    clock: VirtualClock, rate_limiter: RateLimiter, reset: str
) -> None:
    rate_limiter.observe({"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})
    assert rate_limiter.opens_in() == 20
    await rate_limiter.acquire()
    assert clock.now() == 20


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "20"},
        {"X-RateLimit-Remaining": "0"},
        {"X-RateLimit-Remaining": "none", "X-RateLimit-Reset": "20"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "nan"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "-20"},
        {"X-RateLimit-Remaining": "9" * 5000, "X-RateLimit-Reset": "20"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1e999"},
    ],
    ids=["none", "some left", "no reset", "no number", "no time", "nan", "past", "digits", "infinite"],
)
def test_other_headers_close_nothing(rate_limiter: RateLimiter, headers: dict[str, str]) -> None:
    rate_limiter.observe(headers)
    assert rate_limiter.opens_in() == 0


async def test_a_reset_in_epoch_milliseconds_is_understood(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    reset = str((clock.time() + 20) * 1000)
    rate_limiter.observe({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})
    assert rate_limiter.opens_in() == pytest.approx(20)


@pytest.mark.parametrize("ahead", [-3000, 3000])
async def test_a_reset_is_by_the_clock_of_the_server(
    clock: VirtualClock, rate_limiter: RateLimiter, ahead: int
) -> None:
    server_now = clock.time() + ahead
    date = format_datetime(datetime.fromtimestamp(server_now, UTC), usegmt=True)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(server_now + 20), "Date": date}
    rate_limiter.observe(headers)
    assert rate_limiter.opens_in() == pytest.approx(20, abs=1)


# --- absurd limits: believed for an hour, then one request is sent to find out


async def test_after_an_absurd_reset_one_request_goes_first(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    rate_limiter.observe({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999"})
    assert rate_limiter.opens_in() == 3600
    await clock.sleep(3600)
    probe = enter(rate_limiter)
    assert rate_limiter.try_acquire() is None
    assert math.isinf(rate_limiter.opens_in())
    rate_limiter.release(probe, counted=True)
    assert all(rate_limiter.try_acquire() is not None for _ in range(10))


async def test_the_response_to_the_first_request_lets_the_waiting_ones_go(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    rate_limiter.observe({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999"})
    await clock.sleep(3600)
    probe = enter(rate_limiter)
    waiters = [asyncio.create_task(rate_limiter.acquire()) for _ in range(3)]
    await clock.sleep(1)
    assert not any(waiter.done() for waiter in waiters)
    rate_limiter.release(probe, counted=True)
    await asyncio.gather(*waiters)
    assert clock.now() == 3601


@pytest.mark.parametrize("retry_after", ["9" * 300, "86400", "Wed, 18 Nov 2099 11:06:40 GMT"])
def test_a_huge_retry_after_closes_for_an_hour(rate_limiter: RateLimiter, retry_after: str) -> None:
    rate_limiter.refused(enter(rate_limiter), {"Retry-After": retry_after}, b"")
    assert rate_limiter.opens_in() == 3600


async def test_a_window_of_days_closes_for_an_hour_and_then_one_request_goes_first(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    body = b'{"error":"Rate limit exceeded: 5 per 9999999 day"}'
    permit = enter(rate_limiter)
    rate_limiter.release(permit, counted=False)
    rate_limiter.refused(permit, {}, body)
    for _ in range(3):
        assert 3600 <= rate_limiter.opens_in() < 3601
        await clock.sleep(rate_limiter.opens_in())
        probe = enter(rate_limiter)
        assert rate_limiter.try_acquire() is None
        rate_limiter.release(probe, counted=False)
        rate_limiter.refused(probe, {}, body)


async def test_after_a_huge_retry_after_beside_a_limit_one_request_goes_first(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    permit = enter(rate_limiter)
    rate_limiter.release(permit, counted=False)
    rate_limiter.refused(permit, {"Retry-After": "86400"}, BODY)
    await clock.sleep(rate_limiter.opens_in())
    assert clock.now() == 3600 + MARGIN
    enter(rate_limiter)
    assert rate_limiter.try_acquire() is None


async def test_an_admitted_first_request_opens_a_window_of_days_for_the_rest_of_its_hits(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    permit = enter(rate_limiter)
    rate_limiter.release(permit, counted=False)
    rate_limiter.refused(permit, {}, b'{"error":"Rate limit exceeded: 5 per 1 day"}')
    await clock.sleep(rate_limiter.opens_in())
    rate_limiter.release(enter(rate_limiter), counted=True)
    assert [rate_limiter.try_acquire() is not None for _ in range(5)] == [True] * 4 + [False]


# --- waiting


async def test_waiters_get_permits_in_their_order(clock: VirtualClock, rate_limiter: RateLimiter) -> None:
    learn_limit(rate_limiter)
    entered: list[int] = []

    async def wait(number: int) -> None:
        permit = await rate_limiter.acquire()
        entered.append(number)
        await clock.sleep(0.1)
        rate_limiter.release(permit, counted=True)

    waiters: list[asyncio.Task[None]] = []
    for number in range(17):
        waiters.append(asyncio.create_task(wait(number)))
        await clock.sleep(0.5)
    await asyncio.gather(*waiters)
    assert entered == list(range(17))


async def test_a_new_caller_does_not_overtake_a_waiter(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    learn_limit(rate_limiter)
    waiter = asyncio.create_task(rate_limiter.acquire())
    await asyncio.sleep(0)
    await clock.sleep(rate_limiter.opens_in() - 0.01)
    assert rate_limiter.try_acquire() is None
    await waiter
    assert rate_limiter.try_acquire() is not None


async def test_a_cancelled_waiter_does_not_delay_the_others(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    learn_limit(rate_limiter)
    waiters = [asyncio.create_task(rate_limiter.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    for waiter in waiters[:2]:
        waiter.cancel()
    await waiters[2]
    assert clock.now() == pytest.approx(60 + MARGIN)
    assert rate_limiter.try_acquire() is not None


async def test_a_waiter_cancelled_before_the_end_is_known_does_not_delay_the_others(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    learn_limit(rate_limiter)
    await clock.sleep(rate_limiter.opens_in())
    permits = [enter(rate_limiter) for _ in range(5)]
    first, second = (asyncio.create_task(rate_limiter.acquire()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    rate_limiter.release(permits[0], counted=True)
    await second


async def test_after_a_timeout_of_a_waiter_permits_are_still_given(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    learn_limit(rate_limiter)
    with pytest.raises(TimeoutError):
        async with clock.timeout(5):
            await rate_limiter.acquire()
    assert clock.now() == 5
    await rate_limiter.acquire()


# --- the text of a limit


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("Rate limit exceeded: 5 per 1 minute", Limit(5, 60)),
        ("Rate limit exceeded: 120 per 1 minute", Limit(120, 60)),
        ("Rate limit exceeded: 10 per 5 minute", Limit(10, 300)),
        ("10 per 2 minutes", Limit(10, 120)),
        ("5 per minute", Limit(5, 60)),
        ("1 per 1 second", Limit(1, 1)),
        ("1000 per 1 hour", Limit(1000, 3600)),
        ("1000 PER 1 DAY", Limit(1000, 86400)),
        ("0 per 1 minute", None),
        ("5 per 0 minute", None),
        ("5 per fortnight", None),
        ("slow down", None),
        ("", None),
        ("9999999999 per 1 minute", None),
        ("5 per 9999999999 day", None),
    ],
)
def test_a_limit_is_read_from_the_text(text: str, limit: Limit | None) -> None:
    assert parse_limit(f'{{"error":"{text}"}}'.encode()) == limit


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"5 per 1 minute"',
        b'{"error":5}',
        b'{"error":null}',
        b"\xff",
        b'{"detail":"5 per 1 minute"}',
    ],
    ids=repr,
)
def test_other_bodies_name_no_limit(body: bytes) -> None:
    assert parse_limit(body) is None


@pytest.mark.parametrize("filler", [b"1", b"1 per ", b"1 per 1", b"[", b"\\u0031"], ids=repr)
def test_reading_a_limit_takes_a_time_that_does_not_grow_with_the_square(filler: bytes) -> None:
    body = b'{"error":"' + filler * (2**20 // len(filler)) + b'"}'
    began = time.process_time()
    assert parse_limit(body) is None
    assert parse_limit(body[:16_000] + b'"}') is None
    assert time.process_time() - began < 2


def test_a_limit_as_text() -> None:
    assert str(Limit(5, 60.0)) == "5 per 60 s"


async def test_rate_limiters_that_learned_nothing_are_forgotten() -> None:
    rate_limiters = RateLimiters(VirtualClock(), LoopBinding())
    learned = rate_limiters.rate_limiter("/limited")
    learned.refused(learned.try_acquire() or 0, {}, b'{"error": "Rate limit exceeded: 5 per 1 minute"}')
    for number in range(3000):
        rate_limiters.rate_limiter(f"/api/pending_tool_calls/{number}")
    assert len(rate_limiters._limiters) <= 1024
    assert rate_limiters.rate_limiter("/limited") is learned
