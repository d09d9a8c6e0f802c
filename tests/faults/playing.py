"""Plays a schedule on virtual time: ``asyncio.run(play(Schedule(...)))``, or raises ``Broken``."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from tests.faults.schedules import Schedule
    from tests.faults.stage import Stage

VIRTUAL_DEADLINE = 50_000.0
REAL_DEADLINE = 20.0


class Broken(AssertionError):
    """What did not hold."""


@dataclass
class _Noise(logging.Handler):
    """Errors that nobody raises: in logs, in the loop's handler."""

    heard: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        super().__init__(logging.ERROR)

    __hash__ = object.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        if " failed in the background: " not in record.getMessage():
            self.heard.append(f"log: {record.getMessage()} {record.exc_info or ''}")

    def caught(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.heard.append(f"loop: {context}")


@contextmanager
def _listening() -> Generator[_Noise]:
    noise, root = _Noise(), logging.getLogger()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(noise.caught)
    root.addHandler(noise)
    # Whatever there is already is not looked through when the play's rubbish is: that halves its time.
    gc.freeze()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield noise
            gc.collect()
        noise.heard += [f"warning: {warning.message}" for warning in warned]
    finally:
        gc.unfreeze()
        root.removeHandler(noise)
        loop.set_exception_handler(None)


def _lane(lane: Any) -> str:
    def names(jobs: Iterable[Any]) -> list[str]:
        return [f"{job.description} {job.status.state}" for job in jobs]

    slot = lane.slot
    return (
        f"lane {lane._name}: dialect={lane.dialect} queued={names(lane._queue)} "
        f"starting={names(lane._starting)} unresolved={names(lane._unresolved)} "
        f"running={names(slot.running)} failures={slot.failures} failing_since={slot._failing_since} "
        f"observed_at={slot.observed_at} latest={slot.latest} subscriptions={slot._subscriptions} "
        f"polling={slot.polling} worker={lane._worker}"
    )


def state(stage: Stage) -> str:
    """What stands where, for the report of a hang."""
    lines = [repr(stage.clock)]
    with suppress(AttributeError):
        lines += [_lane(lane) for lane in stage.client.engine.jobs._lanes.values()]
    lines += [f"{call.what} {call.key}: {call.ends} outcomes" for call in stage.calls]
    for task in asyncio.all_tasks():
        frames = " < ".join(
            f"{frame.f_code.co_qualname if hasattr(frame.f_code, 'co_qualname') else frame.f_code.co_name}"
            f":{frame.f_lineno}"
            for frame in task.get_stack()
        )
        lines.append(f"task {task.get_name()[:60]}: {frames}")
    return "\n".join(lines)


async def play(schedule: Schedule) -> Stage:
    """Play it, or raise ``Broken``."""
    random.seed(0)
    stage = Trial(schedule)
    with _listening() as noise:
        await _to_the_end(stage)
    stage.judge()
    stage.trouble += noise.heard
    if stage.trouble:
        raise Broken("\n".join(stage.trouble))
    return stage


async def _to_the_end(stage: Stage) -> None:
    before = asyncio.all_tasks()
    main = asyncio.create_task(stage.run(), name="the play")
    timer = stage.clock.call_at(VIRTUAL_DEADLINE, lambda: _give_up(stage, main, "virtual time ran out"))
    await asyncio.wait([main], timeout=REAL_DEADLINE)
    timer.cancel()
    if not main.done():
        _give_up(stage, main, "no progress")
        await asyncio.wait([main], timeout=5.0)
    if main.cancelled() or not main.done():
        raise Broken("\n".join(stage.trouble))
    main.result()
    for _ in range(10):
        await asyncio.sleep(0)
    if left := asyncio.all_tasks() - before:
        stage.trouble.append(f"tasks after closing: {left}")
    if stage.clock.pending or stage.clock.held:
        timers = [entry[2].callback for entry in stage.clock._heap if entry[2].callback]
        stage.trouble.append(f"after closing: {stage.clock!r} {timers}")


def _give_up(stage: Stage, main: asyncio.Task[None], why: str) -> None:
    stage.trouble.append(f"hang, {why}:\n{state(stage)}")
    main.cancel()
