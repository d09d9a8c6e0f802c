"""Tasks that outlive the call that started them: tracked, so that none is lost without a report."""

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
    """A call that goes on whether or not anybody awaits it."""

    __slots__ = ("__weakref__", "_report", "_result_read", "_task", "_what")

    def __init__(
        self, task: asyncio.Task[T], what: str, report: Callable[[str, BaseException], None]
    ) -> None:
        self._task = task
        self._what = what
        self._report = report
        self._result_read = False

    def done(self) -> bool:
        """Whether its response has arrived or it has failed."""
        return self._task.done()

    def __await__(self) -> Generator[Any, Any, T]:
        return self.result().__await__()

    async def result(self) -> T:
        """Wait for the response. Cancelling this wait does not cancel the call."""
        try:
            response = await result_of(self._task)
        except Exception:
            self._result_read = True
            raise
        # Not in a ``finally``: when this wait is cancelled, a failure must still be reported.
        self._result_read = True
        return response

    async def wait_in_call(self, request: object) -> T:  # noqa: ARG002  # a job takes its options from it
        """The response, for a call with ``wait_for_response=True``; cancelling the call cancels the work."""
        try:
            return await self.result()
        except asyncio.CancelledError:
            self._task.cancel()
            raise

    def __repr__(self) -> str:
        return f"<BackgroundCall {self._what} {'done' if self.done() else 'under way'}>"

    def __del__(self) -> None:
        if self._result_read:
            return
        if self._task.done():
            _report_failure(self._what, self._report, self._task)
        else:
            self._task.add_done_callback(partial(_report_failure, self._what, self._report))


async def result_of(task: asyncio.Task[T]) -> T:
    """Wait for the result of ``task``. Cancelling this wait does not cancel the task.

    Raises:
        ClientClosed: The task was cancelled, because the client was closed.
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
    """The background tasks of one client; they end with it at the latest.

    ``errors`` counts the failures that no caller awaited. ``on_error`` is called with each of them.
    """

    def __init__(self, on_error: BackgroundErrorHook | None = None) -> None:
        self._on_error = on_error
        self._tasks: set[asyncio.Task[Any]] = set()
        self._calls: set[asyncio.Task[Any]] = set()
        self.closed = False
        self.errors = 0

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Start a task; ``aclose`` cancels it and waits for it."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def call(self, work: Coroutine[Any, Any, T], *, what: str) -> BackgroundCall[T]:
        """Start a call that the user may await or forget; ``what`` names it in logs.

        Raises:
            ClientClosed: The client was closed, and nothing is sent.
        """
        if self.closed:
            work.close()
            raise ClientClosed(CLOSED)
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
        """The names of the background calls that have not ended."""
        return [task.get_name() for task in self._calls]

    def report(self, what: str, error: BaseException) -> None:
        """Count and log a failure that no caller awaited, and call the hook."""
        self.errors += 1
        logger.error("%s failed in the background: %s: %s", what, type(error).__name__, error)
        notify("on_background_error", self._on_error, BackgroundErrorEvent(what, error))

    async def aclose(self) -> None:
        """Cancel all tasks and wait for their end."""
        self.closed = True
        while tasks := [task for task in self._tasks if task is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._tasks.difference_update(tasks)
