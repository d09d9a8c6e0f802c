"""Tracing a run of an agent, with ``client.trace`` or ``open_trace``: memories before it, its trace after it.

``decorator.py`` does the same for every call of a function.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Literal, TypedDict

from reflexio_async._engine.ignored_errors import IgnoredErrors
from reflexio_async._engine.models import build_request
from reflexio_async._engine.option_checks import positive_seconds
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.api import ReflectAPI
from reflexio_async.reflect.judge import Judge, check_judge
from reflexio_async.reflect.models.memories import MemoryQuery
from reflexio_async.reflect.models.traces import TraceCreate
from reflexio_async.reflect.trace_context import TraceContext

_IGNORING_TIMEOUT = 2.0  # seconds; an agent must not wait for a server that is away


def _raise(_what: str) -> AbstractContextManager[None]:
    """Ignore no error."""
    return nullcontext()


class TraceOptions(TypedDict, total=False):
    """The options of ``client.trace``, which explains them."""

    limit: int
    lambda_: float
    metadata_filter: Mapping[str, Any] | None
    similarity_threshold: float | None
    mmr_lambda: float
    blocking: bool
    auto_fail_on_exception: bool
    metadata: Mapping[str, Any] | None
    reference_context: str | None
    alpha: float | None
    judge: Judge | None
    on_error: Literal["raise", "ignore"]
    timeout: float | None


class TracingAPI(ReflectAPI):
    """The calls that make a TraceContext."""

    _ignored_errors: IgnoredErrors

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
        metadata: Mapping[str, Any] | None = None,
        reference_context: str | None = None,
        alpha: float | None = None,
        judge: Judge | None = None,
        on_error: Literal["raise", "ignore"] = "raise",
        timeout: float | None = None,
    ) -> TraceContext:
        """Trace one run of an agent: ``async with client.trace("task") as ctx``.

        On entering, the memories that may help are found: ``ctx.memories``, ``ctx.augmented_task``. If that
        fails, the error is raised and the block does not run. On leaving, the output of ``ctx.set_output``
        is sent. Without an output nothing is sent.

        An exception in the block is always raised again. If an output was set, the trace is sent first, as
        failed. Its feedback is the text of the exception, unless ``set_output`` was given another. If sending
        fails, that error is logged, reported to ``on_background_error`` and added to the exception as a note.
        After a cancellation, ``KeyboardInterrupt`` or ``SystemExit`` nothing is sent.

        Args:
            task: What the agent is about to do.
            limit: The maximum number of memories.
            lambda_: 1 ranks by similarity alone, 0 by q-value alone (how useful a memory has been).
            metadata_filter: Only memories whose metadata has all these entries. Where it has a list, one of
                the list's values must be the wanted one.
            similarity_threshold: The minimum similarity. None: the server's default.
            mmr_lambda: 1 allows near-duplicates, 0 prefers memories that differ.
            blocking: On leaving, wait until the trace is stored, or reviewed if a result was given.
            auto_fail_on_exception: Send a run that raised an exception as failed. False: do not send it.
            metadata: Any JSON object, stored with the trace. ``set_output`` may add to it.
            reference_context: More context for the server's reflection on the run.
            alpha: How far the review moves the q-values of the memories, 0 to 1. None: 0.1 for a judge's
                review, or else the server's default.
            judge: A function of the task and the answer, which reviews a run for which ``set_output`` was
                given no result. It returns ``pass`` or True, ``fail`` or False, or None for no review; or a
                pair of that and a feedback text. A coroutine function is awaited, any other function runs in
                a thread. Leaving waits for it. If it raises, the error is logged and reported to
                ``on_background_error``, and the trace is sent without a review. The answer is
                ``final_response``, or the trajectory's last text of the assistant.
            on_error: ``ignore``: an error of the server, or of reaching it, does not disturb the run. No
                memories are found then, or the trace is not sent. The first error is logged as a warning,
                later ones at level DEBUG until it works again; each one is counted, and reported to
                ``on_background_error``. Unusable arguments still raise.
            timeout: Seconds for finding the memories, and again for sending the trace. None: the client's
                ``timeout``, but with ``on_error="ignore"`` at most 2.

        Raises:
            InvalidRequest: One of the arguments is unusable.
            JobFailed: On leaving with ``blocking``: the server could not store the trace.
            JobTimeout: On leaving with ``blocking``: the wait ended before the job.
        """
        return self._trace_context(
            "trace",
            task,
            limit=limit,
            lambda_=lambda_,
            metadata_filter=metadata_filter,
            similarity_threshold=similarity_threshold,
            mmr_lambda=mmr_lambda,
            blocking=blocking,
            auto_fail_on_exception=auto_fail_on_exception,
            metadata=metadata,
            reference_context=reference_context,
            alpha=alpha,
            judge=judge,
            on_error=on_error,
            timeout=timeout,
        )

    trace_async = trace
    """The same call as ``trace``: the official client has both names."""

    async def open_trace(
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
        metadata: Mapping[str, Any] | None = None,
        reference_context: str | None = None,
        alpha: float | None = None,
        judge: Judge | None = None,
        on_error: Literal["raise", "ignore"] = "raise",
        timeout: float | None = None,
    ) -> TraceContext:
        """Enter a run that ends in another function, such as a later node of a graph.

        ``await ctx.close()`` ends it. In between, use the context as the one of ``trace``, which explains the
        arguments. It cannot be saved or sent to another process: for that, save ``ctx.memory_ids``, and send
        the run with ``create_trace(retrieved_memory_ids=…)``.

        Raises:
            InvalidRequest: One of the arguments is unusable.
        """
        context = self._trace_context(
            "open_trace",
            task,
            limit=limit,
            lambda_=lambda_,
            metadata_filter=metadata_filter,
            similarity_threshold=similarity_threshold,
            mmr_lambda=mmr_lambda,
            blocking=blocking,
            auto_fail_on_exception=auto_fail_on_exception,
            metadata=metadata,
            reference_context=reference_context,
            alpha=alpha,
            judge=judge,
            on_error=on_error,
            timeout=timeout,
        )
        return await context.__aenter__()

    def _trace_context(
        self,
        name: str,
        task: str,
        *,
        blocking: bool,
        auto_fail_on_exception: bool,
        metadata: Mapping[str, Any] | None,
        reference_context: str | None,
        alpha: float | None,
        judge: Judge | None,
        on_error: str,
        timeout: float | None,
        **query: Any,
    ) -> TraceContext:
        """Make the context of the call ``name``, with which errors begin."""
        check_judge(name, judge)
        if on_error not in ("raise", "ignore"):
            message = f"{name}: on_error must be 'raise' or 'ignore', not {on_error!r:.40}"
            raise InvalidRequest(message)
        ignoring = on_error == "ignore"
        settings = self._engine.settings
        if timeout is not None:
            settings = settings.with_options(timeout=positive_seconds(f"{name}: timeout", timeout))
        elif ignoring:
            settings = settings.with_options(timeout=min(settings.timeout, _IGNORING_TIMEOUT))
        output = {
            "task": task,
            "trajectory": (),
            "metadata": metadata,
            "reference_context": reference_context,
            "alpha": alpha,
        }
        return TraceContext(
            build_request(MemoryQuery, {"task": task, **query}, name),
            # Checked now, so that the run does not end with an error.
            defaults=build_request(TraceCreate, output, name),
            search=partial(self._query, settings=settings),
            submit=partial(self._submit_trace, settings=settings),
            report=self._engine.tasks.report,
            handle=self._ignored_errors.ignore if ignoring else _raise,
            check_loop=self._engine.loops.check,
            judge=judge,
            blocking=blocking,
            auto_fail_on_exception=auto_fail_on_exception,
        )
