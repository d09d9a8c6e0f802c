"""Tasks that outlive the call that started them: tracked, so that none is lost without a report."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reflexio_async._engine.events import BackgroundErrorEvent, notify
from reflexio_async._engine.logs import fields
from reflexio_async._engine.loops import CLIENT_CLOSED, LOOP_ENDED
from reflexio_async._engine.observer import Observer
from reflexio_async.errors import ClientClosed, ReflexioError, printable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from contextvars import Context

    from reflexio_async._engine.events import BackgroundErrorHook
    from reflexio_async._engine.loops import LoopBinding

T = TypeVar("T")
logger = logging.getLogger("reflexio_async")


class BackgroundCall(Generic[T]):
    """A call that goes on whether or not anybody awaits it."""

    __slots__ = ("__weakref__", "_result_read", "_task", "_tracker", "_what")

    def __init__(self, task: asyncio.Task[T], what: str, tracker: TaskTracker) -> None:
        self._task = task
        self._what = what
        self._tracker = tracker
        self._result_read = False

    def done(self) -> bool:
        """Whether its response has arrived or it has failed."""
        return self._task.done()

    def __await__(self) -> Generator[Any, Any, T]:
        return self.result().__await__()

    async def result(self) -> T:
        """Wait for the response. Cancelling this wait does not cancel the call.

        Raises:
            ClientClosed: The client was closed, or its event loop ended, before the response came.
            ConfigurationError: The client belongs to another event loop, which is still open.
            ReflexioError: The call failed.
        """
        self._tracker.loops.check()
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
            self._tracker.cancel(self._task)
            raise

    def __repr__(self) -> str:
        return f"<BackgroundCall {self._what} {'done' if self.done() else 'under way'}>"

    def __del__(self) -> None:
        if self._result_read:
            return
        if self._task.done():
            _report_failure(self._what, self._tracker, self._task)
        else:
            self._task.add_done_callback(partial(_report_failure, self._what, self._tracker))


async def result_of(task: asyncio.Task[T]) -> T:
    """Wait for the result of ``task``. Cancelling this wait does not cancel the task.

    Raises:
        ClientClosed: The task was cancelled, because the client was closed or its event loop ended.
    """
    loop_is_closed = task.get_loop().is_closed()
    reason = LOOP_ENDED if loop_is_closed else CLIENT_CLOSED
    error = ClientClosed(f"{task.get_name()}: {reason} before the response came")
    if loop_is_closed and not task.done():
        raise error
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if task.cancelled() and not (current and current.cancelling()):
            raise error from None
        raise


def _report_failure(what: str, tracker: TaskTracker, task: asyncio.Task[Any]) -> None:
    # A call that was cut short is named where the client is closed.
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, ClientClosed):
        tracker.report(what, error)


class TaskTracker:
    """The background tasks of one client; they end with it, or with the event loop, at the latest.

    ``errors`` counts the failures that no caller awaited. ``on_error`` is called with each of them.
    ``observer`` is that of the client.
    """

    def __init__(
        self,
        loops: LoopBinding,
        on_error: BackgroundErrorHook | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.loops = loops
        self.observer = observer or Observer()
        self._on_error = on_error
        self.errors = 0

    def spawn(
        self,
        work: Coroutine[Any, Any, T],
        *,
        name: str,
        context: Context | None = None,
        detached: bool = False,
    ) -> asyncio.Task[T]:
        """Start a task. When the client is closed, it is cancelled and waited for.

        Args:
            work: What it does.
            name: Its name.
            context: Its context; None: a copy of that of the running task.
            detached: It works for many callers, so it is no part of the trace of the running task.
        """
        if detached and self.observer.is_on:
            context = self.observer.detached()
        tasks = self.loops.scope.tasks
        task = asyncio.get_running_loop().create_task(work, name=name, context=context)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    def send(self, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Start a task of a sender: its calls are not named when the client is closed."""
        sending = self.loops.scope.sending
        task = self.spawn(work, name=name, detached=True)
        sending.add(task)
        task.add_done_callback(sending.discard)
        return task

    def call(self, work: Coroutine[Any, Any, T], *, what: str) -> BackgroundCall[T]:
        """Start a call that the user may await or forget; ``what`` names it in logs.

        Raises:
            ClientClosed: The client was closed, and nothing is sent.
            ConfigurationError: The client belongs to another event loop, and nothing is sent.
        """
        try:
            scope = self.loops.enter()
        except ReflexioError:
            work.close()
            raise

        observed = self.observer.background(what)

        def ended(task: asyncio.Task[T]) -> None:
            if scope.background_calls.pop(task, None) and task.cancelled():
                scope.cut_off.append(what)
            if not task.cancelled():
                task.exception()  # the handle reports a failure; asyncio must not do it too
            observed.ended(task)
            scope.ended()

        task = self.spawn(work, name=what, context=observed.context)
        scope.background_calls[task] = what
        scope.calls.pop(task, None)  # an eager task has begun its call before it had a name here
        task.add_done_callback(ended)
        return BackgroundCall(task, what, self)

    def cancel(self, task: asyncio.Task[Any]) -> None:
        """Cancel a background call for the caller that awaits it."""
        scope = self.loops.scope
        scope.background_calls.pop(task, None)
        scope.ended()
        task.cancel()

    def report(self, what: str, error: BaseException, *, level: int = logging.ERROR) -> None:
        """Count and log a failure that no caller awaited, and call the hook."""
        self.errors += 1
        text = printable(str(error))
        logger.log(
            level,
            "%s failed in the background: %s: %s",
            printable(what),
            type(error).__name__,
            text,
            extra=fields("background_error", error),
        )
        notify("on_background_error", self._on_error, BackgroundErrorEvent(what, error))
