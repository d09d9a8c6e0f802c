"""OpenTelemetry: the spans of calls, tries, jobs and background calls. Needs the extra ``otel``."""

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel
from opentelemetry import propagate, trace

from reflexio_async._engine.jobs.waits import WaitReason
from reflexio_async._engine.logs import fields
from reflexio_async._engine.observer import BackgroundObserver
from reflexio_async.errors import JobCancelled, Withdrawn

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator
    from contextvars import Context

    from opentelemetry.util.types import AttributeValue

    from reflexio_async._engine.jobs.record import JobRecord
    from reflexio_async._engine.metrics import Instruments

logger = logging.getLogger("reflexio_async")


class CallSpan:
    """The span of one call. Its tries are spans below it."""

    __slots__ = ("_recording", "_span", "_status", "_tracer", "_tries")

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span
        self._recording = span.is_recording()
        self._tries = 0
        self._status: int | None = None

    def begin_try(self, method: str) -> TrySpan:
        """Begin one HTTP exchange."""
        span = None
        if self._recording:
            attributes: dict[str, AttributeValue] = {"http.request.method": method}
            if self._tries:
                attributes["http.request.resend_count"] = self._tries
            span = begin(self._tracer, method, kind=trace.SpanKind.CLIENT, attributes=attributes)
        self._tries += 1
        return TrySpan(self, span)

    def answered(self, status: int | None) -> None:
        """Keep the status of the last response. None: there was no response."""
        self._status = status

    def end(self) -> None:
        """End the span."""
        if self._tries > 1:
            self._span.set_attribute("http.request.resend_count", self._tries - 1)
        if self._status is not None:
            self._span.set_attribute("http.response.status_code", self._status)
        end(self._span)


class TrySpan:
    """One HTTP exchange. ``headers`` go with its request. Without a ``span``, the call is not sampled."""

    __slots__ = ("_call", "_span", "_token", "headers")

    def __init__(self, call: CallSpan, span: trace.Span | None) -> None:
        self._call = call
        self._span = span
        # Other tools, such as an instrumentation of aiohttp, see the span of this try.
        self._token = None if span is None else otel.attach(trace.set_span_in_context(span))
        self.headers = _propagated()

    def end(self, status: int | None, error: BaseException | None) -> None:
        """Record the status of the response, or the error that came instead."""
        self._call.answered(status)
        if self._span is None or self._token is None:
            return
        if error is not None:
            fail(self._span, error)
        elif status is not None:
            self._span.set_attribute("http.response.status_code", status)
            if status >= 400:
                self._span.set_attribute("error.type", str(status))
                self._span.set_status(trace.StatusCode.ERROR)
        end(self._span)
        if not isinstance(error, GeneratorExit):  # a loop that is gone is left in another context
            otel.detach(self._token)


class BackgroundSpan(BackgroundObserver):
    """The span of one job, or of one background call."""

    __slots__ = ("_age", "_measures", "_span", "context")

    def __init__(self, span: trace.Span, measures: Instruments, age: float = 0.0) -> None:
        self._span = span
        self._measures = measures
        self._age = age
        self.context: Context | None = None
        if span.get_span_context().is_valid:
            self.context = copy_context()
            self.context.run(otel.attach, trace.set_span_in_context(span))

    def ended(self, task: asyncio.Task[Any]) -> None:
        """End the span of a background call."""
        if task.cancelled():
            self._span.set_attribute("error.type", "CancelledError")
        elif (error := task.exception()) is not None:
            fail(self._span, error)
        end(self._span)

    def job_ended(self, job: JobRecord[Any]) -> None:
        """End the span of a job, and measure the job."""
        ended = job.now() if job.ended_at is None else job.ended_at
        admitted = job.admitted_at
        queued = (ended if admitted is None else admitted) - job.created_at + self._age
        kind, outcome = job.kind.name, job.status.state.value
        measured = {"reflexio.job.kind": kind, "reflexio.outcome": outcome}
        self._measures.job_outcomes.add(1, measured)
        self._measures.job_queue_time.record(queued, {"reflexio.job.kind": kind})
        waited: defaultdict[WaitReason, float] = defaultdict(float)
        span = self._span
        span.set_attribute("reflexio.outcome", outcome)
        span.set_attribute("reflexio.job.queue_time", queued)
        span.set_attribute("reflexio.job.attempts", job.attempts)
        for wait in job.waits_so_far():
            seconds = wait.ended_at - wait.began_at
            if wait.reason is WaitReason.RATE_LIMIT:
                self._measures.limit_wait.record(seconds, {"reflexio.job.kind": kind})
            waited[wait.reason] += seconds
        for reason, seconds in waited.items():
            span.set_attribute(f"reflexio.job.waited.{reason.value}", seconds)
        if admitted is not None:
            self._measures.job_run_time.record(ended - admitted, measured)
            span.set_attribute("reflexio.job.run_time", ended - admitted)
        if job.error is not None:
            fail(span, job.error)
        end(span)

    def job_left(self) -> None:
        """End the span of a job that goes on."""
        if self._span.is_recording():
            self._span.set_attribute("reflexio.outcome", "not read")
            end(self._span)


@contextmanager
def current(span: trace.Span) -> Generator[None]:
    """Make ``span`` the current one. End it when the block ends, as failed if that is by an error."""
    token = otel.attach(trace.set_span_in_context(span)) if span.get_span_context().is_valid else None
    try:
        yield
    except BaseException as error:
        fail(span, error)
        if isinstance(error, GeneratorExit):
            token = None  # a loop that is gone is left in another context
        raise
    finally:
        end(span)
        if token is not None:
            otel.detach(token)


def begin(tracer: trace.Tracer, name: str, **options: Any) -> trace.Span:
    """Start a span. An error of the user's sampler or processor is logged; it must not stop a call."""
    try:
        return tracer.start_span(name, **options)
    except Exception:
        logger.exception("a span could not be made", extra=fields("hook_failed", call="start_span"))
        return trace.INVALID_SPAN


def end(span: trace.Span) -> None:
    """End a span, likewise."""
    try:
        span.end()
    except Exception:
        logger.exception("a span could not be exported", extra=fields("hook_failed", call="end_span"))


def _propagated() -> dict[str, str]:
    """The headers of the global propagator for the current span, likewise."""
    headers: dict[str, str] = {}
    try:
        propagate.inject(headers)
    except Exception:
        logger.exception("a trace could not be propagated", extra=fields("hook_failed", call="inject"))
    return headers


def fail(span: trace.Span, error: BaseException) -> None:
    """Record the class of ``error``. Its text may hold ids. A cancellation is no failure."""
    span.set_attribute("error.type", type(error).__name__)
    if isinstance(error, Exception) and not isinstance(error, JobCancelled | Withdrawn):
        span.set_status(trace.StatusCode.ERROR)
