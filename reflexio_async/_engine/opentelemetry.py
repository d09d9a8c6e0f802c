"""OpenTelemetry spans, one for each HTTP exchange. Needs the extra ``otel``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opentelemetry import trace

from reflexio_async._version import __version__

if TYPE_CHECKING:
    from reflexio_async._engine.events import RequestEvent, RequestHook


def request_spans(provider: trace.TracerProvider | None = None) -> RequestHook:
    """Return a hook for the option ``on_request`` that records every HTTP exchange as a client span.

    The parent of a span is the current span of the calling task. Spans hold the method, the path, the
    status, the number of the retry and the type of the error. They never hold headers, bodies or queries.

    Args:
        provider: The provider of the tracer. The default is the global one.
    """
    tracer = trace.get_tracer("reflexio_async", __version__, provider)

    def record(event: RequestEvent) -> None:
        end = time.time_ns()
        attributes: dict[str, str | int] = {
            "http.request.method": event.method,
            "url.path": event.path,
            "http.request.resend_count": event.attempt - 1,
        }
        failure = event.error
        if event.status is not None:
            attributes["http.response.status_code"] = event.status
            if event.status >= 400:
                failure = str(event.status)
        if failure is not None:
            attributes["error.type"] = failure
        span = tracer.start_span(
            f"{event.method} {event.path}",
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
            start_time=end - int(event.seconds * 1e9),
        )
        if failure is not None:
            span.set_status(trace.StatusCode.ERROR)
        span.end(end)

    return record
