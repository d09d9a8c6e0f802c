"""A rate limit that one process has learned, and another goes on with."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexio_async._engine.rate_limits import Limit, RateLimiter
from reflexio_async.sandbox import VirtualClock
from tests.core.test_rate_limits import BODY, MARGIN, Server, enter, learn_limit

DAY = 86400.0


@dataclass
class OtherClock(VirtualClock):
    """The clock of another process: its monotonic seconds are others, its epoch seconds may be."""

    of: VirtualClock = field(default_factory=VirtualClock)
    ahead: float = 0.0

    def now(self) -> float:
        return self.of.now() + 1e6

    def time(self) -> float:
        return self.of.time() + self.ahead


@pytest.fixture
def rate_limiter(clock: VirtualClock) -> RateLimiter:
    return RateLimiter(clock)


def text_of(rate_limiter: RateLimiter) -> str:
    text = rate_limiter.snapshot()
    assert text is not None
    return text


def successor(
    rate_limiter: RateLimiter, clock: VirtualClock, *, ahead: float = 0.0, **change: Any
) -> RateLimiter:
    """The rate limiter of another process, which has restored the snapshot."""
    other = RateLimiter(OtherClock(of=clock, ahead=ahead))
    other.restore(json.dumps(json.loads(text_of(rate_limiter)) | change))
    return other


async def hits_of_a_window(clock: VirtualClock, rate_limiter: RateLimiter, hits: int) -> None:
    """Let the limit be known, and use that many hits of a window that begins now."""
    learn_limit(rate_limiter)
    await clock.sleep(100)
    for _ in range(hits):
        rate_limiter.release(enter(rate_limiter), counted=True)


# --- what is in it


def test_when_nothing_is_known_there_is_no_snapshot(rate_limiter: RateLimiter) -> None:
    enter(rate_limiter)
    assert rate_limiter.snapshot() is None


async def test_times_are_epoch_seconds(clock: VirtualClock, rate_limiter: RateLimiter) -> None:
    await hits_of_a_window(clock, rate_limiter, 2)
    epoch = clock.time()
    assert json.loads(text_of(rate_limiter)) == {
        "at": epoch,
        "hits": 5,
        "period": 60.0,
        "began": epoch,
        "end": epoch + 60 + MARGIN,
        "used": 2,
        "recent": [epoch, epoch],
    }


async def test_many_hits_make_no_long_text(clock: VirtualClock, rate_limiter: RateLimiter) -> None:
    for _ in range(300):
        rate_limiter.release(enter(rate_limiter), counted=True)
        await clock.sleep(0.1)
    assert len(text_of(rate_limiter)) < 600


# --- the same window goes on


async def test_the_hits_of_the_other_process_are_used_up(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    await hits_of_a_window(clock, rate_limiter, 3)
    other = successor(rate_limiter, clock)
    assert [other.try_acquire() is not None for _ in range(3)] == [True, True, False]


async def test_the_window_ends_when_it_ended_for_the_other_process(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    await hits_of_a_window(clock, rate_limiter, 5)
    await clock.sleep(20)
    assert successor(rate_limiter, clock).opens_in() == pytest.approx(40 + MARGIN, abs=0.01)


async def test_a_window_that_is_over_leaves_the_limit(clock: VirtualClock, rate_limiter: RateLimiter) -> None:
    await hits_of_a_window(clock, rate_limiter, 5)
    text = text_of(rate_limiter)
    await clock.sleep(61)
    other = RateLimiter(clock)
    other.restore(text)
    assert other.limit == Limit(5, 60.0)
    assert [other.try_acquire() is not None for _ in range(6)] == [True] * 5 + [False]


async def test_a_window_without_a_response_ends_one_period_after_the_snapshot(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    await hits_of_a_window(clock, rate_limiter, 0)
    for _ in range(5):
        enter(rate_limiter)
    await clock.sleep(7)
    text = text_of(rate_limiter)
    await clock.sleep(10)
    other = RateLimiter(clock)
    other.restore(text)
    assert other.opens_in() == pytest.approx(50 + MARGIN, abs=0.01)


async def test_a_hit_at_the_end_of_the_window_counts_in_the_next_one_too(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    await hits_of_a_window(clock, rate_limiter, 1)
    await clock.sleep(60.12)
    rate_limiter.release(enter(rate_limiter), counted=True)
    other = successor(rate_limiter, clock)
    await clock.sleep(1)
    assert [other.try_acquire() is not None for _ in range(5)] == [True] * 4 + [False]


async def test_the_first_refusal_of_all_is_read_with_the_hits_of_the_other_process(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    server = Server(clock, latency=0.0)
    for _ in range(5):
        await server.call(rate_limiter)
        await clock.sleep(5)
    other = successor(rate_limiter, clock)
    permit = enter(other)
    other.release(permit, counted=False)
    other.refused(permit, {}, BODY)
    assert other.opens_in() == pytest.approx(35 + MARGIN, abs=0.01)


async def test_a_pause_that_the_server_asked_for_goes_on(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    rate_limiter.refused(enter(rate_limiter), {"Retry-After": "30"}, b"")
    await clock.sleep(10)
    assert successor(rate_limiter, clock).opens_in() == pytest.approx(20, abs=0.01)


async def test_hits_that_came_after_the_snapshot_can_be_added(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    await hits_of_a_window(clock, rate_limiter, 3)
    other = RateLimiter(clock)
    other.restore(text_of(rate_limiter), unsaved=1)
    assert [other.try_acquire() is not None for _ in range(2)] == [True, False]


async def test_hits_that_came_after_the_snapshot_may_have_opened_a_window(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    await hits_of_a_window(clock, rate_limiter, 5)
    text = text_of(rate_limiter)
    await clock.sleep(70)
    other = RateLimiter(clock)
    other.restore(text, unsaved=1)
    assert [other.try_acquire() is not None for _ in range(5)] == [True] * 4 + [False]
    assert other.opens_in() == pytest.approx(60 + MARGIN)


async def test_hits_of_another_process_tell_when_the_window_began(clock: VirtualClock) -> None:
    other = RateLimiter(clock)
    other.answered_at([clock.time()] * 5)
    await clock.sleep(20)
    learn_limit(other)
    assert other.opens_in() == pytest.approx(40 + MARGIN)


# --- what this process knows itself


@pytest.mark.parametrize("ours", [1, 3])
async def test_of_one_window_the_larger_number_of_hits_counts(
    clock: VirtualClock, rate_limiter: RateLimiter, ours: int
) -> None:
    await hits_of_a_window(clock, rate_limiter, ours)
    text = json.dumps(json.loads(text_of(rate_limiter)) | {"used": 4 - ours})
    rate_limiter.restore(text)
    assert [rate_limiter.try_acquire() is not None for _ in range(3)] == [True, True, False]


async def test_an_earlier_window_is_not_gone_back_to(clock: VirtualClock, rate_limiter: RateLimiter) -> None:
    await hits_of_a_window(clock, rate_limiter, 5)
    text = text_of(rate_limiter)
    await clock.sleep(61)
    rate_limiter.release(enter(rate_limiter), counted=True)
    rate_limiter.restore(text)
    assert rate_limiter.opens_in() == 0


async def test_a_later_window_takes_the_place_of_ours(clock: VirtualClock, rate_limiter: RateLimiter) -> None:
    await hits_of_a_window(clock, rate_limiter, 1)
    other = successor(rate_limiter, clock)
    await clock.sleep(61)
    for _ in range(5):
        other.release(enter(other), counted=True)
    rate_limiter.restore(text_of(other))
    assert rate_limiter.try_acquire() is None


async def test_who_waits_learns_of_it(clock: VirtualClock, rate_limiter: RateLimiter) -> None:
    await hits_of_a_window(clock, rate_limiter, 5)
    text = text_of(rate_limiter)
    other = RateLimiter(clock)
    learn_limit(other)
    waiting = asyncio.create_task(other.acquire())
    await clock.sleep(1)
    other.restore(json.dumps(json.loads(text) | {"end": clock.time() + 3000.0}))
    await clock.sleep(1000)
    assert not waiting.done()
    waiting.cancel()


# --- what is not believed


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "not json", '{"at":NaN}', '{"at":-1}', "{" * 100_000, '{"at":1e999}'],
    ids=lambda text: text[:12],
)
def test_what_is_no_snapshot_is_ignored(rate_limiter: RateLimiter, text: str) -> None:
    rate_limiter.restore(text)
    assert rate_limiter.unused


@pytest.mark.parametrize(
    "change",
    [{"hits": 0}, {"hits": "5"}, {"period": -1}, {"period": 0}, {"used": -1}, {"end": "soon"}, {"recent": 3}],
    ids=str,
)
async def test_a_snapshot_with_an_absurd_value_is_ignored(
    clock: VirtualClock, rate_limiter: RateLimiter, change: dict[str, Any]
) -> None:
    await hits_of_a_window(clock, rate_limiter, 5)
    assert successor(rate_limiter, clock, **change).limit is None


@pytest.mark.parametrize(
    "change",
    [{"end": 1e12}, {"closed_until": 1e12}, {"period": 1e12, "end": None}, {"began": 1e12, "end": 1e12}],
    ids=str,
)
async def test_no_time_is_believed_that_is_more_than_an_hour_ahead(
    clock: VirtualClock, rate_limiter: RateLimiter, change: dict[str, Any]
) -> None:
    await hits_of_a_window(clock, rate_limiter, 5)
    assert 60 < successor(rate_limiter, clock, **change).opens_in() <= 3600 + MARGIN


async def test_more_used_hits_than_the_limit_has_are_the_limit(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    await hits_of_a_window(clock, rate_limiter, 1)
    other = successor(rate_limiter, clock, used=10**30, uncertain=[0.0] * 1000)
    await clock.sleep(100)
    assert other.try_acquire() is not None


@pytest.mark.parametrize("ahead", [DAY + 1, -3700.0], ids=["a day old", "an hour from the future"])
async def test_a_snapshot_of_another_time_is_ignored(
    clock: VirtualClock, rate_limiter: RateLimiter, ahead: float
) -> None:
    await hits_of_a_window(clock, rate_limiter, 5)
    assert successor(rate_limiter, clock, ahead=ahead).limit is None


async def test_when_the_clock_was_set_back_the_window_goes_on_as_if_no_time_had_passed(
    clock: VirtualClock, rate_limiter: RateLimiter
) -> None:
    await hits_of_a_window(clock, rate_limiter, 5)
    assert successor(rate_limiter, clock, ahead=-600.0).opens_in() == pytest.approx(60 + MARGIN, abs=0.01)


# --- processes that take turns


@given(
    turns=st.lists(
        st.tuples(st.integers(0, 7), st.one_of(st.floats(0, 1), st.floats(0, 90), st.floats(59.5, 60.5))),
        max_size=20,
    ),
    latency=st.floats(0, 2),
)
@settings(deadline=None, max_examples=100)
def test_when_processes_take_turns_no_call_is_refused_and_none_waits_too_long(
    turns: list[tuple[int, float]], latency: float
) -> None:
    async def run() -> None:
        clock = VirtualClock()
        server, rate_limiter = Server(clock, latency=latency), RateLimiter(clock)
        learn_limit(rate_limiter)
        await clock.sleep(100)
        began, calls = clock.now(), 0
        for width, pause in turns:
            await asyncio.gather(*(server.call(rate_limiter) for _ in range(width)))
            calls += width
            text = text_of(rate_limiter)
            await clock.sleep(pause)
            rate_limiter = RateLimiter(clock)
            rate_limiter.restore(text)
        assert server.statuses[429] == 0
        windows = math.ceil(calls * 2 / 5)  # a hit at the edge of a window counts in the next one too
        assert clock.now() - began <= sum(pause for _, pause in turns) + (windows + 1) * (61 + 4 * latency)

    asyncio.run(run())
