"""OpenTelemetry: the spans and metrics of one client. Needs the extra ``otel``.

A call that runs in its caller's task has its spans in the caller's trace. What outlives the call that asked
for it (a job, a background call, a delivery of the outbox) has a trace of its own. That is linked to the span
of the caller. A status request has a trace of its own, too, without a link: many jobs share it.

Spans and metrics hold no ids of users, no queries, no bodies, no headers and no texts of errors.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit
from weakref import WeakSet

from opentelemetry import context as otel
from opentelemetry import propagate, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from reflexio_async._engine.jobs.waits import WaitReason
from reflexio_async._engine.logs import fields
from reflexio_async._engine.loops import call_name
from reflexio_async._engine.metrics import instruments
from reflexio_async._engine.observer import BackgroundObserver, Observer
from reflexio_async._version import __version__
from reflexio_async.errors import JobCancelled, Withdrawn

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator, Mapping
    from contextvars import Context

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.util.types import AttributeValue

    from reflexio_async._engine.batch.report import OutcomeState
    from reflexio_async._engine.call import Call
    from reflexio_async._engine.jobs.manager import JobManager
    from reflexio_async._engine.jobs.record import JobRecord
    from reflexio_async._engine.metrics import Instruments
    from reflexio_async._engine.observer import CountsCalls
    from reflexio_async._engine.wire import EncodedRequest, Endpoint

T = TypeVar("T")
logger = logging.getLogger("reflexio_async")

_W3C = TraceContextTextMapPropagator()
_ROOT = otel.Context()
_PORTS = {"http": 80, "https": 443}


class _CallFacts(NamedTuple):
    """What is the same for every call of one endpoint.

    ``store_at`` is the position in the path of the memory store's id; None: the server is the store.
    """

    name: str
    attributes: dict[str, AttributeValue]
    measured: dict[str, AttributeValue]
    store_at: int | None


class Tracing(Observer):
    """The spans and metrics of one client.

    Args:
        store: The path of the client's store, if that is a file.
        tracer_provider: Makes the spans. None: the global one, as soon as that is set.
        meter_provider: Makes the metrics, likewise.
    """

    def __init__(
        self,
        store: str | None = None,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self.store = store
        self.managers: WeakSet[JobManager] = WeakSet()
        self.outboxes: WeakSet[CountsCalls] = WeakSet()
        self._tracer = trace.get_tracer("reflexio_async", __version__, tracer_provider)
        self._instruments: Instruments = instruments(meter_provider)
        self._instruments.add(self)
        self._without_span = _BackgroundSpan(trace.INVALID_SPAN, self._instruments)
        self._facts: dict[Endpoint[Any], _CallFacts] = {}

    # Calls

    async def run(self, call: Call[T]) -> T:
        """Run one call in a span of its own, and measure it."""
        facts = self._facts.get(call.endpoint) or self._facts_of(call)
        # Made by the provider, or by none: then it is not valid, and costs little.
        span = _begin(self._tracer, facts.name, kind=trace.SpanKind.CLIENT, attributes=facts.attributes)
        token = None
        if span.get_span_context().is_valid:
            call.trace = CallSpan(self._tracer, span, call, facts)
            token = otel.attach(trace.set_span_in_context(span))
        clock = call.caller.clock
        began = clock.now()
        measured = facts.measured
        try:
            return await call.run()
        except BaseException as error:
            measured = {**measured, "error.type": type(error).__name__}
            if call.trace is not None:
                _fail(span, error)
            if isinstance(error, GeneratorExit):
                token = None  # a call of a loop that is gone is closed in another context
            raise
        finally:
            if call.trace is not None:
                call.trace.end()
                if token is not None:
                    otel.detach(token)
            self._instruments.call_duration.record(clock.now() - began, measured)

    def _facts_of(self, call: Call[Any]) -> _CallFacts:
        endpoint, service = call.endpoint, call.caller.service
        url = urlsplit(call.caller.http.base_url)
        measured: dict[str, AttributeValue] = {
            "http.request.method": endpoint.method,
            "http.route": endpoint.path,
            "server.address": url.hostname or "",
            "server.port": url.port or _PORTS.get(url.scheme, 0),
        }
        store_at = None
        name = call_name(endpoint.path)
        if endpoint.memory is not None:
            name = endpoint.memory
            measured["gen_ai.operation.name"] = endpoint.memory
            parts = endpoint.path.split("/")
            if service.store_field and service.store_field in parts:
                store_at = parts.index(service.store_field)
        attributes = {**measured, "url.template": endpoint.path}
        if endpoint.memory is not None:
            attributes |= {
                "gen_ai.provider.name": service.name,
                "gen_ai.memory.store.id": call.caller.http.base_url,
            }
        facts = self._facts[endpoint] = _CallFacts(name, attributes, measured, store_at)
        return facts

    def retried(self, endpoint: Endpoint[Any], reason: str) -> None:
        """Count one retry."""
        self._instruments.retries.add(1, {**_route(endpoint), "error.type": reason})

    def refused(self, endpoint: Endpoint[Any], reason: str) -> None:
        """Count one refusal."""
        self._instruments.refused.add(1, {**_route(endpoint), "error.type": reason})

    def waited(self, endpoint: Endpoint[Any], seconds: float) -> None:
        """Measure a wait for the rate limit."""
        self._instruments.limit_wait.record(seconds, _route(endpoint))

    # What outlives a call

    def polled(self, name: str, lag: float) -> None:
        """Measure the time since a status request was due."""
        self._instruments.poll_lag.record(lag, {"reflexio.poll.source": name})

    def stamped(self, request: EncodedRequest) -> EncodedRequest:
        """``request`` with the ``traceparent`` of the running span, if there is one."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return request._replace(headers=(*request.headers, *carrier.items())) if carrier else request

    def detached(self) -> Context | None:
        """A context without a span."""
        made = copy_context()
        made.run(otel.attach, _ROOT)
        return made

    def job(
        self, kind: str, request: EncodedRequest | None = None, *, age: float = 0.0
    ) -> BackgroundObserver:
        """Begin the span of a job."""
        span = self._trace(f"job {kind}", request, {"reflexio.job.kind": kind}, age)
        return self._observing(span, age)

    def background(self, name: str) -> BackgroundObserver:
        """Begin the span of a background call."""
        return self._observing(self._trace(f"background {name}"))

    def _observing(self, span: trace.Span, age: float = 0.0) -> BackgroundObserver:
        if age or span.get_span_context().is_valid:
            return _BackgroundSpan(span, self._instruments, age)
        return self._without_span  # thousands of jobs may wait

    def _trace(
        self,
        name: str,
        request: EncodedRequest | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
        age: float = 0.0,
        kind: trace.SpanKind = trace.SpanKind.INTERNAL,
    ) -> trace.Span:
        """Begin a trace. It is linked to the span that is named in ``request``, or that runs now."""
        caller = trace.get_current_span()
        if request is not None:
            caller = trace.get_current_span(_W3C.extract(dict(request.headers), _ROOT))
        context = caller.get_span_context()
        return _begin(
            self._tracer,
            name,
            context=_ROOT,
            kind=kind,
            attributes=attributes,
            links=[trace.Link(context)] if context.is_valid else None,
            start_time=time.time_ns() - int(age * 1e9) if age else None,
        )

    # Batches and the outbox

    @contextmanager
    def batch(self, name: str, counts: Mapping[OutcomeState, int]) -> Generator[None]:
        """The span of a batch, with its counts."""
        span = _begin(self._tracer, f"batch {name}")
        with _current(span):
            try:
                yield
            finally:
                span.set_attribute("reflexio.batch.size", sum(counts.values()))
                for outcome, count in counts.items():
                    span.set_attribute(f"reflexio.batch.{outcome.value}", count)

    def batch_outcome(self, name: str, outcome: OutcomeState) -> None:
        """Count one outcome."""
        outcomes = {"reflexio.batch.name": name, "reflexio.outcome": outcome.value}
        self._instruments.batch_outcomes.add(1, outcomes)

    @contextmanager
    def accepting(self, call: str) -> Generator[None]:
        """The span of a call that the outbox accepts."""
        with _current(_begin(self._tracer, f"accept {call}", kind=trace.SpanKind.PRODUCER)):
            yield

    @contextmanager
    def delivering(self, call: str, request: EncodedRequest) -> Generator[None]:
        """The span of a delivery."""
        with _current(self._trace(f"deliver {call}", request, kind=trace.SpanKind.CONSUMER)):
            yield

    def set_aside(self, reason: str) -> None:
        """Mark the span of the delivery as failed."""
        span = trace.get_current_span()
        span.set_attribute("error.type", reason)
        span.set_status(trace.StatusCode.ERROR)

    # Observed when metrics are read

    def watch_jobs(self, jobs: JobManager) -> None:
        """Count the jobs of ``jobs``."""
        self.managers.add(jobs)

    def watch_outbox(self, outbox: CountsCalls) -> None:
        """Count the calls in ``outbox``."""
        self.outboxes.add(outbox)


