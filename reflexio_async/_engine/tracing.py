"""OpenTelemetry spans, one per HTTP exchange (extra ``otel``)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from reflexio_async._version import __version__

if TYPE_CHECKING:
    from opentelemetry import trace

    from reflexio_async._engine.events import RequestEvent, RequestHook


def request_spans(provider: trace.TracerProvider | None = None) -> RequestHook:
    """A hook for ``AsyncReflexioClient(on_request=…)`` that turns every exchange into a client span.

    Spans are children of what is current in the calling task. They name method, path, status, the try's
    number and the error's type; never a header, a body or a query. ``provider`` is the global one
    unless given.
    """
    from opentelemetry import trace  # noqa: PLC0415  # an optional dependency, needed here alone

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
