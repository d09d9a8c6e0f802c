"""Runs a schedule in virtual time: ``asyncio.run(run_schedule(Schedule(...)))``."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.checks import CheckedSimulation
from tests.hang import A_HANG

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from tests.faults.schedules import Schedule
    from tests.faults.simulation import Simulation

VIRTUAL_DEADLINE = 50_000.0
REAL_DEADLINE = 20.0


class Violation(AssertionError):
    """Something that must always hold did not."""


@dataclass
class _UnraisedErrors(logging.Handler):
    """Errors that no caller sees: in logs, in the loop's exception handler."""

    found: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        super().__init__(logging.ERROR)

    __hash__ = object.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        if " failed in the background: " not in record.getMessage():
            self.found.append(f"log: {record.getMessage()} {record.exc_info or ''}")

    def caught(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.found.append(f"loop: {context}")


@contextmanager
def _unraised_errors() -> Generator[_UnraisedErrors]:
    unraised, root = _UnraisedErrors(), logging.getLogger()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(unraised.caught)
    root.addHandler(unraised)
    # Objects from before are not searched when this simulation's garbage is collected: that halves its time.
    gc.freeze()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield unraised
            gc.collect()
        unraised.found += [f"warning: {warning.message}" for warning in warned]
    finally:
        gc.unfreeze()
        root.removeHandler(unraised)
        loop.set_exception_handler(None)


def _lane(lane: Any) -> str:
    def names(jobs: Iterable[Any]) -> list[str]:
        return [f"{job.description} {job.status.state}" for job in jobs]

    slot = lane.slot
    return (
        f"lane {lane._name}: dialect={lane.dialect} queued={names(lane._queue)} "
        f"starting={names(lane._starting)} unresolved={names(lane._unresolved)} "
        f"running={names(slot.running)} failures={slot.failures} "
        f"failed_for={slot.failed.since if slot.failed.count else None} "
        f"observed_at={slot.observed_at} latest={slot.latest} subscriptions={slot._subscriptions} "
        f"polling={slot.polling} worker={lane._worker}"
    )


def state(simulation: Simulation) -> str:
    """The state of everything, for the report of a hang."""
    lines = [repr(simulation.clock)]
    with suppress(AttributeError):
        lines += [_lane(lane) for lane in simulation.client._engine.jobs.lanes]
    lines += [f"{call.what} {call.key}: {call.ends} outcomes" for call in simulation.calls]
    for task in asyncio.all_tasks():
        frames = " < ".join(
            f"{frame.f_code.co_qualname if hasattr(frame.f_code, 'co_qualname') else frame.f_code.co_name}"
            f":{frame.f_lineno}"
            for frame in task.get_stack()
        )
        lines.append(f"task {task.get_name()[:60]}: {frames}")
    return "\n".join(lines)


async def run_schedule(schedule: Schedule) -> Simulation:
    """Run it, and raise ``Violation`` with everything that did not hold."""
    random.seed(0)
    simulation = CheckedSimulation(schedule)
    with _unraised_errors() as unraised:
        await _to_the_end(simulation)
    simulation.judge()
    simulation.problems += unraised.found
    if simulation.problems:
        raise Violation("\n".join(simulation.problems))
    return simulation


async def _to_the_end(simulation: Simulation) -> None:
    before = asyncio.all_tasks()
    main = asyncio.create_task(simulation.run(), name="simulation")
    timer = simulation.clock.call_at(
        VIRTUAL_DEADLINE, lambda: _give_up(simulation, main, "virtual time ran out")
    )
    at = -1.0
    while not main.done() and at != (at := simulation.clock.now()):
        await asyncio.wait([main], timeout=REAL_DEADLINE)  # on a busy machine it takes longer
    timer.cancel()
    if not main.done():
        _give_up(simulation, main, "no progress")
        await asyncio.wait([main], timeout=A_HANG)
    if main.cancelled() or not main.done():
        raise Violation("\n".join(simulation.problems))
    main.result()
    for _ in range(10):
        await asyncio.sleep(0)
    if left := asyncio.all_tasks() - before:
        simulation.problems.append(f"tasks after closing: {left}")
    if simulation.clock.pending or simulation.clock.held:
        timers = [entry[2].callback for entry in simulation.clock._heap if entry[2].callback]
        simulation.problems.append(f"after closing: {simulation.clock!r} {timers}")


def _give_up(simulation: Simulation, main: asyncio.Task[None], why: str) -> None:
    simulation.problems.append(f"hang, {why}:\n{state(simulation)}")
    main.cancel()
