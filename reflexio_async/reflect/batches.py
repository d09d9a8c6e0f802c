"""A batch of traces: ``create_traces_many``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import quote

from reflexio_async._engine.batch.batch import Batch
from reflexio_async._engine.batch.work import BATCH_OUTAGE_TIMEOUT, Attempt, Work
from reflexio_async._engine.jobs.job import check_waiting
from reflexio_async._engine.models import build_request, drop_none
from reflexio_async._engine.option_checks import is_asynchronous, positive_seconds, true_or_false
from reflexio_async.errors import InvalidRequest, JobFailed
from reflexio_async.reflect.api import CREATE_TRACE, ReflectAPI
from reflexio_async.reflect.models.traces import TraceCreate

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Mapping

    from reflexio_async._engine.batch.progress import BatchProgress
    from reflexio_async.reflect.jobs import TraceJob
    from reflexio_async.reflect.models.traces import Trace

_DEFAULT_CONCURRENCY = 256
"""Traces that are worked on at the same time. It exceeds ``max_connections`` (100): most of them wait."""


@dataclass(slots=True)
class _TraceItem:
    """One trace of a batch."""

    key: int | str
    request: TraceCreate | None
    error: InvalidRequest | None = None
    """What is wrong with the trace. Then there is no request."""
    trace_id: str | None = None
    """The id of the trace, when it was sent."""


class ReflectBatches(ReflectAPI):
    """The call that sends many traces."""

    @overload
    def create_traces_many(
        self,
        traces: Iterable[TraceCreate | Mapping[str, Any]] | AsyncIterable[TraceCreate | Mapping[str, Any]],
        *,
        concurrency: int | None = None,
        wait: Literal[True] = True,
        key: Callable[[TraceCreate], int | str] | None = None,
        poll_interval: float | None = None,
        wait_timeout: float | None = None,
        on_progress: Callable[[BatchProgress], None] | None = None,
        fail_fast: bool = False,
        outage_timeout: float = BATCH_OUTAGE_TIMEOUT,
    ) -> Batch[int | str, Trace]: ...
    @overload
    def create_traces_many(
        self,
        traces: Iterable[TraceCreate | Mapping[str, Any]] | AsyncIterable[TraceCreate | Mapping[str, Any]],
        *,
        concurrency: int | None = None,
        wait: Literal[False],
        key: Callable[[TraceCreate], int | str] | None = None,
        on_progress: Callable[[BatchProgress], None] | None = None,
        fail_fast: bool = False,
        outage_timeout: float = BATCH_OUTAGE_TIMEOUT,
    ) -> Batch[int | str, TraceJob]: ...
    def create_traces_many(
        self,
        traces: Iterable[TraceCreate | Mapping[str, Any]] | AsyncIterable[TraceCreate | Mapping[str, Any]],
        *,
        concurrency: int | None = None,
        wait: bool = True,
        key: Callable[[TraceCreate], int | str] | None = None,
        poll_interval: float | None = None,
        wait_timeout: float | None = None,
        on_progress: Callable[[BatchProgress], None] | None = None,
        fail_fast: bool = False,
        outage_timeout: float = BATCH_OUTAGE_TIMEOUT,
    ) -> Batch[int | str, Any]:
        """Send many traces. A failure does not stop the others.

        When the response to a trace is lost, the outcome of the trace is ``lost``, since the server may
        have it. Only ``report.retry_failed("lost")`` sends it again. A trace that the server has is not
        sent again: a retry goes on waiting for it, unless the server could not store it.

        Args:
            traces: The arguments of ``create_trace``, as mappings or ``TraceCreate``. All items of a
                collection are checked at once. Items of an iterator, sync or async, are taken and checked
                one after another, as capacity becomes free, so that the memory used does not grow with
                their number.
            concurrency: How many traces are worked on at the same time, from sending to the end. None:
                256.
            wait: Wait for each trace as ``create_trace_and_wait`` does; the results are Traces. False: the
                results are TraceJobs.
            key: A function that returns the key of a trace in the report, text or a whole number. None: the
                position, from 0. If the function raises, that trace fails with the key ``#`` and its
                position.
            poll_interval: Seconds between status requests. None: the client's, or 0.25.
            wait_timeout: Seconds to wait for each trace, from its sending. None: the client's, or 60.
            on_progress: Called after every step with a BatchProgress.
            fail_fast: Send nothing more after the first trace that does not complete.
            outage_timeout: Seconds that the server may be away, once it has answered. Then the batch stops,
                and the rest is ``not_started``; of an iterator, the rest is not read.

        Raises:
            InvalidRequest: A trace or an option is unusable, or two traces have the same key.
        """
        true_or_false("wait", wait)
        check_waiting(poll_interval, wait_timeout)
        if key is not None and (not callable(key) or is_asynchronous(key)):
            given = "a coroutine function" if is_asynchronous(key) else type(key).__name__
            message = f"key must be a function that returns the key of a trace, not {given}"
            raise InvalidRequest(message)
        positive_seconds("outage_timeout", outage_timeout, zero=True)
        waiting = drop_none(poll_interval=poll_interval, wait_timeout=wait_timeout)
        settings = self._engine.settings.with_options(outage_timeout=outage_timeout, **waiting)
        view = self._with_settings(settings)
        engine = view._engine  # noqa: SLF001  # a view of self
        path = CREATE_TRACE.path.format(project_id=quote(self._project_id, safe=""))

        async def send_and_wait(item: _TraceItem, attempt: Attempt[Any]) -> None:
            if item.request is None:
                assert item.error is not None  # noqa: S101  # an item has a request or an error
                raise item.error
            began = engine.caller.clock.now()
            try:
                job = await view._trace_job_of(item, item.request, attempt)  # noqa: SLF001  # as above
                if not wait:
                    attempt.result = job
                    return
                attempt.job = job
                attempt.result = await job.result()
            except JobFailed:
                item.trace_id = None  # the server could not store it, so a retry sends it again
                raise
            finally:
                attempt.seconds_running = engine.caller.clock.now() - began

        work: Work[int | str, Any] = Work(
            name="traces",
            check=_item_maker(key, raises=isinstance(traces, Collection)),
            key=lambda item: item.key,
            process_item=send_and_wait,
            width=_DEFAULT_CONCURRENCY if concurrency is None else concurrency,
            per_minute=None,
            rate_limiter=engine.caller.rate_limiter(path),
            availability=engine.caller.availability,
            outage_timeout=outage_timeout,
            fail_fast=fail_fast,
            on_progress=on_progress,
        )
        return Batch(work, traces, engine.caller.clock, engine.tasks)

    async def _trace_job_of(self, item: _TraceItem, request: TraceCreate, attempt: Attempt[Any]) -> TraceJob:
        """Return the job of ``item``. Send the trace, unless an earlier batch has sent it."""
        if item.trace_id is not None:
            return self._trace_job(item.trace_id, request.project_id, reviewed=request.review is not None)
        job = await self._submit_trace(
            request,
            limit_wait=float("inf"),
            withdrawn=attempt.stopped,
            on_attempt=attempt.count,
        )
        item.trace_id = job.id
        return job


def _item_maker(
    key: Callable[[TraceCreate], int | str] | None, *, raises: bool
) -> Callable[[Any], _TraceItem]:
    """Return a function that makes the items of a batch from the caller's traces, in their order.

    ``raises``: an unusable trace raises InvalidRequest. Otherwise it becomes an item with that error.
    """
    positions = count()

    def make_item(given: Any) -> _TraceItem:
        if isinstance(given, _TraceItem):  # a retry of an earlier batch
            return given
        position = next(positions)
        try:
            request = build_request(TraceCreate, given)
            return _TraceItem(position if key is None else _key_of(request, key), request)
        except InvalidRequest as error:
            if raises:
                raise
            # "#" because ``key`` may return a bare position for another trace.
            return _TraceItem(position if key is None else f"#{position}", None, error)

    return make_item


def _key_of(request: TraceCreate, key: Callable[[TraceCreate], Any]) -> int | str:
    try:
        name = key(request)
    except Exception as error:
        message = f"key raised {type(error).__name__}: {error}"
        raise InvalidRequest(message) from error
    if isinstance(name, bool) or not isinstance(name, int | str):
        message = f"key must return text or a whole number, not {type(name).__name__}"
        raise InvalidRequest(message)
    return name