class CallSpan:
    """The span of one call. Its tries are spans below it."""

    __slots__ = ("_recording", "_span", "_status", "_tracer", "_tries")

    def __init__(self, tracer: trace.Tracer, span: trace.Span, call: Call[Any], facts: _CallFacts) -> None:
        self._tracer = tracer
        self._span = span
        self._recording = span.is_recording()
        self._tries = 0
        self._status: int | None = None
        if self._recording and facts.store_at is not None:
            store = unquote(call.encoded.path.split("/")[facts.store_at])
            span.set_attribute("gen_ai.memory.store.id", store)

    def begin_try(self, method: str) -> TrySpan:
        """Begin one HTTP exchange."""
        span = None
        if self._recording:
            attributes: dict[str, AttributeValue] = {"http.request.method": method}
            if self._tries:
                attributes["http.request.resend_count"] = self._tries
            span = _begin(self._tracer, method, kind=trace.SpanKind.CLIENT, attributes=attributes)
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
        _end(self._span)


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
            _fail(self._span, error)
        elif status is not None:
            self._span.set_attribute("http.response.status_code", status)
            if status >= 400:
                self._span.set_attribute("error.type", str(status))
                self._span.set_status(trace.StatusCode.ERROR)
        _end(self._span)
        if not isinstance(error, GeneratorExit):  # a loop that is gone is left in another context
            otel.detach(self._token)


