"""A clock that stands still while anything works, and jumps to the next timer when nothing does."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import math
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final
from weakref import WeakValueDictionary

HOLD_HEADER: Final = "X-Sandbox-Hold"
"""Names the client's hold, for a sandbox on the same clock."""

EPOCH: Final = 1_795_000_000.0
"""The value of ``time()`` when ``now()`` is zero."""

_QUIET_PASSES: Final = 2
_BLIND_PASSES: Final = 50  # for loops that do not show their ready queue (uvloop)
_COMPACT_ABOVE: Final = 256


class VirtualClock:
    """A ``Clock`` for one event loop, whose seconds take microseconds.

    Time moves only while no ``busy()`` block is open and the loop has nothing ready to run. Then it jumps
    to the next timer. A task that loops on ``sleep(0)`` keeps the loop from ever being quiet: wait on an
    event or on this clock instead.

    Several clocks on one loop move in turns, each with its own time and its own ``busy()`` blocks.
    Use a clock in the thread of its loop. Around work in another thread, hold ``busy()`` in the loop's.

    Args:
        auto_advance: Whether time moves by itself. If not, only ``advance()`` moves it, and a client with
            queued work needs ``advance()`` or ``run_freely()`` to close.
        epoch: The value of ``time()`` at the start, in epoch seconds.
    """

    def __init__(self, *, auto_advance: bool = True, epoch: float = EPOCH) -> None:
        self._now = 0.0
        self._epoch = epoch
        # Time may move up to the largest of these.
        self._limits = [math.inf] if auto_advance else [0.0]
        self._heap: list[tuple[float, int, VirtualTimer]] = []
        self._order = itertools.count()
        self._cancelled = 0
        self._holds: dict[str, _Hold] = {}
        self._held = 0
        self._settling: list[asyncio.Future[None]] = []
        self._watcher: _LoopWatcher | None = None

    def __repr__(self) -> str:
        return f"<VirtualClock now={self._now:.3f} timers={self.pending} holds={self._held}>"

    @property
    def pending(self) -> int:
        """How many timers are still to run."""
        return len(self._heap) - self._cancelled

    @property
    def held(self) -> int:
        """How many ``busy()`` blocks are open and not released."""
        return self._held

    def now(self) -> float:
        """Virtual seconds since the clock was made."""
        return self._now

    def time(self) -> float:
        """Virtual seconds since the epoch."""
        return self._epoch + self._now

    def call_at(self, when: float, callback: Callable[[], object]) -> VirtualTimer:
        """Run ``callback`` once ``now()`` reaches ``when``; in the loop's next pass if it already has."""
        loop = self._watcher_of_loop().loop
        timer = VirtualTimer(self, callback)
        if when <= self._now:
            loop.call_soon(timer.run)
        else:
            timer.queued = True
            heapq.heappush(self._heap, (when, next(self._order), timer))
            self._request_turn()
        return timer

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of virtual time. Zero or less only lets other tasks run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = self._watcher_of_loop().loop.create_future()
        timer = self.call_at(self._now + seconds, lambda: _wake(woken))
        try:
            await woken
        finally:
            timer.cancel()

    def timeout(self, seconds: float | None) -> VirtualTimeout:
        """Raise ``TimeoutError`` from the block once ``seconds`` have passed, as ``asyncio.timeout`` does."""
        return VirtualTimeout(self, seconds)

    def busy(self) -> _Hold:
        """Stop time while the block runs. The block gets the headers that name this hold."""
        return _Hold(self, str(next(_hold_numbers)))

    @contextmanager
    def released(self, *hold_ids: str | None) -> Generator[None]:
        """Let time move while the block runs, despite these holds. Holds that have ended are ignored."""
        released = [hold for hold_id in hold_ids if hold_id and (hold := self._holds.get(hold_id))]
        for hold in released:
            hold.released += 1
            if hold.released == 1:
                self._held -= 1
        self._request_turn()
        try:
            yield
        finally:
            for hold in released:
                hold.released -= 1
                if hold.released == 0 and hold.id in self._holds:
                    self._held += 1

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, run every timer on the way, and return when nothing is left to do.

        Of several calls at once, the one that goes furthest counts. A cancelled call moves time no further.
        """
        if not 0 <= seconds < math.inf:
            message = f"seconds must be a finite number, 0 or more, not {seconds!r}"
            raise ValueError(message)
        target = self._now + seconds
        self._limits.append(target)
        try:
            await self.sleep(seconds)
            await self.settle()
        finally:
            self._limits.remove(target)

    def run_freely(self) -> None:
        """Let time move by itself from now on, as with ``auto_advance=True``, so that queued work ends."""
        self._limits.append(math.inf)
        self._request_turn()

    async def settle(self) -> None:
        """Wait, without moving time, until no ``busy()`` block is open and the loop is quiet."""
        quiet: asyncio.Future[None] = self._watcher_of_loop().loop.create_future()
        self._settling.append(quiet)
        self._request_turn()
        await quiet

    def _watcher_of_loop(self) -> _LoopWatcher:
        """The watcher of the running loop. The clock belongs to that loop from its first use."""
        loop = asyncio.get_running_loop()
        if (watcher := self._watcher) is not None:
            if watcher.loop is loop:
                return watcher
            if self.pending or self._held or not watcher.loop.is_closed():
                message = "a VirtualClock belongs to one event loop; make one per test"
                raise RuntimeError(message)
            self._settling.clear()
        self._watcher = watcher = _LoopWatcher.of(loop)
        return watcher

    def _request_turn(self) -> None:
        if self._watcher is not None and self._wants_turn():
            self._watcher.watch(self)

    def _wants_turn(self) -> bool:
        """Whether there is something to do once the loop is quiet."""
        return not self._held and (bool(self._settling) or self._can_advance())

    def _take_turn(self) -> None:
        """Called when the loop is quiet: end the calls of ``settle()``, or else move time."""
        if self._settling:
            settling, self._settling = self._settling, []
            for quiet in settling:
                _wake(quiet)
        else:
            self._advance_to_next_timer()

    def _can_advance(self) -> bool:
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
            self._cancelled -= 1
        return bool(heap) and heap[0][0] <= max(self._limits)

    def _advance_to_next_timer(self) -> None:
        heap = self._heap
        self._now = heap[0][0]
        while heap and heap[0][0] <= self._now:
            timer = heapq.heappop(heap)[2]
            if timer.callback is None:
                self._cancelled -= 1
            timer.queued = False
            timer.run()

    def _open(self, hold: _Hold) -> None:
        self._holds[hold.id] = hold
        self._held += 1

    def _close(self, hold: _Hold) -> None:
        del self._holds[hold.id]
        if hold.released == 0:
            self._held -= 1
            self._request_turn()

    def _count_cancelled(self) -> None:
        """Count a cancelled timer. Remove them all once they are more than half."""
        self._cancelled += 1
        if self._cancelled > _COMPACT_ABOVE and self._cancelled * 2 > len(self._heap):
            self._heap[:] = [entry for entry in self._heap if entry[2].callback is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0


class _LoopWatcher:
    """Detects that a loop is quiet, and then gives one of the clocks on it a turn.

    All clocks of a loop share one watcher. With several, each would keep the loop busy for the others.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        # asyncio has no public way to see whether callbacks are ready. Without this attribute the watcher
        # waits for more passes instead.
        self._ready: Any = getattr(loop, "_ready", None)
        self._passes = _BLIND_PASSES if self._ready is None else _QUIET_PASSES
        self._quiet = 0
        self._clocks: dict[VirtualClock, None] = {}  # those that want a turn, the next one first

    @staticmethod
    def of(loop: asyncio.AbstractEventLoop) -> _LoopWatcher:
        """The watcher of a loop."""
        if (watcher := _watchers.get(loop)) is None:
            watcher = _watchers[loop] = _LoopWatcher(loop)
        return watcher

    def watch(self, clock: VirtualClock) -> None:
        """Give the clock turns for as long as it wants one."""
        if not self._clocks:
            if self.loop.is_closed():
                return
            self._quiet = 0
            self.loop.call_soon(self._check)
        self._clocks.setdefault(clock)

    def _check(self) -> None:
        # In a pass that finds the queue empty, the loop has also asked the selector: no socket is ready.
        for clock in [clock for clock in self._clocks if not clock._wants_turn()]:  # noqa: SLF001  (one mechanism)
            del self._clocks[clock]
        if not self._clocks:
            return
        self._quiet = 0 if self._ready else self._quiet + 1
        if self._quiet >= self._passes:
            self._quiet = 0
            clock = next(iter(self._clocks))
            self._clocks[clock] = self._clocks.pop(clock)
            clock._take_turn()  # noqa: SLF001  (as above)
        self.loop.call_soon(self._check)


