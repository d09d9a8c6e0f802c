"""The poller: every source is polled when it is due, unless it was removed before."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reflexio_async import BadRequest, ServerError
from reflexio_async._engine.jobs.kinds import UNLIMITED, PollRate
from reflexio_async._engine.jobs.poller import Poller
from reflexio_async._engine.loops import LoopBinding
from reflexio_async._engine.tasks import TaskTracker
from reflexio_async.sandbox import VirtualClock

INTERVALS = st.sampled_from([0.25, 1.0, 60.0])


@dataclass(eq=False)
class Source:
    """Notes when it was polled; waits for ``interval`` seconds between polls, ``wanted`` times."""

    clock: VirtualClock
    interval: float = 1.0
    wanted: int = 1
    rate: PollRate = UNLIMITED
    error: Exception | None = None
    polled_at: float = 0.0
    polls: int = 0
    failures: int = 0
    polling: bool = False
    name: str = "source"
    times: list[float] = field(default_factory=list[float])
    failed: list[Exception] = field(default_factory=list[Exception])

    @property
    def subscribed(self) -> bool:
        return len(self.times) < self.wanted

    def pause(self, _: float, /) -> float | None:
        return self.interval if self.subscribed else None

    async def poll(self) -> None:
        self.times.append(self.clock.now())
        if self.error is not None:
            raise self.error

    def poll_failed(self, error: Exception) -> None:
        self.failed.append(error)

    def give_up(self, _: str, /, *, closed: bool) -> None:  # noqa: ARG002  # as the poller calls it
        self.wanted = 0


@pytest.fixture
def poller(clock: VirtualClock) -> Poller:
    return Poller(clock, TaskTracker(LoopBinding()))


@given(
    added=st.lists(
        st.tuples(
            st.sampled_from([0.25, 1.0, 60.0]), st.floats(-0.5, 0.0), st.floats(0.0, 2.0), st.booleans()
        ),
        min_size=1,
        max_size=40,
    )
)
async def test_every_source_is_polled_once_when_it_is_due_unless_it_was_removed(
    added: list[tuple[float, float, float, bool]],
) -> None:
    clock = VirtualClock()
    poller = Poller(clock, TaskTracker(LoopBinding()))
    expected: list[tuple[Source, list[float]]] = []
    for interval, since_poll, pause, removed in added:
        source = Source(clock, interval, polled_at=clock.now() + since_poll)
        due = max(source.polled_at + interval, clock.now())
        poller.schedule(source)
        if removed:
            poller.remove(source)
        expected.append((source, [] if removed else [due]))
        await clock.sleep(pause)
    await clock.sleep(100.0)
    for source, times in expected:
        assert source.times == pytest.approx(times, abs=1e-6)
    assert (poller.active, clock.pending) == ([], 0)


async def test_a_source_is_polled_again_after_its_pause(clock: VirtualClock, poller: Poller) -> None:
    source = Source(clock, interval=5.0, wanted=3)
    poller.schedule(source)
    await clock.sleep(100.0)
    assert source.times == [5.0, 10.0, 15.0]


async def test_scheduling_again_replaces_the_time_before(clock: VirtualClock, poller: Poller) -> None:
    source = Source(clock, interval=5.0)
    poller.schedule(source)
    for interval in (50.0, 2.0, 9.0, 7.0):
        source.interval = interval
        poller.schedule(source)
    await clock.sleep(100.0)
    assert source.times == [7.0]


async def test_removing_a_source_that_is_not_scheduled_does_nothing(
    clock: VirtualClock, poller: Poller
) -> None:
    poller.remove(Source(clock))
    assert clock.pending == 0


async def test_no_timer_is_left_when_every_source_was_removed(clock: VirtualClock, poller: Poller) -> None:
    sources = [Source(clock, interval=5.0) for _ in range(3)]
    for source in sources:
        poller.schedule(source)
    for source in sources:
        poller.remove(source)
    assert clock.pending == 0


async def test_scheduling_a_source_very_often_takes_no_more_memory(
    clock: VirtualClock, poller: Poller
) -> None:
    source = Source(clock)
    for number in range(10_000):
        source.interval = 100.0 + number % 7
        poller.schedule(source)
    assert len(poller._heap) < 100


async def test_a_failed_poll_is_repeated_after_a_growing_pause(clock: VirtualClock, poller: Poller) -> None:
    source = Source(clock, interval=0.1, wanted=12, error=failure(503))
    poller.schedule(source)
    await clock.sleep(100.0)
    gaps = [later - earlier for earlier, later in zip(source.times, source.times[1:], strict=False)]
    assert gaps == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0, 10.0])
    assert len(source.failed) == 12


async def test_every_error_is_handed_on(clock: VirtualClock, poller: Poller) -> None:
    source = Source(clock, error=failure(400))
    poller.schedule(source)
    await clock.sleep(10.0)
    assert source.failed == [source.error]


async def test_sources_of_one_rate_are_polled_no_more_often_than_it_allows(
    clock: VirtualClock, poller: Poller
) -> None:
    rate = PollRate("route", per_second=2.0, burst=3)
    sources = [Source(clock, interval=0.0, rate=rate) for _ in range(9)]
    for source in sources:
        poller.schedule(source)
    await clock.sleep(100.0)
    assert [source.times[0] for source in sources] == [0.0] * 3 + [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]


async def test_a_source_that_waits_for_its_turn_is_not_polled_once_its_waiters_have_left(
    clock: VirtualClock, poller: Poller
) -> None:
    rate = PollRate("route", per_second=1.0)
    first, second = (Source(clock, interval=0.0, rate=rate) for _ in range(2))
    poller.schedule(first)
    poller.schedule(second)
    await clock.sleep(0.5)
    second.wanted = 0
    await clock.sleep(10.0)
    assert (first.times, second.times, second.polling) == ([0.0], [], False)


async def test_closing_names_the_sources_that_somebody_waits_for_and_polls_no_more(
    clock: VirtualClock, poller: Poller
) -> None:
    scheduled, unwanted = Source(clock), Source(clock, wanted=1)
    poller.schedule(scheduled)
    poller.schedule(unwanted)
    unwanted.wanted = 0
    assert poller.close() == [scheduled]
    poller.schedule(scheduled)
    await clock.sleep(10.0)
    assert (scheduled.times, clock.pending) == ([], 0)


def failure(status: int) -> Exception:
    kind = ServerError if status >= 500 else BadRequest
    return kind(str(status), status=status, method="GET", path="/")
