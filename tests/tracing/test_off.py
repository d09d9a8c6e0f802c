"""When nothing is traced: the option, no package, no provider. And when the provider is set late."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from opentelemetry import trace

from reflexio_async import AsyncReflexioClient
from reflexio_async._engine.observer import Observer
from tests.scene import scene
from tests.transport.servers import WHOAMI, raw_server, reply_with, sequence

if TYPE_CHECKING:
    import pytest

    from reflexio_async.sandbox import VirtualClock
    from tests.tracing.telemetry import Telemetry

OK = reply_with(WHOAMI)


async def test_the_option_switches_spans_metrics_and_propagation_off(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    async with (
        raw_server(sequence(then=OK)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock, tracing=False) as client,
    ):
        assert type(client._engine.caller.observer) is Observer
        with telemetry.tracers.get_tracer("test").start_as_current_span("work"):
            await client.whoami()
    assert [span.name for span in telemetry.spans()] == ["work"]
    assert "traceparent" not in server.arrived[0].headers
    assert not telemetry.names()


async def test_without_a_provider_nothing_is_made_or_sent(clock: VirtualClock) -> None:
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    async with (
        raw_server(sequence(then=OK)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
    assert "traceparent" not in server.arrived[0].headers


async def test_two_clients_share_the_metrics(telemetry: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        async with scene() as play:
            await play.client.whoami()
    assert telemetry.total("reflexio.call.duration") == 2
    assert not caplog.records


def printed(program: str) -> str:
    """What a new interpreter prints."""
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


CALL = """
import asyncio
from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox

async def call(client=None):
    async with Sandbox() as box:
        async with client or AsyncReflexioClient(url_endpoint=box.url) as client:
            print((await client.whoami()).success)
"""


def test_without_the_package_calls_work_as_before() -> None:
    program = f"import sys; sys.modules['opentelemetry'] = None\n{CALL}\nasyncio.run(call())"
    assert printed(program) == "True"


def test_a_provider_that_is_set_after_the_client_was_made_is_used() -> None:
    program = f"""{CALL}
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

async def main():
    async with Sandbox() as box:
        client = AsyncReflexioClient(url_endpoint=box.url)
        exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        metrics.set_meter_provider(MeterProvider([reader]))
        async with client, AsyncReflexioClient(url_endpoint=box.url) as other:
            await client.whoami()
            await other.whoami()
    print([span.name for span in exporter.get_finished_spans()])
    data = reader.get_metrics_data()
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    print(metric.name, sum(point.count for point in metric.data.data_points))

asyncio.run(main())
"""
    spans = "['GET', 'whoami', 'GET', 'whoami']"
    assert printed(program) == f"{spans}\nreflexio.call.duration 2"
