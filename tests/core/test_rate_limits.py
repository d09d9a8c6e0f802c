"""Rate limits, learned on virtual time from a server that counts as the real one does."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass, field

import pytest

from reflexio_async._engine.rate_limits import Limit, RateLimiter, RateLimiters, parse_limit
from reflexio_async.sandbox import VirtualClock

BODY = b'{"error":"Rate limit exceeded: 5 per 1 minute"}'
MARGIN = 0.25


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def rate_limiter(clock: VirtualClock) -> RateLimiter:
    return RateLimiter(clock)


@dataclass
class Server:
    """Five a minute, in fixed windows that the first hit opens; a hit counts before it is answered."""

    clock: VirtualClock
    hits: int = 5
    period: float = 60.0
    latency: float = 0.05
    answers: Counter[int] = field(default_factory=Counter[int])
    _opened: float = -math.inf
    _used: int = 0

    def hit(self, count: int = 1) -> bool:
        if self.clock.now() >= self._opened + self.period:
            self._opened, self._used = self.clock.now(), 0
        admitted = self._used + count <= self.hits
        self._used += count
        return admitted

    async def call(self, rate_limiter: RateLimiter) -> float:
        """Call until it is admitted, as the pipeline does; when that was."""
        while True:
            permit = rate_limiter.try_acquire()
            if permit is None:
                permit = await rate_limiter.acquire()
            await self.clock.sleep(self.latency)
            admitted = self.hit()
            await self.clock.sleep(self.latency)
            rate_limiter.release(permit, counted=admitted)
            if admitted:
                self.answers[200] += 1
                return self.clock.now()
            self.answers[429] += 1
            rate_limiter.refused(permit, {}, BODY)


def taught(rate_limiter: RateLimiter) -> None:
    """Let the gate see a refusal before any hit of ours."""
    permit = rate_limiter.try_acquire()
    assert permit is not None
    rate_limiter.release(permit, counted=False)
    rate_limiter.refused(permit, {}, BODY)


def enter(rate_limiter: RateLimiter) -> int:
    permit = rate_limiter.try_acquire()
    assert permit is not None
    return permit


# --- before anything is known


def test_a_gate_is_free_until_it_is_taught(rate_limiter: RateLimiter) -> None:
    assert all(rate_limiter.try_acquire() is not None for _ in range(1000))
    assert rate_limiter.limit is None
    assert rate_limiter.opens_in() == 0


def test_every_path_has_a_gate_of_its_own(clock: VirtualClock) -> None:
    rate_limiters = RateLimiters(clock)
    taught(rate_limiters.rate_limiter("/a"))
    assert rate_limiters.rate_limiter("/a").try_acquire() is None
    assert rate_limiters.rate_limiter("/b").try_acquire() is not None
    assert rate_limiters.rate_limiter("/a") is rate_limiters.rate_limiter("/a")


# --- what a refusal teaches


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


async def test_twelve_at_once_cost_seven_refusals_in_all_and_are_paced_then(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    server = Server(clock)
    ended = sorted(await asyncio.gather(*(server.call(rate_limiter) for _ in range(12))))
    assert server.answers == {200: 12, 429: 7}
    assert ended[4] < 1
    assert 60 < ended[5] <= ended[9] < 61
    assert 120 < ended[10] <= ended[11] < 122


async def test_calls_one_after_another_cost_one_refusal(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    server = Server(clock)
    for _ in range(23):
        await server.call(rate_limiter)
    assert server.answers == {200: 23, 429: 1}
    assert clock.now() < 4 * 61


async def test_a_hundred_at_once_never_stray_once_the_limit_is_known(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    server = Server(clock)
    await server.call(rate_limiter)
    taught(rate_limiter)
    await asyncio.gather(*(server.call(rate_limiter) for _ in range(100)))
    assert server.answers == {200: 101}
    assert clock.now() < 21 * 61


async def test_slow_answers_do_not_make_a_window_start_too_early(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    server = Server(clock, latency=4.0)
    taught(rate_limiter)
    await asyncio.gather(*(server.call(rate_limiter) for _ in range(25)))
    assert server.answers[429] == 0


@pytest.mark.parametrize("foreign", [1, 3, 5])
async def test_hits_of_others_are_waited_out(
    clock: VirtualClock, rate_limiter: RateLimiter, foreign: int
) -> None:
    server = Server(clock)
    for _ in range(4):
        server.hit(foreign)
        await asyncio.gather(*(server.call(rate_limiter) for _ in range(5)))
        await clock.sleep(120)
    assert server.answers[200] == 20
    assert server.answers[429] <= 4 * 5
    assert clock.now() < 4 * (120 + 2 * 61)


async def test_a_refusal_of_an_older_window_teaches_nothing_new(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    first, late = enter(rate_limiter), enter(rate_limiter)
    rate_limiter.release(first, counted=False)
    rate_limiter.refused(first, {}, BODY)
    closed_for = rate_limiter.opens_in()
    await clock.sleep(5)
    rate_limiter.release(late, counted=False)
    rate_limiter.refused(late, {}, BODY)
    assert rate_limiter.opens_in() == closed_for - 5


async def test_until_the_first_answer_of_a_window_its_end_is_not_known(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    taught(rate_limiter)
    await clock.sleep(rate_limiter.opens_in())
    tickets = [enter(rate_limiter) for _ in range(5)]
    assert math.isinf(rate_limiter.opens_in())
    await clock.sleep(7)
    rate_limiter.release(tickets[0], counted=True)
    assert rate_limiter.opens_in() == 60 + MARGIN


async def test_a_call_whose_answer_is_lost_counts(clock: VirtualClock, rate_limiter: RateLimiter) -> None:
    taught(rate_limiter)
    await clock.sleep(rate_limiter.opens_in())
    for _ in range(5):
        rate_limiter.release(enter(rate_limiter), counted=True)
    assert rate_limiter.try_acquire() is None


# --- what is not counted is given back


async def test_a_place_that_was_not_counted_is_given_back(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    taught(rate_limiter)
    await clock.sleep(rate_limiter.opens_in())
    tickets = [enter(rate_limiter) for _ in range(5)]
    assert rate_limiter.try_acquire() is None
    rate_limiter.release(tickets[0], counted=True)
    rate_limiter.release(tickets[1], counted=False)
    assert rate_limiter.try_acquire() is not None
    assert rate_limiter.try_acquire() is None


@pytest.mark.parametrize("end_known", [False, True])
async def test_a_place_given_back_goes_to_who_is_waiting(
    clock: VirtualClock, rate_limiter: RateLimiter, *, end_known: bool
) -> None:
    taught(rate_limiter)
    await clock.sleep(rate_limiter.opens_in())
    tickets = [enter(rate_limiter) for _ in range(5)]
    if end_known:
        rate_limiter.release(tickets[1], counted=True)
    began = clock.now()
    waiter = asyncio.create_task(rate_limiter.acquire())
    await asyncio.sleep(0)
    rate_limiter.release(tickets[0], counted=False)
    await waiter
    assert clock.now() == began


async def test_a_window_of_nothing_but_uncounted_calls_stays_open(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    taught(rate_limiter)
    await clock.sleep(rate_limiter.opens_in())
    for _ in range(50):
        rate_limiter.release(enter(rate_limiter), counted=False)
    assert rate_limiter.opens_in() == 0


# --- other ways to say it


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
def test_without_a_parse_limit_its_words_the_header_is_heeded_or_a_second_waited(
    rate_limiter: RateLimiter, headers: dict[str, str], seconds: float, body: bytes
) -> None:
    rate_limiter.refused(enter(rate_limiter), headers, body)
    assert rate_limiter.limit is None
    assert rate_limiter.opens_in() == seconds
    assert rate_limiter.try_acquire() is None


@pytest.mark.parametrize("reset", ["20", "1795000020"], ids=["from now", "epoch"])
async def test_a_used_up_quota_in_the_headers_closes_until_its_reset(
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
    ],
    ids=["none", "some left", "no reset", "no number", "no time", "nan", "past"],
)
def test_other_headers_close_nothing(rate_limiter: RateLimiter, headers: dict[str, str]) -> None:
    rate_limiter.observe(headers)
    assert rate_limiter.opens_in() == 0


# --- waiting


async def test_waiters_enter_in_the_order_they_came(clock: VirtualClock, rate_limiter: RateLimiter) -> None:
    taught(rate_limiter)
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


async def test_nobody_overtakes_who_is_waiting(clock: VirtualClock, rate_limiter: RateLimiter) -> None:
    taught(rate_limiter)
    waiter = asyncio.create_task(rate_limiter.acquire())
    await asyncio.sleep(0)
    await clock.sleep(rate_limiter.opens_in() - 0.01)
    assert rate_limiter.try_acquire() is None
    await waiter
    assert rate_limiter.try_acquire() is not None


async def test_a_cancelled_waiter_holds_nobody_up(clock: VirtualClock, rate_limiter: RateLimiter) -> None:
    taught(rate_limiter)
    waiters = [asyncio.create_task(rate_limiter.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    for waiter in waiters[:2]:
        waiter.cancel()
    await waiters[2]
    assert clock.now() == pytest.approx(60 + MARGIN)
    assert rate_limiter.try_acquire() is not None


async def test_a_waiter_cancelled_while_the_end_is_unknown_holds_nobody_up(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    taught(rate_limiter)
    await clock.sleep(rate_limiter.opens_in())
    tickets = [enter(rate_limiter) for _ in range(5)]
    first, second = (asyncio.create_task(rate_limiter.acquire()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    rate_limiter.release(tickets[0], counted=True)
    await second


async def test_a_timeout_while_waiting_leaves_the_gate_usable(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    taught(rate_limiter)
    with pytest.raises(TimeoutError):
        async with clock.timeout(5):
            await rate_limiter.acquire()
    assert clock.now() == 5
    await rate_limiter.acquire()


# --- the words


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
    ],
)
def test_a_limit_is_read_from_the_words(text: str, limit: Limit | None) -> None:
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


def test_a_limit_reads_well() -> None:
    assert str(Limit(5, 60.0)) == "5 per 60 s"


async def test_paths_that_come_and_go_are_not_remembered_for_ever() -> None:
    rate_limiters = RateLimiters(VirtualClock())
    learned = rate_limiters.rate_limiter("/limited")
    learned.refused(learned.try_acquire() or 0, {}, b'{"error": "Rate limit exceeded: 5 per 1 minute"}')
    for number in range(3000):
        rate_limiters.rate_limiter(f"/api/pending_tool_calls/{number}")
    assert len(rate_limiters._limiters) <= 1024
    assert rate_limiters.rate_limiter("/limited") is learned
