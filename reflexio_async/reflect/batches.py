"""Many traces at once, as a batch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import quote

from reflexio_async._engine.batch.batch import Batch
from reflexio_async._engine.batch.work import Attempt, Work
from reflexio_async._engine.jobs.job import check_waiting
from reflexio_async._engine.models import build_request
from reflexio_async.errors import InvalidRequest, JobFailed
from reflexio_async.reflect.api import CREATE_TRACE, ReflectAPI
from reflexio_async.reflect.models import TraceCreate

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Mapping

    from reflexio_async._engine.batch.progress import BatchProgress
    from reflexio_async.reflect.jobs import TraceJob
    from reflexio_async.reflect.models import Trace

_UNDER_WAY = 256  # each takes little here while the server works on it


@dataclass(slots=True)
class _TraceItem:
    """One trace; ``sent`` is its id once the server has it, ``fault`` what is wrong with it."""

    key: int | str
    request: TraceCreate | None
    fault: InvalidRequest | None = None
    sent: str | None = None


class ReflectBatches(ReflectAPI):
    """Sending many traces."""

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
    ) -> Batch[int | str, Any]:
        """Send many traces; one failure never stops the others.

        A trace whose sending was never answered may have arrived: its outcome is ``lost``, and it is
        sent again only by ``report.retry_failed("lost")``. One that the server has is never sent again:
        retrying it goes on waiting, unless the server gave it up.

        Args:
            traces: Keywords of ``create_trace``, as mappings or ``TraceCreate``. A collection is checked
                whole here; an iterator, sync or async, is pulled and checked as capacity frees, so that any
                number streams in flat memory.
            concurrency: How many are under way at once, from sending to the end; None: 256.
            wait: Wait for each as ``create_trace_and_wait`` does, so that outcomes hold the Trace; False:
                outcomes hold the TraceJob.
            key: Returns the text or whole number that names a trace in its outcome; None: its position,
                from 0. Where it fails it counts as a fault of that trace, which is then called ``#`` and
                its position.
            poll_interval: Seconds between status requests; None: the client's, else soon, then 0.25.
            wait_timeout: Seconds each trace may take once it was sent; None: the client's, else 60.
            on_progress: Called after every step with a BatchProgress.
            fail_fast: Send nothing more after the first that does not complete.

        Raises:
            InvalidRequest: A trace is unusable, two have one key, or an option is unusable.
        """
        check_waiting(poll_interval, wait_timeout)
        if key is not None and not callable(key):
            message = f"key must be a function from a trace to its name, not {type(key).__name__}"
            raise InvalidRequest(message)
        settings = self._engine.settings
        if poll_interval is not None:
            settings = settings.with_options(poll_interval=poll_interval)
        if wait_timeout is not None:
            settings = settings.with_options(wait_timeout=wait_timeout)
        view = self._with_settings(settings)
        engine = view._engine  # noqa: SLF001  # a view of self
        path = CREATE_TRACE.path.format(project_id=quote(self._project_id, safe=""))

        async def carry_out(item: _TraceItem, attempt: Attempt[Any]) -> None:
            if item.request is None:
                assert item.fault is not None  # noqa: S101  # one of the two is there
                raise item.fault
            began = engine.caller.clock.now()
            try:
                job = await view._sent(item, item.request, attempt)  # noqa: SLF001  # as above
                if not wait:
                    attempt.result = job
                    return
                attempt.job = job
                attempt.result = await job.result()
            except JobFailed:
                item.sent = None  # the server gave it up: trying again means sending it again
                raise
            finally:
                attempt.seconds_running = engine.caller.clock.now() - began

        work: Work[int | str, Any] = Work(
            name="traces",
            check=_Check(key, at_once=isinstance(traces, Collection)),
            key=lambda item: item.key,
            carry_out=carry_out,
            width=_UNDER_WAY if concurrency is None else concurrency,
            per_minute=None,
            limit=engine.caller.rate_limiter(path),
            fail_fast=fail_fast,
            on_progress=on_progress,
        )
        return Batch(work, traces, engine.caller.clock, engine.tasks)

    async def _sent(self, item: _TraceItem, request: TraceCreate, attempt: Attempt[Any]) -> TraceJob:
        """The job of ``item``, sent now unless an earlier batch has sent it."""
        if item.sent is not None:
            return self._trace_job(item.sent, request.project_id, reviewed=request.review is not None)
        job = await self._submit_trace(
            request,
            limit_wait=float("inf"),
            withdrawn=attempt.stopped,
            on_attempt=attempt.count,
        )
        item.sent = job.id
        return job


class _Check:
    """Makes items of the traces that the caller gave, in their order.

    ``at_once``: a fault raises InvalidRequest; else it becomes the outcome of that trace.
    """

    def __init__(self, key: Callable[[TraceCreate], int | str] | None, *, at_once: bool) -> None:
        self._key = key
        self._at_once = at_once
        self._positions = count()

    def __call__(self, raw: Any) -> _TraceItem:
        if isinstance(raw, _TraceItem):  # of a batch before this one
            return raw
        position = next(self._positions)
        try:
            request = build_request(TraceCreate, raw)
            return _TraceItem(position if self._key is None else _named(self._key, request), request)
        except InvalidRequest as error:
            if self._at_once:
                raise
            # A bare position could be what ``key`` calls another trace.
            return _TraceItem(position if self._key is None else f"#{position}", None, error)


def _named(key: Callable[[TraceCreate], Any], request: TraceCreate) -> int | str:
    try:
        name = key(request)
    except Exception as error:
        message = f"key raised {type(error).__name__}: {error}"
        raise InvalidRequest(message) from error
    if isinstance(name, bool) or not isinstance(name, int | str):
        message = f"key must return text or a whole number, not {type(name).__name__}"
        raise InvalidRequest(message)
    return name
