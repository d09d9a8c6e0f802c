"""OpenTelemetry: the spans and metrics of one client. Needs the extra ``otel``.

A call that runs in its caller's task has its spans in the caller's trace. What outlives the call that asked
for it (a job, a background call, a delivery of the outbox) has a trace of its own. That is linked to the span
of the caller. A status request has a trace of its own, too, without a link: many jobs share it.

Spans and metrics hold no ids of users, no queries, no bodies, no headers and no texts of errors.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit
from weakref import WeakSet

from opentelemetry import context as otel
from opentelemetry import metrics, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from reflexio_async._engine.loops import call_name
from reflexio_async._engine.metrics import instruments
from reflexio_async._engine.observer import NOT_OBSERVED, BackgroundObserver, Observer
from reflexio_async._engine.spans import BackgroundSpan, CallSpan, begin, current, fail
from reflexio_async._version import __version__

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Mapping
    from contextvars import Context

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.util.types import AttributeValue

    from reflexio_async._engine.batch.report import OutcomeState
    from reflexio_async._engine.call import Call
    from reflexio_async._engine.jobs.manager import JobManager
    from reflexio_async._engine.metrics import Instruments
    from reflexio_async._engine.observer import CountsCalls
    from reflexio_async._engine.wire import EncodedRequest, Endpoint

T = TypeVar("T")

_W3C = TraceContextTextMapPropagator()
_ROOT = otel.Context()
_STORE_ID = "gen_ai.memory.store.id"
_LOOK_AGAIN_AFTER = 1.0  # seconds between two looks for a provider
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
        tracer_provider: Makes the spans. None: the global one, at the latest one second after it is set.
        meter_provider: Makes the metrics, likewise.
    """

    is_on = True

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
        self._without_span = BackgroundSpan(trace.INVALID_SPAN, self._instruments)
        self._facts: dict[Endpoint[Any], _CallFacts] = {}
        self._has_provider = tracer_provider is not None or meter_provider is not None
        self._look_at = 0.0
        """When a provider is looked for again, in monotonic seconds."""

    def _is_idle(self) -> bool:
        """Whether nobody observes, as in most programs that have the package.

        There is no provider, and no span of a caller that must be sent on.
        """
        return not self._records() and trace.get_current_span() is trace.INVALID_SPAN

    def _records(self) -> bool:
        """Whether there is a provider.

        A look for it takes as long as a span that is not made. So one look is made for all calls of a second.
        """
        if not self._has_provider and (now := time.monotonic()) >= self._look_at:
            self._look_at = now + _LOOK_AGAIN_AFTER
            self._has_provider = _is_real(trace.get_tracer_provider()) or _is_real(
                metrics.get_meter_provider()
            )
        return self._has_provider

    # Calls

    def run(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        """Run one call. Where anybody observes: in a span of its own, and measured."""
        return call.run() if self._is_idle() else self._run(call)

    async def _run(self, call: Call[T]) -> T:
        facts = self._facts.get(call.endpoint) or self._facts_of(call)
        # Made by the provider, or by none: then it is not valid, and costs little.
        span = begin(self._tracer, facts.name, kind=trace.SpanKind.CLIENT, attributes=facts.attributes)
        token = None
        if span.get_span_context().is_valid:
            call.trace = CallSpan(self._tracer, span)
            if facts.store_at is not None:
                span.set_attribute(_STORE_ID, unquote(call.encoded.path.split("/")[facts.store_at]))
            token = otel.attach(trace.set_span_in_context(span))
        clock = call.caller.clock
        began = clock.now()
        measured = facts.measured
        try:
            return await call.run()
        except BaseException as error:
            measured = {**measured, "error.type": type(error).__name__}
            if call.trace is not None:
                fail(span, error)
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
                _STORE_ID: call.caller.http.base_url,
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
        if not self._is_idle():
            self._instruments.poll_lag.record(lag, {"reflexio.poll.source": name})

    def stamped(self, request: EncodedRequest) -> EncodedRequest:
        """``request`` with the ``traceparent`` of the running span, if there is one."""
        if self._is_idle():
            return request
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
        # The span to link to is the running one, or is named in the headers of a ``stamped`` request.
        if self._is_idle() if request is None else not (request.headers or self._records()):
            return NOT_OBSERVED
        span = self._trace(f"job {kind}", request, {"reflexio.job.kind": kind}, age)
        return self._observing(span, age)

    def background(self, name: str) -> BackgroundObserver:
        """Begin the span of a background call."""
        return self._observing(self._trace(f"background {name}"))

    def _observing(self, span: trace.Span, age: float = 0.0) -> BackgroundObserver:
        if age or span.get_span_context().is_valid:
            return BackgroundSpan(span, self._instruments, age)
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
        return begin(
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
        span = begin(self._tracer, f"batch {name}")
        with current(span):
            try:
                yield
            finally:
                span.set_attribute("reflexio.batch.size", sum(counts.values()))
                for outcome, count in counts.items():
                    span.set_attribute(f"reflexio.batch.{outcome.value}", count)

    def batch_outcome(self, name: str, outcome: OutcomeState) -> None:
        """Count one outcome."""
        if not self._records():
            return
        outcomes = {"reflexio.batch.name": name, "reflexio.outcome": outcome.value}
        self._instruments.batch_outcomes.add(1, outcomes)

    @contextmanager
    def accepting(self, call: str) -> Generator[None]:
        """The span of a call that the outbox accepts."""
        with current(begin(self._tracer, f"accept {call}", kind=trace.SpanKind.PRODUCER)):
            yield

    @contextmanager
    def delivering(self, call: str, request: EncodedRequest) -> Generator[None]:
        """The span of a delivery."""
        with current(self._trace(f"deliver {call}", request, kind=trace.SpanKind.CONSUMER)):
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


def _is_real(provider: object) -> bool:
    """Whether ``provider`` makes anything. Those of OpenTelemetry's API itself do not."""
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


def _route(endpoint: Endpoint[Any]) -> dict[str, AttributeValue]:
    return {"http.request.method": endpoint.method, "http.route": endpoint.path}
