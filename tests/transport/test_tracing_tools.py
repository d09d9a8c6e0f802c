"""OpenTelemetry, Sentry and vcrpy see each attempt of a call exactly once, alone and together."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import sentry_sdk
import vcr  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from sentry_sdk.integrations.aiohttp import AioHttpIntegration

from reflexio_async import APIConnectionError, AsyncReflexioClient, RetryPolicy, ServerError
from tests.transport.servers import HANG_UP, TURNS, WHOAMI, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from reflexio_async.sandbox import VirtualClock

UNAVAILABLE = reply_with({"detail": "busy"}, 503)
OK = reply_with(WHOAMI)
ONCE = RetryPolicy(max_attempts=1)
RECORDER: Any = vcr.VCR()


@dataclass
class Telemetry:
    """OpenTelemetry's instrumentation of aiohttp, switched on."""

    provider: TracerProvider
    exporter: InMemorySpanExporter

    def attempts(self) -> list[ReadableSpan]:
        """The spans of requests."""
        return [span for span in self.exporter.get_finished_spans() if span.kind is SpanKind.CLIENT]

    def statuses(self) -> list[Any]:
        """What each request was answered with; None: nothing."""
        names = ("http.response.status_code", "http.status_code")
        return [
            next(
                (dict(span.attributes or {})[name] for name in names if name in (span.attributes or {})), None
            )
            for span in self.attempts()
        ]


@pytest.fixture
def telemetry() -> Generator[Telemetry]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    AioHttpClientInstrumentor().instrument(tracer_provider=provider)
    try:
        yield Telemetry(provider, exporter)
    finally:
        AioHttpClientInstrumentor().uninstrument()


@dataclass
class Sentry:
    """Sentry's integration with aiohttp, switched on; what would be sent to Sentry."""

    transactions: list[Any] = field(default_factory=list[Any])

    def statuses(self) -> list[Any]:
        """What each request was answered with; None: nothing."""
        return [
            span["data"].get("http.response.status_code")
            for transaction in self.transactions
            for span in transaction["spans"]
            if span["op"] == "http.client"
        ]


@pytest.fixture
def sentry() -> Generator[Sentry]:
    kept = Sentry()

    def keep(event: Any, _hint: Any) -> None:
        kept.transactions.append(event)

    sentry_sdk.init(
        dsn="http://key@127.0.0.1:1/1",
        default_integrations=False,
        integrations=[AioHttpIntegration()],
        traces_sample_rate=1.0,
        before_send_transaction=keep,
    )
    try:
        yield kept
    finally:
        sentry_sdk.init()


# --- OpenTelemetry


