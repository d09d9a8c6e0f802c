"""``client.trace(…)``: one run of an agent, from the memories it is given to the trace it leaves."""

from __future__ import annotations

import contextlib
import logging
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from reflexio_async._engine.models import build_request
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.api import ReflectAPI
from reflexio_async.reflect.models import InlineReview, MemoryQuery, TraceCreate
from reflexio_async.reflect.prompt import augment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

    from reflexio_async.reflect.jobs import TraceJob
    from reflexio_async.reflect.models import Memory
    from reflexio_async.reflect.trajectory import TrajectoryInput

logger = logging.getLogger("reflexio_async")


class _Phase(Enum):
    NEW = "not entered yet"
    ENTERING = "being entered"
    INSIDE = "entered"
    LEFT = "left"


class TraceContext:
    """One run of an agent. ``async with client.trace("task") as ctx`` makes it.

    Entering asks for the memories that may help; leaving sends what ``set_output`` was given, together
    with the ids of those memories, so that they earn or lose by the review. It may be entered and left
    in different tasks, but only once.
    """

    def __init__(
        self,
        query: MemoryQuery,
        review: Mapping[str, Any],
        *,
        search: Callable[[MemoryQuery], Awaitable[list[Memory]]],
        submit: Callable[[TraceCreate], Awaitable[TraceJob]],
        report: Callable[[str, BaseException], None],
        blocking: bool,
        auto_fail_on_exception: bool,
    ) -> None:
        self._query = query
        self._search = search
        self._submit = submit
        self._report = report
        self._review = review
        """What every trace of this run says besides its output: ``reference_context`` and ``alpha``."""
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
        self._must_have_been_entered("memories")
        return self._memories

    @property
    def augmented_task(self) -> str:
        """The task as a prompt, with the memories written below it; without any, the task itself."""
        self._must_have_been_entered("augmented_task")
        return self._augmented_task

    @property
    def has_output(self) -> bool:
        """Whether there is something to send on leaving."""
        return self._output is not None

    @property
    def job(self) -> TraceJob | None:
        """The trace that was sent on leaving, to be awaited or dropped; None before, or when none was."""
        return self._job

    @property
    def trace_id(self) -> str | None:
        """The id of the trace that was sent on leaving; None before, or when none was."""
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
        """What the run came to; sent on leaving. Given again, it replaces what was given before.

        Args:
            trajectory: Messages with role and content, or a JSON string of them; what is appended to the
                list afterwards is not sent.
            final_response: The agent's answer; None: its last message in the trajectory.
            result: ``pass`` (or ``success``), or ``fail`` (or ``failure``); None: judged later.
            feedback_text: What went wrong; without a result it is sent only if an exception makes one.
            model: The agent's language model.
            metadata: Whatever is to be kept with the trace.
            task: What the agent turned out to be asked; None: the task that the memories were found by.
            alpha: The step by which memories earn or lose, 0 to 1; None: the one given to ``trace``, else
                the server's.

        Raises:
            InvalidRequest: Something above is unusable (nothing was sent), or the block was left already.
        """
        if self._phase is not _Phase.INSIDE:
            message = f"set_output: call it inside the async with block, which is {self._phase.value}"
            raise InvalidRequest(message)
        review = {
            "result": result,
            "feedback_text": feedback_text,
            "alpha": self._review["alpha"] if alpha is None else alpha,
        }
        fields: dict[str, Any] = {
            "task": self._query.task if task is None else task,
            "trajectory": trajectory,
            "final_response": final_response,
            "retrieved_memory_ids": [memory.id for memory in self._memories],
            "model": model,
            "metadata": metadata,
            "reference_context": self._review["reference_context"],
        }
        if result is None:
            fields |= {"feedback_text": feedback_text, "alpha": review["alpha"]}
        else:
            fields["review"] = build_request(InlineReview, review, "set_output")
        self._output = build_request(TraceCreate, fields, "set_output")

    async def __aenter__(self) -> Self:
        if self._phase is not _Phase.NEW:
            message = f"this trace was {self._phase.value} already; call trace(…) for every run"
            raise InvalidRequest(message)
        self._phase = _Phase.ENTERING
        try:
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
        self._phase = _Phase.LEFT
        if self._output is None:
            logger.debug("no output was set: no trace is sent")
        elif error is None:
            await self._send(self._output)
        elif isinstance(error, Exception) and self._auto_fail:
            await self._send_failed(self._output, error)
        else:
            logger.info("left by %s: the trace is not sent", type(error).__name__)

    async def _send(self, output: TraceCreate) -> None:
        self._job = await self._submit(output)
        if self._blocking:
            await self._job.result()

    async def _send_failed(self, output: TraceCreate, error: Exception) -> None:
        """Send the run as a failed one; what goes wrong here must not hide what went wrong there."""
        try:
            await self._send(_failed(output, error))
        except Exception as failure:  # noqa: BLE001  # reported, and noted on the caller's own
            self._report("the trace of a run that raised", failure)
            with contextlib.suppress(Exception):  # a frozen exception takes no notes
                error.add_note(f"Besides, the trace of this run failed: {type(failure).__name__}: {failure}")

    def _must_have_been_entered(self, name: str) -> None:
        if self._phase in (_Phase.NEW, _Phase.ENTERING):
            message = f"{name}: there are none before `async with` has entered this trace"
            raise InvalidRequest(message)

    def __repr__(self) -> str:
        return f"<TraceContext {self._phase.value}, trace_id={self.trace_id!r}>"


