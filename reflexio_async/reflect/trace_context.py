"""A trace context: one run of an agent, from the memories it gets to the trace that is sent."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from reflexio_async._engine.logs import fields
from reflexio_async._engine.models import build_request
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.judge import failed_review, judged_review
from reflexio_async.reflect.models.traces import InlineReview, TraceCreate
from reflexio_async.reflect.prompt import augment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from reflexio_async.reflect.jobs import TraceJob
    from reflexio_async.reflect.judge import Judge
    from reflexio_async.reflect.models.memories import Memory, MemoryQuery
    from reflexio_async.reflect.trajectory import TrajectoryInput

logger = logging.getLogger("reflexio_async")

_SENDING = "sending a trace"


class _Phase(Enum):
    NEW = "not entered yet"
    ENTERING = "being entered"
    INSIDE = "entered"
    LEFT = "left"


class TraceContext:
    """One run of an agent. ``async with client.trace("task") as ctx`` makes it.

    On entering, it finds the memories that may help. On leaving, it sends the output that was given to
    ``set_output``, with the ids of those memories, so that a review changes their q-values.

    Where a run begins in one function and ends in another, ``ctx = await client.open_trace("task")`` enters
    it, and ``await ctx.close()`` leaves it, perhaps in another task of the same event loop. A run that is
    never left is not sent: when its context is dropped, an error in the log and a ResourceWarning name it.
    """

    def __init__(
        self,
        query: MemoryQuery,
        *,
        defaults: TraceCreate,
        search: Callable[[MemoryQuery], Awaitable[list[Memory]]],
        submit: Callable[[TraceCreate], Awaitable[TraceJob]],
        report: Callable[[str, BaseException], None],
        handle: Callable[[str], AbstractContextManager[None]],
        check_loop: Callable[[], None],
        judge: Judge | None,
        blocking: bool,
        auto_fail_on_exception: bool,
    ) -> None:
        self._query = query
        self._defaults = defaults
        self._search = search
        self._submit = submit
        self._report = report
        self._handle = handle
        self._check_loop = check_loop
        self._judge = judge
        self._blocking = blocking
        self._auto_fail = auto_fail_on_exception
        self._phase = _Phase.NEW
        self._memories: list[Memory] = []
        self._augmented_task = ""
        self._output: TraceCreate | None = None
        self._job: TraceJob | None = None

    @property
    def task(self) -> str:
        """What the agent is asked to do."""
        return self._query.task

    @property
    def memories(self) -> list[Memory]:
        """The memories that may help, best first."""
        self._check_entered("memories")
        return self._memories

    @property
    def memory_ids(self) -> list[str]:
        """The ids of ``memories``. They are sent with the trace."""
        return [memory.id for memory in self.memories]

    @property
    def retrieved_memory_ids(self) -> list[str]:
        """The same as ``memory_ids``, under the name that a trace has for it."""
        return self.memory_ids

    @property
    def augmented_task(self) -> str:
        """A prompt: the task, and the memories below it. Without memories, the task."""
        self._check_entered("augmented_task")
        return self._augmented_task

    @property
    def has_output(self) -> bool:
        """Whether ``set_output`` was called."""
        return self._output is not None

    @property
    def job(self) -> TraceJob | None:
        """The job of the trace that was sent on leaving. None before that, or when no trace was sent."""
        return self._job

    @property
    def trace_id(self) -> str | None:
        """The id of the trace that was sent on leaving. None before that, or when no trace was sent."""
        return None if self._job is None else self._job.id

    def set_output(
        self,
        *,
        trajectory: TrajectoryInput,
        final_response: str | None = None,
        result: str | None = None,
        feedback_text: str | None = None,
        model: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        task: str | None = None,
        alpha: float | None = None,
    ) -> None:
        """Set what is sent on leaving. A second call replaces the first.

        Args:
            trajectory: Messages with role and content, which are copied now, or the run as text. Text costs
                the server less; messages let it learn from each tool call.
            final_response: The agent's answer. None: its last message in the trajectory.
            result: ``pass`` (or ``success``), or ``fail`` (or ``failure``). It wins over a judge. None: the
                judge reviews the run, or without one it is reviewed later.
            feedback_text: What went wrong. Without ``result`` it is only sent when an exception ends the
                run, or when the judge gives a verdict without feedback.
            model: The agent's language model.
            metadata: Any JSON object, stored with the trace. It adds to the metadata that was given to
                ``trace``; of an entry in both, this one is stored.
            task: What the agent was asked to do, as later runs should find it. None: the task that was given
                to ``trace``.
            alpha: How far the review moves the q-values of the memories, 0 to 1. None: the value that was
                given to ``trace``, or 0.1 for the review of a judge, or else the server's default.

        Raises:
            InvalidRequest: One of the arguments is unusable, or the run is not entered, or it is left.
        """
        if self._phase is not _Phase.INSIDE:
            message = (
                f"set_output: call it after entering and before leaving the run; it is {self._phase.value}"
            )
            raise InvalidRequest(message)
        defaults = self._defaults
        if alpha is None:
            alpha = defaults.alpha
        if metadata is None:
            metadata = defaults.metadata
        elif defaults.metadata is not None and isinstance(metadata, Mapping):
            metadata = {**defaults.metadata, **metadata}
        review = {"feedback_text": feedback_text, "alpha": alpha}
        fields: dict[str, Any] = {
            "task": self._query.task if task is None else task,
            "trajectory": trajectory,
            "final_response": final_response,
            "retrieved_memory_ids": [memory.id for memory in self._memories],
            "model": model,
            "metadata": metadata,
            "reference_context": defaults.reference_context,
        }
        if result is None:
            fields |= review
        else:
            fields["review"] = build_request(InlineReview, {"result": result, **review}, "set_output")
        self._output = build_request(TraceCreate, fields, "set_output")

    async def close(self, error: BaseException | None = None) -> None:
        """End the run and send its output, as the end of an ``async with`` block does.

        Without an output nothing is sent. Once closed, the run stays closed, also when sending it failed.
        Closing it again does nothing.

        Args:
            error: What ended the run: the trace is sent as failed. The error is not raised again.

        Raises:
            InvalidRequest: The run is not entered.
            ConfigurationError: Another event loop is running than the client's. The run stays open.
            JobFailed: With ``blocking``: the server could not store the trace.
            JobTimeout: With ``blocking``: the wait ended before the job.
        """
        self._check_entered("close")
        self._check_loop()
        if self._phase is not _Phase.LEFT:
            await self._leave(error, level_without_output=logging.INFO)

    async def __aenter__(self) -> Self:
        if self._phase is not _Phase.NEW:
            message = f"this trace was {self._phase.value} already; call trace(…) for every run"
            raise InvalidRequest(message)
        self._phase = _Phase.ENTERING
        try:
            with self._handle("finding the memories of a trace"):
                self._memories = await self._search(self._query)
        except BaseException:
            self._phase = _Phase.NEW
            raise
        self._augmented_task = augment(self._query.task, self._memories)
        self._phase = _Phase.INSIDE
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._phase is not _Phase.LEFT:  # the block may have closed it
            # After an exception no output is expected: the run did not come to its end.
            await self._leave(error, level_without_output=logging.WARNING if error is None else logging.DEBUG)

    async def _leave(self, error: BaseException | None, *, level_without_output: int) -> None:
        self._phase = _Phase.LEFT
        if self._output is None:
            text = "no output was set, so no trace was sent; call ctx.set_output(...)"
            logger.log(level_without_output, text, extra=fields("trace_not_sent"))
        elif error is None:
            output = await self._judged(self._output)
            with self._handle(_SENDING):
                await self._send(output)
        elif isinstance(error, Exception) and self._auto_fail:
            await self._send_as_failed(self._output, error)
        else:
            logger.info(
                "the run ended with %s: the trace is not sent",
                type(error).__name__,
                extra=fields("trace_not_sent", error),
            )

    async def _judged(self, output: TraceCreate) -> TraceCreate:
        """Return ``output`` with the review of the judge, if there is a judge and no review yet."""
        if self._judge is None or output.review is not None:
            return output
        try:
            review = await judged_review(self._judge, output)
        except Exception as error:  # noqa: BLE001  # it is reported, and the run goes on without a review
            self._report("the judge of a trace", error)
            return output
        return output if review is None else output.model_copy(update={"review": review})

    async def _send(self, output: TraceCreate) -> None:
        self._job = await self._submit(output)
        if self._blocking:
            await self._job.result()

    async def _send_as_failed(self, output: TraceCreate, error: Exception) -> None:
        """Send the run as failed by ``error``. A failure to send must not hide that error."""
        try:
            with self._handle(_SENDING):
                await self._send(output.model_copy(update={"review": failed_review(output, error)}))
        except Exception as failure:  # noqa: BLE001  # it is reported, and added to ``error`` as a note
            self._report("the trace of a run that raised", failure)
            with contextlib.suppress(Exception):  # some exceptions are frozen
                error.add_note(f"Besides, the trace of this run failed: {type(failure).__name__}: {failure}")

    def _check_entered(self, name: str) -> None:
        if self._phase in (_Phase.NEW, _Phase.ENTERING):
            message = f"{name}: enter the run first: `async with client.trace(...) as ctx`"
            raise InvalidRequest(message)

    def __del__(self) -> None:
        if self._phase is _Phase.INSIDE:
            message = f"a trace was never closed, so it was not sent; its task: {self.task!r:.200}"
            logger.error(message, extra=fields("trace_not_sent"))
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        return f"<TraceContext {self._phase.value}, trace_id={self.trace_id!r}>"
