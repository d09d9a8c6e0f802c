"""A clock that stands still while anything works, and jumps to the next timer when nothing does."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from types import TracebackType

HOLD_HEADER: Final = "X-Sandbox-Hold"
"""Names the client's hold to a sandbox on the same clock."""

EPOCH: Final = 1_795_000_000.0
"""What ``time()`` answers when ``now()`` is zero."""

_QUIET_PASSES: Final = 2
_BLIND_PASSES: Final = 50  # for loops that do not show their ready queue (uvloop)
_COMPACT_ABOVE: Final = 256


class VirtualClock:
    """A ``Clock`` for one event loop whose seconds cost microseconds.

    Time moves only when no ``busy()`` block is open and the loop has nothing ready to run; then it
    jumps to the next timer. With ``auto_advance=False`` it moves by ``advance()`` alone. A task that
    spins on ``sleep(0)`` keeps the loop from ever being quiet: wait on an event or on this clock.

    Use it from the loop's own thread; around work in a thread, hold ``busy()`` on the loop's side.
    """

    def __init__(self, *, auto_advance: bool = True, epoch: float = EPOCH) -> None:
        self._now = 0.0
        self._epoch = epoch
        self._limit = math.inf if auto_advance else 0.0
        self._heap: list[tuple[float, int, VirtualTimer]] = []
        self._order = itertools.count()
        self._forgotten = 0
        self._holds: dict[str, _Hold] = {}
        self._held = 0
        self._settling: list[asyncio.Future[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: Any = None
        self._checking = False
        self._quiet = 0
        self._passes = _BLIND_PASSES

    def __repr__(self) -> str:
        return f"<VirtualClock now={self._now:.3f} timers={self.pending} holds={self._held}>"

    @property
    def pending(self) -> int:
        """Timers that are still to run."""
        return len(self._heap) - self._forgotten

    @property
    def held(self) -> int:
        """Open ``busy()`` blocks that no ``released()`` lifts."""
        return self._held

    def now(self) -> float:
        """Virtual seconds since the clock was made."""
        return self._now

    def time(self) -> float:
        """Virtual seconds since the epoch."""
        return self._epoch + self._now

    def call_at(self, when: float, callback: Callable[[], object]) -> VirtualTimer:
        """Run ``callback`` once ``now()`` reaches ``when``; at the next pass when it already has."""
        loop = self._loop or self._bind()
        timer = VirtualTimer(self, callback)
        if when <= self._now:
            loop.call_soon(timer.run)
        else:
            timer.queued = True
            heapq.heappush(self._heap, (when, next(self._order), timer))
            self._consider()
        return timer

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of virtual time; zero or less only yields to the loop."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = self._loop or self._bind()
        woken: asyncio.Future[None] = loop.create_future()
        timer = self.call_at(self._now + seconds, lambda: _wake(woken))
        try:
            await woken
        finally:
            timer.cancel()

    def timeout(self, seconds: float | None) -> VirtualTimeout:
        """Raise ``TimeoutError`` from the block once ``seconds`` have passed, as ``asyncio.timeout`` does."""
        return VirtualTimeout(self, seconds)

    def busy(self) -> _Hold:
        """Keep time from moving while the block runs; gives the headers that name this hold."""
        return _Hold(self, str(next(self._order)))

    @contextmanager
    def released(self, *hold_ids: str | None) -> Generator[None]:
        """Lift these holds while the block runs, so that time may move; holds that have ended are skipped."""
        lifted = [hold for hold_id in hold_ids if hold_id and (hold := self._holds.get(hold_id))]
        for hold in lifted:
            hold.lifted += 1
            if hold.lifted == 1:
                self._held -= 1
        self._consider()
        try:
            yield
        finally:
            for hold in lifted:
                hold.lifted -= 1
                if hold.lifted == 0 and hold.id in self._holds:
                    self._held += 1

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, running every timer on the way, and return when all is quiet again."""
        target = self._now + seconds
        self._limit = max(self._limit, target)
        await self.sleep(seconds)
        await self.settle()

    async def settle(self) -> None:
        """Wait, in no virtual time, until nothing is busy and the loop has nothing else to do."""
        loop = self._loop or self._bind()
        quiet: asyncio.Future[None] = loop.create_future()
        self._settling.append(quiet)
        self._consider()
        await quiet

    def _bind(self) -> asyncio.AbstractEventLoop:
        self._loop = loop = asyncio.get_running_loop()
        self._ready = getattr(loop, "_ready", None)
        self._passes = _BLIND_PASSES if self._ready is None else _QUIET_PASSES
        return loop

    def _consider(self) -> None:
        """See to it that a check is on its way whenever time could move."""
        if self._checking or self._held or not (self._settling or self._movable()):
            return
        self._checking = True
        self._quiet = 0
        (self._loop or self._bind()).call_soon(self._check)

    def _check(self) -> None:
        # A pass that finds the queue empty has also asked the selector: ready sockets would be in it.
        if self._held or not (self._settling or self._movable()):
            self._checking = False
            return
        self._quiet = 0 if self._ready else self._quiet + 1
        if self._quiet >= self._passes:
            self._quiet = 0
            if self._settling:
                self._wake_settling()
            else:
                self._jump()
        (self._loop or self._bind()).call_soon(self._check)

    def _movable(self) -> bool:
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
            self._forgotten -= 1
        return bool(heap) and heap[0][0] <= self._limit

    def _jump(self) -> None:
        heap = self._heap
        self._now = heap[0][0]
        while heap and heap[0][0] <= self._now:
            timer = heapq.heappop(heap)[2]
            if timer.callback is None:
                self._forgotten -= 1
            timer.queued = False
            timer.run()

    def _wake_settling(self) -> None:
        settling, self._settling = self._settling, []
        for quiet in settling:
            _wake(quiet)

    def _open(self, hold: _Hold) -> None:
        self._holds[hold.id] = hold
        self._held += 1

    def _close(self, hold: _Hold) -> None:
        del self._holds[hold.id]
        if hold.lifted == 0:
            self._held -= 1
            self._consider()

    def _forget(self) -> None:
        """Count a cancelled timer, and sweep them out once they are the most."""
        self._forgotten += 1
        if self._forgotten > _COMPACT_ABOVE and self._forgotten * 2 > len(self._heap):
            self._heap[:] = [entry for entry in self._heap if entry[2].callback is not None]
            heapq.heapify(self._heap)
            self._forgotten = 0


class VirtualTimer:
    """A callback waiting for virtual time; it runs in the context that scheduled it."""

    __slots__ = ("_clock", "_context", "callback", "queued")

    def __init__(self, clock: VirtualClock, callback: Callable[[], object]) -> None:
        self._clock = clock
        self._context = contextvars.copy_context()
        self.callback: Callable[[], object] | None = callback
        self.queued = False

    def cancel(self) -> None:
        """Forget the callback; harmless when it has run."""
        if self.callback is not None:
            self.callback = None
            if self.queued:
                self._clock._forget()  # noqa: SLF001  (clock and timer are one mechanism)

    def run(self) -> None:
        """Run the callback, once; what it raises goes to the loop's exception handler."""
        callback, self.callback = self.callback, None
        if callback is None:
            return
        try:
            self._context.run(callback)
        except Exception as error:  # noqa: BLE001  (what asyncio does for its own handles)
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
    """One ``busy()`` block."""

    __slots__ = ("_clock", "id", "lifted")

    def __init__(self, clock: VirtualClock, hold_id: str) -> None:
        self._clock = clock
        self.id = hold_id
        self.lifted = 0

    def __enter__(self) -> Mapping[str, str]:
        self._clock._open(self)  # noqa: SLF001  (clock and hold are one mechanism)
        return {HOLD_HEADER: self.id}

    def __exit__(self, *_: object) -> None:
        self._clock._close(self)  # noqa: SLF001  (as above)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
