"""Rate limits, learned on virtual time from a server that counts as the real one does."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass, field

import pytest

from reflexio_async._engine.rate_limits import Gate, Limit, Pacer, limit_in
from reflexio_async.sandbox import VirtualClock

BODY = b'{"error":"Rate limit exceeded: 5 per 1 minute"}'
MARGIN = 0.25


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def gate(clock: VirtualClock) -> Gate:
    return Gate(clock)


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

    async def call(self, gate: Gate) -> float:
        """Call until it is admitted, as the pipeline does; when that was."""
        while True:
            ticket = gate.try_enter()
            if ticket is None:
                ticket = await gate.enter()
            await self.clock.sleep(self.latency)
            admitted = self.hit()
            await self.clock.sleep(self.latency)
            gate.answered(ticket, counted=admitted)
            if admitted:
                self.answers[200] += 1
                return self.clock.now()
            self.answers[429] += 1
            gate.refused(ticket, {}, BODY)


def taught(gate: Gate) -> None:
    """Let the gate see a refusal before any hit of ours."""
    ticket = gate.try_enter()
    assert ticket is not None
    gate.answered(ticket, counted=False)
    gate.refused(ticket, {}, BODY)


def enter(gate: Gate) -> int:
    ticket = gate.try_enter()
    assert ticket is not None
    return ticket


# --- before anything is known


def test_a_gate_is_free_until_it_is_taught(gate: Gate) -> None:
    assert all(gate.try_enter() is not None for _ in range(1000))
    assert gate.limit is None
    assert gate.opens_in() == 0


def test_every_path_has_a_gate_of_its_own(clock: VirtualClock) -> None:
    pacer = Pacer(clock)
    taught(pacer.gate("/a"))
    assert pacer.gate("/a").try_enter() is None
    assert pacer.gate("/b").try_enter() is not None
    assert pacer.gate("/a") is pacer.gate("/a")


# --- what a refusal teaches


async def test_the_window_ends_one_period_after_our_own_first_hit(clock: VirtualClock, gate: Gate) -> None:
    server = Server(clock, latency=0.0)
    for _ in range(5):
        await server.call(gate)
        await clock.sleep(10)
    assert clock.now() == 50
    assert not server.hit()
    ticket = enter(gate)
    gate.answered(ticket, counted=False)
    gate.refused(ticket, {}, BODY)
    assert gate.limit == Limit(5, 60.0)
    assert gate.opens_in() == pytest.approx(10 + MARGIN)


async def test_twelve_at_once_cost_seven_refusals_in_all_and_are_paced_then(
    clock: VirtualClock, gate: Gate
) -> None:
    server = Server(clock)
    ended = sorted(await asyncio.gather(*(server.call(gate) for _ in range(12))))
    assert server.answers == {200: 12, 429: 7}
    assert ended[4] < 1
    assert 60 < ended[5] <= ended[9] < 61
    assert 120 < ended[10] <= ended[11] < 122


async def test_calls_one_after_another_cost_one_refusal(clock: VirtualClock, gate: Gate) -> None:
    server = Server(clock)
    for _ in range(23):
        await server.call(gate)
    assert server.answers == {200: 23, 429: 1}
    assert clock.now() < 4 * 61


async def test_a_hundred_at_once_never_stray_once_the_limit_is_known(clock: VirtualClock, gate: Gate) -> None:
    server = Server(clock)
    await server.call(gate)
    taught(gate)
    await asyncio.gather(*(server.call(gate) for _ in range(100)))
    assert server.answers == {200: 101}
    assert clock.now() < 21 * 61


async def test_slow_answers_do_not_make_a_window_start_too_early(clock: VirtualClock, gate: Gate) -> None:
    server = Server(clock, latency=4.0)
    taught(gate)
    await asyncio.gather(*(server.call(gate) for _ in range(25)))
    assert server.answers[429] == 0


@pytest.mark.parametrize("foreign", [1, 3, 5])
async def test_hits_of_others_are_waited_out(clock: VirtualClock, gate: Gate, foreign: int) -> None:
    server = Server(clock)
    for _ in range(4):
        server.hit(foreign)
        await asyncio.gather(*(server.call(gate) for _ in range(5)))
        await clock.sleep(120)
    assert server.answers[200] == 20
    assert server.answers[429] <= 4 * 5
    assert clock.now() < 4 * (120 + 2 * 61)


async def test_a_refusal_of_an_older_window_teaches_nothing_new(clock: VirtualClock, gate: Gate) -> None:
    first, late = enter(gate), enter(gate)
    gate.answered(first, counted=False)
    gate.refused(first, {}, BODY)
    closed_for = gate.opens_in()
    await clock.sleep(5)
    gate.answered(late, counted=False)
    gate.refused(late, {}, BODY)
    assert gate.opens_in() == closed_for - 5


async def test_until_the_first_answer_of_a_window_its_end_is_not_known(
    clock: VirtualClock, gate: Gate
) -> None:
    taught(gate)
    await clock.sleep(gate.opens_in())
    tickets = [enter(gate) for _ in range(5)]
    assert math.isinf(gate.opens_in())
    await clock.sleep(7)
    gate.answered(tickets[0], counted=True)
    assert gate.opens_in() == 60 + MARGIN


async def test_a_call_whose_answer_is_lost_counts(clock: VirtualClock, gate: Gate) -> None:
    taught(gate)
    await clock.sleep(gate.opens_in())
    for _ in range(5):
        gate.answered(enter(gate), counted=True)
    assert gate.try_enter() is None


# --- what is not counted is given back


async def test_a_place_that_was_not_counted_is_given_back(clock: VirtualClock, gate: Gate) -> None:
    taught(gate)
    await clock.sleep(gate.opens_in())
    tickets = [enter(gate) for _ in range(5)]
    assert gate.try_enter() is None
    gate.answered(tickets[0], counted=True)
    gate.answered(tickets[1], counted=False)
    assert gate.try_enter() is not None
    assert gate.try_enter() is None


@pytest.mark.parametrize("end_known", [False, True])
async def test_a_place_given_back_goes_to_who_is_waiting(
    clock: VirtualClock, gate: Gate, *, end_known: bool
) -> None:
    taught(gate)
    await clock.sleep(gate.opens_in())
    tickets = [enter(gate) for _ in range(5)]
    if end_known:
        gate.answered(tickets[1], counted=True)
    began = clock.now()
    waiter = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    gate.answered(tickets[0], counted=False)
    await waiter
    assert clock.now() == began


async def test_a_window_of_nothing_but_uncounted_calls_stays_open(clock: VirtualClock, gate: Gate) -> None:
    taught(gate)
    await clock.sleep(gate.opens_in())
    for _ in range(50):
        gate.answered(enter(gate), counted=False)
    assert gate.opens_in() == 0


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
def test_without_a_limit_in_its_words_the_header_is_heeded_or_a_second_waited(
    gate: Gate, headers: dict[str, str], seconds: float, body: bytes
) -> None:
    gate.refused(enter(gate), headers, body)
    assert gate.limit is None
    assert gate.opens_in() == seconds
    assert gate.try_enter() is None


@pytest.mark.parametrize("reset", ["20", "1795000020"], ids=["from now", "epoch"])
async def test_a_used_up_quota_in_the_headers_closes_until_its_reset(
    clock: VirtualClock, gate: Gate, reset: str
) -> None:
    gate.observe({"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})
    assert gate.opens_in() == 20
    await gate.enter()
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
def test_other_headers_close_nothing(gate: Gate, headers: dict[str, str]) -> None:
    gate.observe(headers)
    assert gate.opens_in() == 0


# --- waiting


async def test_waiters_enter_in_the_order_they_came(clock: VirtualClock, gate: Gate) -> None:
    taught(gate)
    entered: list[int] = []

    async def wait(number: int) -> None:
        ticket = await gate.enter()
        entered.append(number)
        await clock.sleep(0.1)
        gate.answered(ticket, counted=True)

    waiters: list[asyncio.Task[None]] = []
    for number in range(17):
        waiters.append(asyncio.create_task(wait(number)))
        await clock.sleep(0.5)
    await asyncio.gather(*waiters)
    assert entered == list(range(17))


async def test_nobody_overtakes_who_is_waiting(clock: VirtualClock, gate: Gate) -> None:
    taught(gate)
    waiter = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    await clock.sleep(gate.opens_in() - 0.01)
    assert gate.try_enter() is None
    await waiter
    assert gate.try_enter() is not None


async def test_a_cancelled_waiter_holds_nobody_up(clock: VirtualClock, gate: Gate) -> None:
    taught(gate)
    waiters = [asyncio.create_task(gate.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    for waiter in waiters[:2]:
        waiter.cancel()
    await waiters[2]
    assert clock.now() == pytest.approx(60 + MARGIN)
    assert gate.try_enter() is not None


async def test_a_waiter_cancelled_while_the_end_is_unknown_holds_nobody_up(
    clock: VirtualClock, gate: Gate
) -> None:
    taught(gate)
    await clock.sleep(gate.opens_in())
    tickets = [enter(gate) for _ in range(5)]
    first, second = (asyncio.create_task(gate.enter()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    gate.answered(tickets[0], counted=True)
    await second


async def test_a_timeout_while_waiting_leaves_the_gate_usable(clock: VirtualClock, gate: Gate) -> None:
    taught(gate)
    with pytest.raises(TimeoutError):
        async with clock.timeout(5):
            await gate.enter()
    assert clock.now() == 5
    await gate.enter()


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
    assert limit_in(f'{{"error":"{text}"}}'.encode()) == limit


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
    assert limit_in(body) is None


def test_a_limit_reads_well() -> None:
    assert str(Limit(5, 60.0)) == "5 per 60 s"


async def test_paths_that_come_and_go_are_not_remembered_for_ever() -> None:
    pacer = Pacer(VirtualClock())
    learned = pacer.gate("/limited")
    learned.refused(learned.try_enter() or 0, {}, b'{"error": "Rate limit exceeded: 5 per 1 minute"}')
    for number in range(3000):
        pacer.gate(f"/api/pending_tool_calls/{number}")
    assert len(pacer._gates) <= 1024
    assert pacer.gate("/limited") is learned