async def test_opentelemetry_sees_each_attempt_once_below_the_callers_span(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    async with (
        raw_server(sequence(UNAVAILABLE, UNAVAILABLE, then=OK)) as server,
        AsyncReflexioClient("SECRET", server.url, clock=clock) as client,
    ):
        with telemetry.provider.get_tracer("test").start_as_current_span("agent") as agent:
            await client.whoami()
    assert telemetry.statuses() == [503, 503, 200]
    assert [span.parent.span_id for span in telemetry.attempts() if span.parent] == [
        agent.get_span_context().span_id
    ] * 3
    assert "SECRET" not in str([span.to_json() for span in telemetry.exporter.get_finished_spans()])


async def test_each_attempt_sends_one_traceparent_which_names_its_span(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    async with (
        raw_server(sequence(UNAVAILABLE, then=OK)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
    contexts = [span.get_span_context() for span in telemetry.attempts()]
    assert [request.headers["traceparent"].rpartition("-")[0] for request in server.arrived] == [
        f"00-{context.trace_id:032x}-{context.span_id:016x}" for context in contexts if context
    ]
    assert [request.header_names.count("traceparent") for request in server.arrived] == [1, 1]


async def test_an_attempt_on_a_connection_that_breaks_is_seen_once(telemetry: Telemetry) -> None:
    """By itself, aiohttp would send it twice within one attempt."""
    async with (
        raw_server(sequence(OK, HANG_UP, then=OK)) as server,
        AsyncReflexioClient(
            url_endpoint=server.url, retry=RetryPolicy(max_attempts=2, base_delay=0.001)
        ) as client,
    ):
        await client.whoami()
        await client.whoami()
    assert telemetry.statuses() == [200, None, 200]
    assert [span.status.status_code for span in telemetry.attempts()] == [
        StatusCode.UNSET,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    assert len(server.arrived) == 3


async def test_an_attempt_that_cannot_connect_is_seen_once(telemetry: Telemetry, clock: VirtualClock) -> None:
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:1", clock=clock) as client:
        with pytest.raises(APIConnectionError):
            await client.upgrade_profiles()
    assert telemetry.statuses() == [None] * 5


# --- Sentry


async def test_sentry_sees_each_attempt_once(sentry: Sentry, clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(UNAVAILABLE, then=OK)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with sentry_sdk.start_transaction(op="test", name="agent"):
            await client.whoami()
    assert sentry.statuses() == [503, 200]
    assert [request.header_names.count("sentry-trace") for request in server.arrived] == [1, 1]


# --- vcrpy


def recorded(cassette: Any) -> list[tuple[str, int]]:
    """Path and status of each exchange."""
    return [
        (request.path, response["status"]["code"])
        for request, response in zip(cassette.requests, cassette.responses, strict=True)
    ]


async def record_and_play(path: Path, call: Callable[[], Awaitable[None]]) -> Any:
    """Record what ``call`` does, then play it back. Returns the cassette of the playback."""
    with RECORDER.use_cassette(str(path)):
        await call()
    with RECORDER.use_cassette(str(path), record_mode="none") as cassette:
        await call()
    return cassette


async def test_vcr_records_each_attempt_once_and_plays_it_back(tmp_path: Path, clock: VirtualClock) -> None:
    async with raw_server(sequence(UNAVAILABLE, then=OK)) as server:

        async def call() -> None:
            async with AsyncReflexioClient("t", server.url, clock=clock) as client:
                assert (await client.whoami()).org_id == "org"
                assert (await client.whoami()).org_id == "org"

        cassette = await record_and_play(tmp_path / "calls.yaml", call)
        assert recorded(cassette) == [("/api/whoami", 503), ("/api/whoami", 200), ("/api/whoami", 200)]
        assert cassette.play_count == len(server.arrived) == 3


async def test_vcr_plays_a_503_back_as_the_error_that_it_was(tmp_path: Path, clock: VirtualClock) -> None:
    async with raw_server(sequence(then=UNAVAILABLE)) as server:

        async def call() -> None:
            async with AsyncReflexioClient(url_endpoint=server.url, clock=clock, retry=ONCE) as client:
                with pytest.raises(ServerError, match="busy"):
                    await client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)

        cassette = await record_and_play(tmp_path / "calls.yaml", call)
        assert cassette.play_count == len(server.arrived) == 1


async def test_vcr_records_a_large_request_and_sends_it_whole(tmp_path: Path, clock: VirtualClock) -> None:
    turns = [{"role": "user", "content": "x" * 1_000_000}] * 2
    async with raw_server(sequence(then=reply_with({"success": True}))) as server:

        async def call() -> None:
            async with AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client:
                await client.publish_interaction(user_id="u", session_id="s", interactions=turns)

        cassette = await record_and_play(tmp_path / "calls.yaml", call)
        assert cassette.play_count == len(server.arrived) == 1
        assert cassette.requests[0].body.read() == server.arrived[0].body


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("is_packed", [False, True])
async def test_vcr_plays_back_what_was_packed_or_sent_in_chunks(
    tmp_path: Path, clock: VirtualClock, *, chunked: bool, is_packed: bool
) -> None:
    content = json.dumps(WHOAMI | {"message": "x" * 100_000}).encode()
    headers = {"Content-Encoding": "gzip"} if is_packed else {}
    reply = reply_with(gzip.compress(content) if is_packed else content, headers=headers, chunked=chunked)
    async with raw_server(sequence(then=reply)) as server:

        async def call() -> None:
            async with AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client:
                assert len((await client.whoami()).message) == 100_000

        cassette = await record_and_play(tmp_path / "calls.yaml", call)
        assert cassette.play_count == len(server.arrived) == 1


# --- together


async def test_together_each_sees_each_attempt_once(
    telemetry: Telemetry, sentry: Sentry, tmp_path: Path, clock: VirtualClock
) -> None:
    async with raw_server(sequence(UNAVAILABLE, then=OK)) as server:
        with RECORDER.use_cassette(str(tmp_path / "calls.yaml")) as cassette:
            async with AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client:
                with sentry_sdk.start_transaction(op="test", name="agent"):
                    await client.whoami()
                    await client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
    assert telemetry.statuses() == [503, 200, 200]
    assert sentry.statuses() == [503, 200, 200]
    assert [status for _, status in recorded(cassette)] == [503, 200, 200]
    assert len(server.arrived) == 3
    for request in server.arrived:
        assert request.header_names.count("traceparent") == request.header_names.count("sentry-trace") == 1
