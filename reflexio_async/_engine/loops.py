"""The event loop that a client belongs to, and everything of the client that belongs to that loop.

A client belongs to the loop in which it is used first. Another loop that runs while that one is open is
refused: two threads would change the same objects at once. When the loop is closed, the client takes the next
one that uses it. So a client that is made once per module works under several ``asyncio.run``.

What belongs to a loop (tasks, locks, futures, timers, connections, queues) is held by one ``LoopScope``,
which is thrown away whole. What was learned (the token, rate limits, results) is the client's and stays.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import warnings
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary, WeakSet, finalize

from reflexio_async._engine.drain_summary import DrainSummary
from reflexio_async._engine.logs import fields
from reflexio_async.errors import CLOSED, ClientClosed, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from reflexio_async._engine.batch.batch import Batch
    from reflexio_async._engine.rate_limits import RateLimiters

T = TypeVar("T")
Closer: TypeAlias = "Callable[[], Awaitable[object]]"
logger = logging.getLogger("reflexio_async")

LOOP_ENDED = "its event loop ended"
CLIENT_CLOSED = "the client was closed"
_ADVICE = "Use `async with`, or `await client.aclose()` before the event loop ends"


class Sender(Protocol):
    """What sends something after the call that asked for it: the jobs, and the outbox."""

    @property
    def busy(self) -> bool:
        """Whether something is to be sent, or is under way."""
        ...

    async def drained(self) -> None:
        """Wait until all of it has been sent and answered."""
        ...

    def unanswered_starts(self) -> list[str]:
        """The names of what was not sent, or not answered, and is lost with the client."""
        ...

    def running_tokens(self) -> list[str]:
        """The tokens of the jobs that run at the server."""
        ...

    async def stored(self) -> dict[str, int]:
        """How much stays in the store, by the fields of DrainSummary that count it."""
        ...

    def leave_loop(self, reason: str) -> None:
        """End every wait, because the client is closed or its loop has ended."""
        ...


class LoopScope:
    """Everything of one client that belongs to one event loop.

    Attributes:
        loop: The loop; None until the client is used.
        tasks: The tasks that the client has started.
        calls: The callers' tasks that wait for the response to a call, with its path.
        job_calls: Those that wait for the job of a call.
        background_calls: The tasks that are background calls, with their names.
        sending: The tasks of senders, which name themselves what they have not sent.
        cut_off: The names of background calls that were cancelled because the loop ended.
        batches: The batches that have begun.
        parts: What the parts of the client have on the loop, by part.
        closers: They close what is open, such as connections.
        watch: It notices that the loop ends.
        guard: It notices that the client is gone.
    """

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self.calls: dict[asyncio.Task[Any], str] = {}
        self.job_calls: dict[asyncio.Task[Any], str] = {}
        self.background_calls: dict[asyncio.Task[Any], str] = {}
        self.sending: set[asyncio.Task[Any]] = set()
        self.cut_off: list[str] = []
        self.batches: dict[Batch[Any, Any], None] = {}
        self.closers: list[Closer] = []
        self.watch: AsyncGenerator[None] | None = None
        self.guard: finalize[[asyncio.AbstractEventLoop, list[Closer]], LoopBinding] | None = None
        self.parts: dict[object, Any] = {}
        self._ended: asyncio.Event | None = None

    def part(self, owner: object, make: Callable[[], T]) -> T:
        """What ``owner`` has on this loop. ``make`` makes it when it is asked for first."""
        part = self.parts.get(owner)
        if part is None:
            part = self.parts[owner] = make()
        return cast("T", part)

    @property
    def busy(self) -> bool:
        """Whether a call or a batch is under way."""
        return bool(self.calls or self.job_calls or self.background_calls or self.batches)

    def ended(self) -> None:
        """Note that a call or a batch has ended."""
        if self._ended is not None:
            self._ended.set()

    async def finished(self) -> None:
        """Wait until no call and no batch is under way."""
        ended = self._ended = self._ended or asyncio.Event()
        while self.busy:
            ended.clear()
            await ended.wait()

    async def aclose(self) -> None:
        """Cancel the tasks, wait for their end, and close what is open."""
        watch, self.watch = self.watch, None
        if watch is not None:
            await watch.aclose()
        try:
            while tasks := [task for task in self.tasks if task is not asyncio.current_task()]:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                self.tasks.difference_update(tasks)
        finally:  # also when this wait is cancelled: nobody closes it again
            await _close_all(self.closers)


class LoopBinding:
    """The loop that one client belongs to. All views of the client share it.

    Args:
        name: What messages call the client.

    Attributes:
        closed: Whether the client was closed.
        scope: What belongs to the loop. Before the first use, and when a loop has ended, it has no loop yet.
        senders: The managers of the client's jobs, one for each service that was used, and its outbox.
        rate_limiters: Their rate limiters.
    """

    def __init__(self, name: str = "this client") -> None:
        self.name = name
        self.closed = False
        self.scope = LoopScope()
        self.senders: list[Sender] = []
        self.rate_limiters: list[RateLimiters] = []
        self.guard: finalize[[], Lifetime] | None = None
        """It notices that the last view of the client is gone."""
        self._used = False
        self._inherited: LoopScope | None = None
        """In a forked child: the parent's scope. It is kept, because dropping it would close connections."""
        self._cut_short: WeakKeyDictionary[asyncio.Task[Any], str] = WeakKeyDictionary()
        """The tasks whose calls are cancelled by ``_leave``, and why."""
        self._lock = threading.RLock()
        _bindings.add(self)

    def enter(self) -> LoopScope:
        """Return the scope of the running loop. Every use of the client begins with this, or with ``check``.

        Raises:
            ClientClosed: The client was closed.
            ConfigurationError: The client belongs to another loop that is still open, or to another process.
        """
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            self._refuse_fork()  # in a child that was forked by a coroutine, no loop is running
            raise
        scope = self.scope
        return scope if scope.loop is running else self._bind(running)

    def check(self) -> None:
        """Raise ConfigurationError where ``enter`` would. A closed client is not refused.

        This needs no running loop. It is for what sends nothing.
        """
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        self._refuse_fork()
        if running is not None:
            self._refuse_other(running)

    def under_way(self) -> DrainSummary:
        """What has not ended."""
        scope = self.scope
        return DrainSummary(
            calls=(*map(call_name, scope.calls.values()), *scope.job_calls.values()),
            background_calls=(*scope.cut_off, *scope.background_calls.values()),
            unsent_starts=tuple(name for sender in self.senders for name in sender.unanswered_starts()),
            batches=tuple(batch.description for batch in scope.batches),
            running_jobs=tuple(token for sender in self.senders for token in sender.running_tokens()),
        )

    def close(self) -> tuple[LoopScope, DrainSummary]:
        """Refuse every use from now on. Return the scope, which must be closed, and what has not ended."""
        if self.scope.loop is not None and self.scope.loop.is_closed():
            self._loop_ended()
        self.closed = True
        if self.guard is not None:
            self.guard.detach()  # else the interpreter keeps a client that refers to itself
        scope = self.scope
        return scope, self._leave(CLIENT_CLOSED)

    def cut_short(self, what: str, *, sent: bool) -> ClientClosed | None:
        """Return the error of a call that was cancelled by the end of the client or of its loop.

        Return None when it was cancelled by something else.

        Args:
            what: The call.
            sent: Whether bytes may have left.
        """
        task = asyncio.current_task()
        reason = None if task is None else self._cut_short.pop(task, None)
        if task is None or reason is None or task.uncancel() > 0:
            return None
        state = "the request may have reached the server" if sent else "nothing was sent"
        return ClientClosed(f"{what}: {reason} before the response came; {state}", outcome_unknown=sent)

    def _leave(self, reason: str) -> DrainSummary:
        """Throw the scope away. Return what has not ended."""
        scope, left = self.scope, self.under_way()
        for batch in scope.batches:
            batch.start_nothing_more()
        for limiters in self.rate_limiters:
            limiters.leave_loop()
        for sender in self.senders:
            sender.leave_loop(reason)
        self.scope = LoopScope()
        if scope.guard is not None:
            scope.guard.detach()
        if scope.loop is not None and not scope.loop.is_closed():
            self._cut_short |= dict.fromkeys((*scope.calls, *scope.background_calls), reason)
            for task in scope.calls.keys() - scope.tasks:  # the others are cancelled with the scope
                task.cancel()  # ``cut_short`` takes it back
        return left

    def _bind(self, loop: asyncio.AbstractEventLoop) -> LoopScope:
        with self._lock:  # two threads may use a new client at once
            if self.closed:
                raise ClientClosed(CLOSED)
            self._refuse_fork()
            self._refuse_other(loop)
            if self.scope.loop is not None:
                self._loop_ended()
            scope = self.scope
            scope.loop = loop
            self._used = True
            scope.guard = finalize(self, _close_soon, loop, scope.closers)
            scope.guard.atexit = False
            # The loop closes its asynchronous generators when it ends (``asyncio.run`` sees to it).
            scope.watch = self._watch(scope)
            try:
                scope.watch.asend(None).send(None)  # run it up to its ``yield``
            except StopIteration:
                return scope
            raise AssertionError  # pragma: no cover  # it yields at once

    async def _watch(self, scope: LoopScope) -> AsyncGenerator[None]:
        """Wait for the end of the loop, and close what belongs to it."""
        try:
            yield
        finally:
            if scope is self.scope:
                scope.watch = None
                lost = self._loop_ended()
                await scope.aclose()
                if lost:
                    warnings.warn(lost, ResourceWarning, stacklevel=1)

    def _loop_ended(self) -> str:
        """Throw the scope away, and log what is lost. Return the text of the log record."""
        left = self._leave(LOOP_ENDED)
        if left.complete:
            return ""
        lost = left._replace(running_jobs=()).as_text()
        text = f"{self.name} was not closed before its event loop ended, and this is lost: {lost}"
        logger.error("%s. %s", text, _ADVICE, extra=fields("client_dropped"))
        return text

    def dropped(self) -> None:
        """Warn, because nothing refers to the client any more, or the program ends, and it was not closed."""
        loop = self.scope.loop
        if self.closed or loop is None:  # also in a forked child, where the scope is a new one
            return
        left = self.under_way()
        text = f"{self.name} was dropped without being closed"
        if loop.is_running():
            text += f"; under way: {left.as_text()}" if not left.complete else ""
            # The program ends before the loop when that runs in a daemon thread.
            if not left.complete and not threading.main_thread().is_alive():
                logger.error("%s. %s", text, _ADVICE, extra=fields("client_dropped"))
        else:
            text = self._loop_ended() or text
        warnings.warn(f"{text}. {_ADVICE}", ResourceWarning, stacklevel=1)

    def _refuse_other(self, running: asyncio.AbstractEventLoop) -> None:
        loop = self.scope.loop
        if loop is not None and loop is not running and not loop.is_closed():
            message = (
                f"{self.name} belongs to another event loop, which is still open. Use one client per thread "
                "and event loop: make one where it is used"
            )
            raise ConfigurationError(message)

    def _refuse_fork(self) -> None:
        if self._inherited is not None:
            message = (
                f"{self.name} was used before this process was forked, and its connections belong to the "
                "parent process. Make a client in each process"
            )
            raise ConfigurationError(message)

    def enter_child(self) -> None:
        """Refuse every use from now on, if the client was used: this process is a forked child."""
        self._lock = threading.RLock()  # another thread of the parent may hold the other for ever
        if self._used:
            self._inherited, self.scope = self.scope, LoopScope()


class Lifetime:
    """What a client and its views refer to, and nothing else does: it ends with the last of them.

    Then, or when the program ends before, the client warns if it was not closed.
    """

    def __init__(self, loops: LoopBinding) -> None:
        loops.guard = finalize(self, loops.dropped)


def call_name(path: str) -> str:
    """The name of the call to ``path``, for logs and handles: the last part that is no parameter."""
    return next(part for part in reversed(path.split("/")) if not part.startswith("{"))


async def _close_all(closers: list[Closer]) -> None:
    while closers:
        await closers.pop()()


def _close_soon(loop: asyncio.AbstractEventLoop, closers: list[Closer]) -> None:
    """Close what a client has left open that was collected as garbage, while its loop goes on."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(lambda: loop.create_task(_close_all(closers)))


_bindings: WeakSet[LoopBinding] = WeakSet()


def _after_fork() -> None:
    for binding in _bindings:
        binding.enter_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
