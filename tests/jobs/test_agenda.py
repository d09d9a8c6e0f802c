"""The agenda: everything falls due once, in time and in order, unless it was taken out before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reflexio_async._engine.clock import SystemClock
from reflexio_async._engine.jobs.agenda import Agenda
from reflexio_async.sandbox import VirtualClock

LENGTHS = st.sampled_from([0.25, 1.0, 60.0])


@dataclass(eq=False)
class Entry:
    """Notes when it fell due."""

    clock: VirtualClock
    fell_due_at: list[float] = field(default_factory=list[float])
    due: float = 0.0
    line: Any = None
    previous: Any = None
    following: Any = None

    def fall_due(self) -> None:
        self.fell_due_at.append(self.clock.now())


@given(
    added=st.lists(
        st.tuples(LENGTHS, st.floats(-0.5, 0.0), st.floats(0.0, 2.0), st.booleans()), min_size=1, max_size=40
    )
)
async def test_every_entry_falls_due_once_at_its_time_unless_it_was_removed(
    added: list[tuple[float, float, float, bool]],
) -> None:
    clock = VirtualClock()
    agenda = Agenda(clock)
    expected: list[tuple[Entry, list[float]]] = []
    for length, late, pause, removed in added:
        entry = Entry(clock, due=clock.now() + length + late)
        due = max(entry.due, clock.now())
        agenda.add(entry, length)
        if removed:
            agenda.remove(entry)
        expected.append((entry, [] if removed else [due]))
        await clock.sleep(pause)
    await clock.sleep(100.0)
    for entry, times in expected:
        assert len(entry.fell_due_at) == len(times)
        assert all(abs(was - due) < 1e-6 for was, due in zip(entry.fell_due_at, times, strict=True))
    assert list(agenda) == []


async def test_an_entry_may_be_added_again_and_others_removed_while_one_falls_due() -> None:
    clock = VirtualClock()
    agenda = Agenda(clock)
    other = Entry(clock, due=1.0)

    class Busy(Entry):
        def fall_due(self) -> None:
            super().fall_due()
            agenda.remove(other)
            if len(self.fell_due_at) < 3:
                self.due = clock.now() + 1.0
                agenda.add(self, 1.0)

    busy = Busy(clock, due=1.0)
    agenda.add(busy, 1.0)
    agenda.add(other, 1.0)
    await clock.sleep(10.0)
    assert (busy.fell_due_at, other.fell_due_at) == ([1.0, 2.0, 3.0], [])


async def test_removing_what_stands_in_no_line_is_harmless() -> None:
    agenda = Agenda(SystemClock())
    agenda.remove(Entry(VirtualClock()))
    assert list(agenda) == []


async def test_no_timer_is_left_once_all_entries_are_gone() -> None:
    clock = VirtualClock()
    agenda = Agenda(clock)
    entries = [Entry(clock, due=5.0) for _ in range(3)]
    for entry in entries:
        agenda.add(entry, 5.0)
    for entry in entries:
        agenda.remove(entry)
    await clock.sleep(1.0)
    assert clock.now() == 1.0
    assert clock.pending == 0


async def test_what_is_overdue_is_noted_in_any_order_without_looking_for_its_place() -> None:
    clock = VirtualClock()
    await clock.sleep(10_000.0)
    agenda = Agenda(clock)
    looks = 0

    class Moment(float):
        def __gt__(self, other: float) -> bool:
            nonlocal looks
            looks += 1
            return super().__gt__(other)

    entries = [Entry(clock, due=Moment(number)) for number in range(500)]
    for entry in reversed(entries):
        agenda.add(entry, 1.0)
    await clock.sleep(1.0)
    assert all(entry.fell_due_at == [10_000.0] for entry in entries)
    assert looks < 10 * len(entries)
