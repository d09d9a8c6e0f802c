"""Work that outlives the call that began it: tracked, so that nothing is orphaned or silently lost."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reflexio_async._engine.events import BackgroundErrorEvent, notify
from reflexio_async.errors import CLOSED, ClientClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from reflexio_async._engine.events import BackgroundErrorHook

T = TypeVar("T")
logger = logging.getLogger("reflexio_async")


class BackgroundCall(Generic[T]):
    """A call that is on its way whether or not anybody awaits it."""

    __slots__ = ("__weakref__", "_report", "_seen", "_task", "_what")

    def __init__(
        self, task: asyncio.Task[T], what: str, report: Callable[[str, BaseException], None]
    ) -> None:
        self._task = task
        self._what = what
        self._report = report
        self._seen = False

    def done(self) -> bool:
        """Whether it has been answered, or has failed."""
        return self._task.done()

    def __await__(self) -> Generator[Any, Any, T]:
        return self.result().__await__()

    async def result(self) -> T:
        """The answer. Cancelling this wait leaves the call on its way."""
        try:
            answer = await joined(self._task)
        except Exception:
            self._seen = True
            raise
        # A wait that was cancelled gets here as little as there: a failure must still be reported.
        self._seen = True
        return answer

    def __repr__(self) -> str:
        return f"<BackgroundCall {self._what} {'done' if self.done() else 'under way'}>"

    def __del__(self) -> None:
        if self._seen:
            return
        if self._task.done():
            _report_failure(self._what, self._report, self._task)
        else:
            self._task.add_done_callback(partial(_report_failure, self._what, self._report))


async def joined(task: asyncio.Task[T]) -> T:
    """What ``task`` brings; cancelling this wait leaves it alone.

    Raises:
        ClientClosed: It was cancelled, because the client was closed.
    """
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if task.cancelled() and not (current and current.cancelling()):
            raise ClientClosed(CLOSED) from None
        raise


def _report_failure(what: str, report: Callable[[str, BaseException], None], task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        report(what, error)


class TaskTracker:
    """The tasks that live as long as the client."""

    def __init__(self, on_error: BackgroundErrorHook | None = None) -> None:
        self._on_error = on_error
        self._tasks: set[asyncio.Task[Any]] = set()
        self._calls: set[asyncio.Task[Any]] = set()
        self.closed = False
        self.errors = 0
        """How many failures nobody awaited."""

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Start ``work``; it is cancelled and awaited by ``aclose`` at the latest."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def call(self, work: Coroutine[Any, Any, T], *, what: str) -> BackgroundCall[T]:
        """Start ``work`` as a call that the user may await or forget."""
        task = self.spawn(work, name=what)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return BackgroundCall(task, what, self.report)

    async def calls_finished(self) -> None:
        """Wait until every background call has ended."""
        while self._calls:
            await asyncio.wait(self._calls)

    @property
    def unfinished_calls(self) -> list[str]:
        """The names of the background calls under way."""
        return [task.get_name() for task in self._calls]

    def report(self, what: str, error: BaseException) -> None:
        """Count and log a failure that no caller will see, and tell the hook."""
        self.errors += 1
        logger.error("%s failed in the background: %s: %s", what, type(error).__name__, error)
        notify("on_background_error", self._on_error, BackgroundErrorEvent(what, error))

    async def aclose(self) -> None:
        """Cancel what is left and wait for it."""
        self.closed = True
        while tasks := [task for task in self._tasks if task is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._tasks.difference_update(tasks)
