"""One span for each call, and one below it for each try."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode, TraceFlags

from reflexio_async import (
    APIConnectionError,
    APITimeout,
    AsyncReflexioClient,
    AuthenticationError,
    BadRequest,
    RateLimited,
    RequestRefused,
)
from reflexio_async.sandbox import VirtualClock, faults
from tests.reflect.scene import scene as reflect_scene
from tests.scene import PUBLISH, scene
from tests.tracing.telemetry import Telemetry, facts, traceparent
from tests.transport.servers import TURNS, WHOAMI, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import Callable

UNAVAILABLE = reply_with({"detail": "busy"}, 503)
OK = reply_with(WHOAMI)
SEARCH = "/api/search"
BUSY = faults.status(503, {"detail": "busy"})


# --- spans


async def test_a_call_is_one_span_with_its_tries_below_it(telemetry: Telemetry) -> None:
    async with scene() as play:
        play.box.faults.add(BUSY, path="/api/whoami", times=2)
        await play.client.whoami()
        port = int(play.box.url.rpartition(":")[2])
    call = telemetry.span("whoami")
    assert call.kind is SpanKind.CLIENT
    assert call.status.status_code is StatusCode.UNSET
    assert facts(call) == {
        "http.request.method": "GET",
        "http.route": "/api/whoami",
        "url.template": "/api/whoami",
        "server.address": "127.0.0.1",
        "server.port": port,
        "http.request.resend_count": 2,
        "http.response.status_code": 200,
    }
    busy = {"http.request.method": "GET", "http.response.status_code": 503, "error.type": "503"}
    tries = telemetry.below(call)
    assert [facts(span) for span in tries] == [
        busy,
        {**busy, "http.request.resend_count": 1},
        {"http.request.method": "GET", "http.request.resend_count": 2, "http.response.status_code": 200},
    ]
    assert [span.name for span in tries] == ["GET"] * 3
    assert [span.status.status_code for span in tries] == [
        StatusCode.ERROR,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    assert len(telemetry.spans()) == 4


async def test_the_span_of_a_call_is_below_the_current_one(telemetry: Telemetry) -> None:
    async with scene() as play:
        with telemetry.tracers.get_tracer("test").start_as_current_span("work") as work:
            await play.client.whoami()
        assert trace.get_current_span() is trace.INVALID_SPAN
    assert telemetry.span("whoami").parent == work.get_span_context()


async def test_a_search_is_a_search_of_memory(telemetry: Telemetry) -> None:
    async with scene(1) as play:
        await play.client.search(user_id="user-0", query="tea")
        url = play.box.url
    found = facts(telemetry.span("search_memory"))
    assert found["gen_ai.operation.name"] == "search_memory"
    assert found["gen_ai.provider.name"] == "reflexio"
    assert found["gen_ai.memory.store.id"] == url
    assert found["http.route"] == SEARCH


async def test_the_memory_store_of_reflect_is_the_project_and_the_route_does_not_have_it(
    telemetry: Telemetry,
) -> None:
    async with reflect_scene() as s:
        await s.client.with_project("my project").query_memories("tea")
    found = facts(telemetry.span("search_memory"))
    assert found["gen_ai.memory.store.id"] == "my project"
    assert found["gen_ai.provider.name"] == "reflect"
    assert found["http.route"].endswith("/projects/{project_id}/memory/query")


async def test_the_error_of_a_call_is_named_by_its_class(telemetry: Telemetry) -> None:
    async with scene(client={"api_key": "wrong"}, api_key="right") as play:
        with pytest.raises(AuthenticationError):
            await play.client.whoami()
    call = telemetry.span("whoami")
    assert facts(call)["error.type"] == "AuthenticationError"
    assert facts(call)["http.response.status_code"] == 401
    assert call.status.status_code is StatusCode.ERROR
    assert call.status.description is None
    assert not call.events


async def test_a_call_without_a_response_names_the_error_of_each_try(telemetry: Telemetry) -> None:
    clock = VirtualClock()
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:1", clock=clock) as client:
        with pytest.raises(APIConnectionError):
            await client.whoami()
    call = telemetry.span("whoami")
    tries = telemetry.below(call)
    assert [facts(span)["error.type"] for span in tries] == ["APIConnectionError"] * 5
    assert "http.response.status_code" not in facts(call)
    assert telemetry.total("reflexio.call.retries", error_type="APIConnectionError") == 4


async def test_a_timeout_is_a_failed_call_with_the_time_it_took(telemetry: Telemetry) -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(100.0), path="/api/whoami")
        with pytest.raises(APITimeout):
            await play.client.with_options(timeout=30).whoami()
    assert facts(telemetry.span("whoami"))["error.type"] == "APITimeout"
    (point,) = telemetry.metric("reflexio.call.duration", error_type="APITimeout")
    assert (point.count, point.sum) == (1, 30.0)


async def test_a_cancelled_call_says_so_and_has_not_failed(telemetry: Telemetry) -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(100.0), path="/api/whoami")
        with pytest.raises(TimeoutError):
            async with play.clock.timeout(5):
                await play.client.whoami()
        assert trace.get_current_span() is trace.INVALID_SPAN
    call = telemetry.span("whoami")
    assert facts(call)["error.type"] == "CancelledError"
    assert call.status.status_code is StatusCode.UNSET
    assert [facts(span)["error.type"] for span in telemetry.below(call)] == ["CancelledError"]
    (point,) = telemetry.metric("reflexio.call.duration", error_type="CancelledError")
    assert point.sum == 5.0


async def test_two_users_at_once_have_a_trace_each(telemetry: Telemetry) -> None:
    tracer = telemetry.tracers.get_tracer("test")

    async def work(user: str) -> None:
        with tracer.start_as_current_span(f"work {user}"):
            await play.client.search(user_id=user, query="tea")

    async with scene(2) as play:
        await asyncio.gather(*(work(user) for user in play.users))
    for user in play.users:
        (search,) = telemetry.below(telemetry.span(f"work {user}"))
        assert search.name == "search_memory"
        assert len(telemetry.below(search)) == 1


async def test_a_call_within_a_call_is_below_it(telemetry: Telemetry) -> None:
    """After a lost response, the server is asked whether it has the publish."""
    async with scene(1) as play:
        await play.client.whoami()
        play.box.faults.add(faults.answer_lost(), path=PUBLISH, times=1)
        await play.client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
    publish = telemetry.span("upsert_memory")
    below = [span.name for span in telemetry.below(publish)]
    assert below == ["POST", "version", "get_requests"]
    assert publish.status.status_code is StatusCode.UNSET


# --- propagation


async def test_every_try_sends_a_traceparent_of_its_own_in_the_same_trace(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    async with (
        raw_server(sequence(UNAVAILABLE, UNAVAILABLE, then=OK)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
    sent = [request.headers["traceparent"] for request in server.arrived]
    assert sent == [traceparent(span) for span in telemetry.below(telemetry.span("whoami"))]
    assert len({text.split("-")[1] for text in sent}) == 1
    assert [request.header_names.count("traceparent") for request in server.arrived] == [1, 1, 1]


async def test_an_instrumentation_of_aiohttp_adds_its_spans_below_ours_and_no_second_traceparent(
    telemetry: Telemetry, clock: VirtualClock
) -> None:
    AioHttpClientInstrumentor().instrument(tracer_provider=telemetry.tracers)
    try:
        async with (
            raw_server(sequence(UNAVAILABLE, then=OK)) as server,
            AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
        ):
            await client.whoami()
    finally:
        AioHttpClientInstrumentor().uninstrument()
    inner = [span for ours in telemetry.below(telemetry.span("whoami")) for span in telemetry.below(ours)]
    assert [request.headers["traceparent"] for request in server.arrived] == [
        traceparent(span) for span in inner
    ]
    assert [request.header_names.count("traceparent") for request in server.arrived] == [1, 1]


async def test_baggage_is_sent_too(telemetry: Telemetry, clock: VirtualClock) -> None:
    """The global propagator decides what is sent."""
    del telemetry
    async with (
        raw_server(sequence(then=OK)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        token = context.attach(baggage.set_baggage("tenant", "acme"))
        try:
            await client.whoami()
        finally:
            context.detach(token)
    assert server.arrived[0].headers["baggage"] == "tenant=acme"


async def test_a_call_that_is_not_sampled_has_no_spans_and_says_so_to_the_server(
    telemetry_of: Callable[[Any], Telemetry], clock: VirtualClock
) -> None:
    telemetry = telemetry_of(ALWAYS_OFF)
    async with (
        raw_server(sequence(then=OK)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        await client.whoami()
    assert not telemetry.spans()
    flags = server.arrived[0].headers["traceparent"].rpartition("-")[2]
    assert not int(flags, 16) & TraceFlags.SAMPLED
    assert telemetry.total("reflexio.call.duration") == 1


def broken(*_: object, **__: object) -> None:
    """A mistake of a user."""
    raise LookupError


@pytest.mark.parametrize(
    ("method", "said"),
    [("on_start", "a span could not be made"), ("on_end", "a span could not be exported")],
)
async def test_a_broken_processor_is_logged_and_stops_no_call(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture, method: str, said: str
) -> None:
    processor = SpanProcessor()
    setattr(processor, method, broken)
    async with scene(1) as play:
        telemetry.tracers.add_span_processor(processor)
        assert (await play.client.whoami()).success
        assert (await play.client.rerun_profiles_many(play.users)).ok
    assert said in caplog.messages
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_a_broken_propagator_is_logged_and_stops_no_call(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opentelemetry.propagate.inject", broken)
    async with scene() as play:
        assert (await play.client.whoami()).success
    assert "a trace could not be propagated" in caplog.messages
    assert len(telemetry.spans()) == 2


# --- metrics


async def test_the_duration_of_a_call_is_that_of_all_its_tries(telemetry: Telemetry) -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(2.0), path="/api/whoami", times=1)
        await play.client.whoami()
    (point,) = telemetry.metric("reflexio.call.duration", http_route="/api/whoami")
    assert (point.count, point.sum) == (1, 2.0)
    assert "error.type" not in point.attributes


async def test_retries_are_counted_with_their_reason(telemetry: Telemetry) -> None:
    async with scene() as play:
        play.box.faults.add(BUSY, path="/api/whoami", times=2)
        await play.client.whoami()
    (point,) = telemetry.metric("reflexio.call.retries", http_route="/api/whoami")
    assert (point.value, point.attributes["error.type"]) == (2, "ServerError")


async def test_a_wait_for_the_rate_limit_is_measured(telemetry: Telemetry) -> None:
    async with scene(1, rate_limits=True) as play:
        began = play.clock.now()
        for _ in range(31):
            await play.client.get_all_profiles()
        seconds = play.clock.now() - began
    (point,) = telemetry.metric("reflexio.limit.wait", http_route="/api/get_all_profiles")
    assert point.count == 1
    assert point.sum == pytest.approx(seconds, abs=1.0)
    assert telemetry.total("reflexio.call.refused", error_type="RateLimited") == 1


async def test_a_limit_that_is_not_waited_for_is_a_failed_call(telemetry: Telemetry) -> None:
    async with scene(1, rate_limits=True) as play:
        view = play.client.with_options(timeout=10)
        for _ in range(30):
            await view.get_all_profiles()
        with pytest.raises(RateLimited):
            await view.get_all_profiles()
    assert telemetry.total("reflexio.call.duration", error_type="RateLimited") == 1


async def test_a_refusal_is_counted_and_is_the_error_of_the_call(telemetry: Telemetry) -> None:
    async with scene() as play:
        play.box.faults.add(faults.status(200, {"success": False, "message": "no"}), path=PUBLISH)
        with pytest.raises(RequestRefused):
            await play.client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
    assert telemetry.total("reflexio.call.refused", error_type="RequestRefused") == 1
    assert facts(telemetry.span("upsert_memory"))["error.type"] == "RequestRefused"


# --- what must not be exported


async def test_no_ids_queries_contents_or_credentials_are_exported(telemetry: Telemetry) -> None:
    secrets = ("ana-7", "session-7", "request-7", "zebra", "top-secret", "profile-7")
    async with scene(1, client={"api_key": "top-secret"}, api_key="top-secret") as play:
        client = play.client
        turns = [{"role": "user", "content": "zebra"}]
        await client.publish_interaction("ana-7", turns, session_id="session-7", request_id="request-7")
        await client.search(user_id="ana-7", query="zebra")
        await client.delete_profile(user_id="ana-7", profile_id="profile-7", wait_for_response=True)
        await (await client.rerun_profile_generation(user_id="ana-7"))
        await client.rerun_profiles_many(["ana-7"])
        await (await client.publish_later("ana-7", turns, session_id="session-7"))
        play.box.faults.add(faults.status(400, {"detail": "ana-7 zebra"}), path=SEARCH)
        with pytest.raises(BadRequest, match="zebra"):
            await client.search(user_id="ana-7", query="zebra")
    exported = telemetry.text()
    assert "search_memory" in exported
    assert "reflexio.call.duration" in exported
    assert [secret for secret in secrets if secret in exported] == []


async def test_there_are_at_most_twelve_metrics(telemetry: Telemetry) -> None:
    await test_no_ids_queries_contents_or_credentials_are_exported(telemetry)
    assert {name.split(".")[0] for name in telemetry.names()} == {"reflexio"}
    assert len(telemetry.names()) <= 12
