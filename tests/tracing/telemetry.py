"""What a client exports, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.sampling import Sampler


class Telemetry:
    """The providers of one test."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)

    def spans(self, name: str = "") -> list[ReadableSpan]:
        """The spans that have ended; with ``name``, those whose names begin so."""
        return [span for span in self.exporter.get_finished_spans() if span.name.startswith(name)]

    def span(self, name: str) -> ReadableSpan:
        """The only span whose name begins so."""
        (span,) = self.spans(name)
        return span

    def below(self, span: ReadableSpan) -> list[ReadableSpan]:
        """The children of ``span``, in the order in which they began."""
        found = [other for other in self.spans() if other.parent and other.parent == span.get_span_context()]
        return sorted(found, key=lambda other: other.start_time or 0)

    def metric(self, name: str, **attributes: Any) -> list[Any]:
        """The points of one metric that have these attributes. Dots in names of attributes are ``_`` here."""
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
            if attributes.items()
            <= {key.replace(".", "_"): value for key, value in (point.attributes or {}).items()}.items()
        ]

    def total(self, name: str, **attributes: Any) -> float:
        """The sum of a counter, or how often a histogram was recorded."""
        points = self.metric(name, **attributes)
        return float(sum(point.count if hasattr(point, "count") else point.value for point in points))

    def names(self) -> set[str]:
        """The names of all metrics."""
        data = self.reader.get_metrics_data()
        return {
            metric.name
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def text(self) -> str:
        """Everything that was exported, as text."""
        data = self.reader.get_metrics_data()
        return "\n".join([*(span.to_json() for span in self.spans()), data.to_json() if data else ""])


def facts(span: ReadableSpan) -> dict[str, Any]:
    """The attributes of a span."""
    return dict(span.attributes or {})


def traceparent(span: ReadableSpan) -> str:
    """What a request sends below ``span``."""
    context = span.get_span_context()
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