_watchers: Final[WeakValueDictionary[asyncio.AbstractEventLoop, _LoopWatcher]] = WeakValueDictionary()
"""By loop. Clocks keep their watcher alive, and the watcher its loop."""

_hold_numbers: Final = itertools.count()
"""Shared by all clocks, so that a sandbox on another clock never finds our hold."""


class VirtualTimer:
    """A callback that waits for virtual time. It runs in the context that scheduled it."""

    __slots__ = ("_clock", "_context", "callback", "queued")

    def __init__(self, clock: VirtualClock, callback: Callable[[], object]) -> None:
        self._clock = clock
        self._context = contextvars.copy_context()
        self.callback: Callable[[], object] | None = callback
        self.queued = False

    def cancel(self) -> None:
        """Do not run the callback. Does nothing when it has already run."""
        if self.callback is not None:
            self.callback = None
            if self.queued:
                self._clock._count_cancelled()  # noqa: SLF001  (clock and timer are one mechanism)

    def run(self) -> None:
        """Run the callback, once. What it raises goes to the loop's exception handler."""
        callback, self.callback = self.callback, None
        if callback is None:
            return
        try:
            self._context.run(callback)
        except Exception as error:  # noqa: BLE001  (asyncio does the same for its own handles)
            context = {"message": f"Exception in virtual timer {callback!r}", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)


class VirtualTimeout:
    """``asyncio.timeout`` with its deadline on a virtual clock."""

    __slots__ = ("_clock", "_seconds", "_timeout", "_timer")

    def __init__(self, clock: VirtualClock, seconds: float | None) -> None:
        self._clock = clock
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)
        self._timer: VirtualTimer | None = None

    async def __aenter__(self) -> asyncio.Timeout:
        timeout = await self._timeout.__aenter__()
        if self._seconds is not None:
            if self._seconds > 0:
                self._timer = self._clock.call_at(self._clock.now() + self._seconds, self._expire)
            else:
                self._expire()
        return timeout

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def _expire(self) -> None:
        self._timeout.reschedule(asyncio.get_running_loop().time())


class _Hold:
    """One ``busy()`` block. ``released`` counts the ``released()`` blocks around it."""

    __slots__ = ("_clock", "id", "released")

    def __init__(self, clock: VirtualClock, hold_id: str) -> None:
        self._clock = clock
        self.id = hold_id
        self.released = 0

    def __enter__(self) -> Mapping[str, str]:
        self._clock._open(self)  # noqa: SLF001  (clock and hold are one mechanism)
        return {HOLD_HEADER: self.id}

    def __exit__(self, *_: object) -> None:
        self._clock._close(self)  # noqa: SLF001  (as above)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