class _BackgroundSpan(BackgroundObserver):
    """The span of one job, or of one background call."""

    __slots__ = ("_age", "_context", "_measures", "_span")

    def __init__(self, span: trace.Span, measures: Instruments, age: float = 0.0) -> None:
        self._span = span
        self._measures = measures
        self._age = age
        self._context: Context | None = None
        if span.get_span_context().is_valid:
            self._context = copy_context()
            self._context.run(otel.attach, trace.set_span_in_context(span))

    @property
    def context(self) -> Context | None:
        """The context in which its span is the current one; None: it has no span."""
        return self._context

    def ended(self, task: asyncio.Task[Any]) -> None:
        """End the span of a background call."""
        if task.cancelled():
            self._span.set_attribute("error.type", "CancelledError")
        elif (error := task.exception()) is not None:
            _fail(self._span, error)
        _end(self._span)

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
            _fail(span, job.error)
        _end(span)

    def job_left(self) -> None:
        """End the span of a job that goes on."""
        if self._span.is_recording():
            self._span.set_attribute("reflexio.outcome", "not read")
            _end(self._span)


@contextmanager
def _current(span: trace.Span) -> Generator[None]:
    """Make ``span`` the current one. End it when the block ends, as failed if that is by an error."""
    token = otel.attach(trace.set_span_in_context(span)) if span.get_span_context().is_valid else None
    try:
        yield
    except BaseException as error:
        _fail(span, error)
        if isinstance(error, GeneratorExit):
            token = None  # a loop that is gone is left in another context
        raise
    finally:
        _end(span)
        if token is not None:
            otel.detach(token)


def _begin(tracer: trace.Tracer, name: str, **options: Any) -> trace.Span:
    """Start a span. An error of the user's sampler or processor is logged; it must not stop a call."""
    try:
        return tracer.start_span(name, **options)
    except Exception:
        logger.exception("a span could not be made", extra=fields("hook_failed", call="start_span"))
        return trace.INVALID_SPAN


def _end(span: trace.Span) -> None:
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


def _fail(span: trace.Span, error: BaseException) -> None:
    """Record the class of ``error``. Its text may hold ids. A cancellation is no failure."""
    span.set_attribute("error.type", type(error).__name__)
    if isinstance(error, Exception) and not isinstance(error, JobCancelled | Withdrawn):
        span.set_status(trace.StatusCode.ERROR)


def _route(endpoint: Endpoint[Any]) -> dict[str, AttributeValue]:
    return {"http.request.method": endpoint.method, "http.route": endpoint.path}
