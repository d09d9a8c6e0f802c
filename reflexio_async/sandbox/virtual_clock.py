"""A clock that stands still while anything works, and jumps to the next timer when nothing does."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

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
    jumps to the next timer. With ``auto_advance=False`` it moves by ``advance()`` alone, and leaving a
    client whose work is still queued takes ``advance()`` or ``run_freely()``. A task that spins on
    ``sleep(0)`` keeps the loop from ever being quiet: wait on an event or on this clock.

    Several clocks on one loop move in turns, each on its own scale and held by its own ``busy()`` only.
    Use a clock from its loop's own thread; around work in a thread, hold ``busy()`` on the loop's side.
    """

    def __init__(self, *, auto_advance: bool = True, epoch: float = EPOCH) -> None:
        self._now = 0.0
        self._epoch = epoch
        # As far as it may move: the furthest of them.
        self._limits = [math.inf] if auto_advance else [0.0]
        self._heap: list[tuple[float, int, VirtualTimer]] = []
        self._order = itertools.count()
        self._forgotten = 0
        self._holds: dict[str, _Hold] = {}
        self._held = 0
        self._settling: list[asyncio.Future[None]] = []
        self._pulse: _Pulse | None = None

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
        loop = self._home().loop
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
        woken: asyncio.Future[None] = self._home().loop.create_future()
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
        return _Hold(self, str(next(_hold_numbers)))

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
        """Let ``seconds`` pass, running every timer on the way, and return when all is quiet again.

        Of several at once the furthest counts; cancelled, it lets no more time pass.
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
        """Move by itself from now on, as with ``auto_advance=True``: for the end of a test by hand.

        What is still queued then gets its time to finish.
        """
        self._limits.append(math.inf)
        self._consider()

    async def settle(self) -> None:
        """Wait, in no virtual time, until nothing is busy and the loop has nothing else to do."""
        quiet: asyncio.Future[None] = self._home().loop.create_future()
        self._settling.append(quiet)
        self._consider()
        await quiet

    def _home(self) -> _Pulse:
        """The pulse of the running loop, to which the clock belongs from its first use."""
        loop = asyncio.get_running_loop()
        if (pulse := self._pulse) is not None:
            if pulse.loop is loop:
                return pulse
            if self.pending or self._held or not pulse.loop.is_closed():
                message = "a VirtualClock belongs to one event loop; make one per test"
                raise RuntimeError(message)
            self._settling.clear()
        self._pulse = pulse = _Pulse.of(loop)
        return pulse

    def _consider(self) -> None:
        """Ask for a turn whenever time could move."""
        if self._pulse is not None and self._restless():
            self._pulse.watch(self)

    def _restless(self) -> bool:
        """Whether a quiet loop would mean anything to this clock."""
        return not self._held and (bool(self._settling) or self._movable())

    def _take_turn(self) -> None:
        """The loop is quiet: tell who waits for that, else move."""
        if self._settling:
            self._wake_settling()
        else:
            self._jump()

    def _movable(self) -> bool:
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
            self._forgotten -= 1
        return bool(heap) and heap[0][0] <= max(self._limits)

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


class _Pulse:
    """Finds one loop quiet, and then gives a turn to one of the clocks on it.

    One for all of them: two that looked by themselves would each see the other's next look.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ready: Any = getattr(loop, "_ready", None)
        self._passes = _BLIND_PASSES if self._ready is None else _QUIET_PASSES
        self._quiet = 0
        self._clocks: dict[VirtualClock, None] = {}  # those that want a turn, the next one first

    @staticmethod
    def of(loop: asyncio.AbstractEventLoop) -> _Pulse:
        """The one of this loop."""
        # As long as a pulse lives its loop does, and no other has its id.
        if (pulse := _pulses.get(id(loop))) is None:
            pulse = _pulses[id(loop)] = _Pulse(loop)
        return pulse

    def watch(self, clock: VirtualClock) -> None:
        """Give the clock turns for as long as it is restless."""
        if not self._clocks:
            if self.loop.is_closed():
                return
            self._quiet = 0
            self.loop.call_soon(self._look)
        self._clocks.setdefault(clock)

    def _look(self) -> None:
        # A pass that finds the queue empty has also asked the selector: ready sockets would be in it.
        for clock in [clock for clock in self._clocks if not clock._restless()]:  # noqa: SLF001  (one mechanism)
            del self._clocks[clock]
        if not self._clocks:
            return
        self._quiet = 0 if self._ready else self._quiet + 1
        if self._quiet >= self._passes:
            self._quiet = 0
            clock = next(iter(self._clocks))
            self._clocks[clock] = self._clocks.pop(clock)
            clock._take_turn()  # noqa: SLF001  (as above)
        self.loop.call_soon(self._look)


_pulses: Final[WeakValueDictionary[int, _Pulse]] = WeakValueDictionary()
_hold_numbers: Final = itertools.count()  # of all clocks: a sandbox on another clock knows none of ours


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