def _failed(output: TraceCreate, error: Exception) -> TraceCreate:
    given = output.review or output  # each has the feedback and the step size
    # Without a text the type is all that is known. UTF-8 has no lone surrogates.
    text = given.feedback_text or str(error) or type(error).__name__
    fields = {
        "result": "fail",
        "feedback_text": text.encode("utf-8", "replace").decode(),
        "alpha": given.alpha,
    }
    return output.model_copy(update={"review": build_request(InlineReview, fields, "review")})


class TracingAPI(ReflectAPI):
    """Runs of an agent, from memories to trace."""

    def trace(
        self,
        task: str,
        *,
        limit: int = 10,
        lambda_: float = 0.5,
        metadata_filter: Mapping[str, Any] | None = None,
        similarity_threshold: float | None = None,
        mmr_lambda: float = 0.7,
        blocking: bool = False,
        auto_fail_on_exception: bool = True,
        reference_context: str | None = None,
        alpha: float | None = None,
    ) -> TraceContext:
        """One run of an agent: ``async with client.trace("task") as ctx``.

        Entering asks for the memories that may help (``ctx.memories``, ``ctx.augmented_task``); when that
        fails, the error is raised and the block does not run. Leaving sends what ``ctx.set_output`` was
        given, with the ids of those memories; without an output nothing is sent.

        An exception inside is always raised again. If an output was set, the run is sent as failed first,
        with the exception's text as feedback unless other feedback was given; a failure of that is logged,
        told to ``on_background_error`` and noted on the exception. Cancellation, ``KeyboardInterrupt`` and
        ``SystemExit`` send nothing.

        Args:
            task: What the agent is about to do.
            limit: The most memories to ask for.
            lambda_: 1 ranks them by similarity alone, 0 by what they have been worth.
            metadata_filter: Only memories whose metadata has all of these.
            similarity_threshold: The least similarity; None: the server's own.
            mmr_lambda: 1 allows near-duplicates, 0 is all for diversity.
            blocking: Leaving waits until the trace is stored, or reviewed if a result was given.
            auto_fail_on_exception: False: a run that raised is not sent.
            reference_context: What the server's reflection may look at besides the trajectory.
            alpha: The step by which memories earn or lose by the review; None: the server's.

        Raises:
            InvalidRequest: An argument is unusable; at once, before any I/O.
            JobFailed: On leaving with ``blocking``: the server gave up on the trace.
            JobTimeout: On leaving with ``blocking``: the wait ran out; ``ctx.job`` goes on.
        """
        query = {
            "task": task,
            "limit": limit,
            "lambda_": lambda_,
            "metadata_filter": metadata_filter,
            "similarity_threshold": similarity_threshold,
            "mmr_lambda": mmr_lambda,
        }
        checked_query = build_request(MemoryQuery, query, "trace")
        review = {"reference_context": reference_context, "alpha": alpha}
        build_request(TraceCreate, {"task": task, "trajectory": (), **review}, "trace")
        return TraceContext(
            checked_query,
            review,
            search=self._query,
            submit=self._submit_trace,
            report=self._engine.tasks.report,
            blocking=blocking,
            auto_fail_on_exception=auto_fail_on_exception,
        )

    trace_async = trace
    """The same call as ``trace``: the official client has both names."""
