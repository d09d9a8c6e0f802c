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
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from weakref import WeakSet

from reflexio_async.errors import CLOSED, ClientClosed, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

T = TypeVar("T")
logger = logging.getLogger("reflexio_async")

LOOP_ENDED = "its event loop ended"


class LoopOwner(Protocol):
    """A part of a client that has something under way on a loop."""

    def leave_loop(self, reason: str, /) -> list[str]:
        """End what is under way, because of ``reason``. Return the names of starts without an answer."""
        ...


class LoopScope:
    """Everything of one client that belongs to one event loop.

    Attributes:
        loop: The loop; None until the client is used.
        tasks: The tasks that the client has started.
        background_calls: Those of them that are background calls, with their names.
        cut_off: The names of background calls that were cancelled because the loop ended.
        closers: They close what is open, such as connections.
    """

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self.background_calls: dict[asyncio.Task[Any], str] = {}
        self.cut_off: list[str] = []
        self.closers: list[Callable[[], Awaitable[object]]] = []
        self.watch: AsyncGenerator[None] | None = None
        self._parts: dict[object, Any] = {}

    def part(self, owner: object, make: Callable[[], T]) -> T:
        """What ``owner`` has on this loop. ``make`` makes it when it is asked for first."""
        part = self._parts.get(owner)
        if part is None:
            part = self._parts[owner] = make()
        return cast("T", part)

    async def aclose(self) -> None:
        """Cancel the tasks, wait for their end, and close what is open."""
        watch, self.watch = self.watch, None
        if watch is not None:
            await watch.aclose()
        while tasks := [task for task in self.tasks if task is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self.tasks.difference_update(tasks)
        while self.closers:
            await self.closers.pop()()


class LoopBinding:
    """The loop that one client belongs to. All views of the client share it.

    Args:
        name: What messages call the client.

    Attributes:
        closed: Whether the client was closed.
        scope: What belongs to the loop. Before the first use, and when a loop has ended, it has no loop yet.
        owners: The parts that are asked what they have under way.
    """

    def __init__(self, name: str = "this client") -> None:
        self.name = name
        self.closed = False
        self.scope = LoopScope()
        self.owners: list[LoopOwner] = []
        self._used = False
        self._inherited: LoopScope | None = None
        """In a forked child: the parent's scope. It is kept, because dropping it would close connections."""
        self._lock = threading.RLock()
        _bindings.add(self)

    def enter(self) -> LoopScope:
        """Return the scope of the running loop. Every use of the client begins with this, or with ``check``.

        Raises:
            ClientClosed: The client was closed.
            ConfigurationError: The client belongs to another loop that is still open, or to another process.
        """
        scope = self.scope
        if scope.loop is asyncio.get_running_loop():
            return scope
        return self._bind(asyncio.get_running_loop())

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

    def close(self) -> tuple[LoopScope, list[str], list[str]]:
        """Refuse every use from now on.

        Returns:
            The scope, which must be closed, and the names of the starts and of the background calls that had
            no answer.
        """
        if self.scope.loop is not None and self.scope.loop.is_closed():
            self._loop_ended()
        self.closed = True
        scope = self.scope
        return scope, *self._leave("the client was closed")

    def _leave(self, reason: str) -> tuple[list[str], list[str]]:
        """Throw the scope away. Return the names of the starts and background calls without an answer."""
        scope = self.scope
        starts = [name for owner in self.owners for name in owner.leave_loop(reason)]
        self.scope = LoopScope()
        return starts, [*scope.cut_off, *scope.background_calls.values()]

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
                self._loop_ended()
                await scope.aclose()

    def _loop_ended(self) -> None:
        starts, calls = self._leave(LOOP_ENDED)
        if starts or calls:
            logger.error(
                "%s was not closed before its event loop ended. Starts not sent: %s; calls without a "
                "response: %s. Use `async with`, or `await client.aclose()`, before the loop ends",
                self.name,
                first_of(starts),
                first_of(calls),
            )

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
        if self._used:
            self._inherited, self.scope = self.scope, LoopScope()


_MAX_NAMES = 20  # starts or calls in a log record
_bindings: WeakSet[LoopBinding] = WeakSet()


def first_of(names: list[str] | tuple[str, ...]) -> str:
    """The first names, as text. A large batch must not fill the log."""
    shown = ", ".join(names[:_MAX_NAMES]) or "none"
    return shown if len(names) <= _MAX_NAMES else f"{shown} and {len(names) - _MAX_NAMES} more"


def _after_fork() -> None:
    for binding in _bindings:
        binding.enter_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
