"""``request_spans`` makes a span of every HTTP exchange, without secrets."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from reflexio_async import AuthenticationError
from reflexio_async._engine.opentelemetry import request_spans
from reflexio_async.sandbox import faults
from tests.scene import PUBLISH, scene


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


async def test_every_try_is_a_child_of_the_current_span(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    async with scene(client={"on_request": request_spans(provider)}) as play:
        play.box.faults.add(faults.status(503, {"detail": "busy"}), path="/api/whoami")
        with provider.get_tracer("test").start_as_current_span("work") as work:
            await play.client.whoami()
    spans = exporter.get_finished_spans()
    tries = [span for span in spans if span.name == "GET /api/whoami"]
    assert [(span.attributes or {})["http.response.status_code"] for span in tries] == [503, 200]
    assert [span.status.status_code for span in tries] == [StatusCode.ERROR, StatusCode.UNSET]
    assert all(span.parent == work.get_span_context() for span in tries)


async def test_no_span_holds_a_token_or_a_payload(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    options = {"on_request": request_spans(provider), "api_key": "top-secret"}
    async with scene(client=options, api_key="another") as play:
        with pytest.raises(AuthenticationError):
            await play.client.publish_interaction(
                user_id="u", session_id="s", interactions=[{"content": "private words"}]
            )
    (span,) = exporter.get_finished_spans()
    assert span.name == f"POST {PUBLISH}"
    assert "top-secret" not in span.to_json()
    assert "private words" not in span.to_json()
