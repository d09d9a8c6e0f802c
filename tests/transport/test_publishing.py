"""A publish is stored once, or its error says that the outcome is unknown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    APITimeout,
    AsyncReflexioClient,
    InvalidRequest,
    ReflexioError,
    RequestRefused,
    RetryPolicy,
    ServerError,
)
from reflexio_async.reflexio.models.interactions import PublishUserInteractionRequest
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.transport.servers import HANG_UP, TURNS, RawReply, ReceivedRequest, raw_server, reply_with

if TYPE_CHECKING:
    from reflexio_async.reflexio.models.interactions import PublishUserInteractionResponse
    from reflexio_async.sandbox.fault_script import Action

PATH = "/api/publish_interaction"


async def publish(
    client: AsyncReflexioClient, text: str = "I like sushi", **more: Any
) -> PublishUserInteractionResponse:
    fields: dict[str, Any] = {"user_id": "u", "session_id": "s", "interactions": [{"content": text}], **more}
    return await client.publish_interaction(**fields)


async def test_a_request_id_is_made_when_none_is_given(box: Sandbox, client: AsyncReflexioClient) -> None:
    first, second = await publish(client), await publish(client)
    assert first.request_id
    assert first.request_id != second.request_id
    assert list(box.stored_requests) == [first.request_id, second.request_id]


async def test_the_callers_own_id_is_used(box: Sandbox, client: AsyncReflexioClient) -> None:
    assert (await publish(client, request_id="mine")).request_id == "mine"
    assert list(box.stored_requests) == ["mine"]


async def test_the_callers_model_is_not_changed(client: AsyncReflexioClient) -> None:
    request = PublishUserInteractionRequest(user_id="u", session_id="s", interactions=TURNS)
    await client.publish_many([request])
    assert request.request_id is None
    assert "request_id" not in request.model_fields_set


FAULTS = [
    pytest.param(faults.answer_lost(), id="response lost after the effect"),
    pytest.param(faults.cut_off(), id="response cut off after the effect"),
    pytest.param(faults.internal_error(after_effect=True), id="crash after the effect"),
    pytest.param(faults.lost_before(), id="connection lost before the effect"),
    pytest.param(faults.internal_error(), id="crash before the effect"),
    pytest.param(faults.status(504), id="timeout at the server"),
    pytest.param(faults.no_capacity(), id="no capacity"),
    pytest.param(faults.refused("database is locked"), id="database locked"),
    pytest.param(faults.rate_limited(60), id="rate limit"),
]


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("known", [False, True], ids=["first call", "later call"])
@pytest.mark.parametrize("action", FAULTS)
async def test_after_any_fault_a_publish_is_stored_once_and_reported_as_stored(
    box: Sandbox, client: AsyncReflexioClient, action: Action, times: int, *, known: bool
) -> None:
    if known:
        await publish(client, "before")
    box.faults.add(action, path=PATH, times=times)
    receipt = await publish(client)
    assert receipt.success
    texts = [turn.content for stored in box.stored_requests.values() for turn in stored.interactions]
    assert texts.count("I like sushi") == 1
    assert receipt.request_id in box.stored_requests


@pytest.mark.parametrize("action", FAULTS)
async def test_after_any_fault_a_publish_with_the_callers_own_id_is_stored_once(
    box: Sandbox, client: AsyncReflexioClient, action: Action
) -> None:
    box.faults.add(action, path=PATH)
    receipt = await publish(client, request_id="mine")
    assert (receipt.success, receipt.request_id) == (True, "mine")
    assert list(box.stored_requests) == ["mine"]


async def test_the_message_says_that_a_response_was_lost(box: Sandbox, client: AsyncReflexioClient) -> None:
    box.faults.add(faults.answer_lost(), path=PATH)
    assert "response was lost" in (await publish(client)).message


async def test_fifty_publishes_with_lost_responses_are_stored_once_each(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    box.faults.add(faults.answer_lost(), path=PATH, times=25)
    receipts = await asyncio.gather(*(publish(client, f"fact {number}") for number in range(50)))
    assert len({receipt.request_id for receipt in receipts}) == len(box.stored_requests) == 50


# --- an id that is already stored


async def test_a_new_publish_with_a_stored_id_is_refused(box: Sandbox, client: AsyncReflexioClient) -> None:
    await publish(client, request_id="mine")
    with pytest.raises(RequestRefused, match="'mine' already exists"):
        await publish(client, "something else", request_id="mine")
    assert len(box.requests) == 2


@pytest.mark.parametrize(
    "action",
    [
        pytest.param(faults.refused("database is locked"), id="database locked"),
        pytest.param(faults.no_capacity(), id="no capacity"),
        pytest.param(faults.rate_limited(60), id="rate limit"),
    ],
)
async def test_after_a_try_that_stored_nothing_a_stored_id_is_still_refused(
    box: Sandbox, client: AsyncReflexioClient, action: Action
) -> None:
    await publish(client, "first", request_id="mine")
    box.faults.add(action, path=PATH)
    with pytest.raises(RequestRefused, match="already exists"):
        await publish(client, "second", request_id="mine")


@pytest.mark.parametrize(
    "older",
    [
        {"user_id": "other"},
        {"session_id": "another"},
        {"interactions": [{"content": "a"}, {"content": "b"}]},
        {"interactions": [{"content": "something else"}]},
    ],
    ids=["user", "session", "more turns", "other text"],
)
async def test_after_a_lost_response_other_contents_under_the_callers_id_are_a_refusal(
    box: Sandbox, client: AsyncReflexioClient, older: dict[str, Any]
) -> None:
    await publish(client, **older, request_id="mine")
    box.faults.add(faults.lost_before(), path=PATH)
    with pytest.raises(RequestRefused, match="already exists"):
        await publish(client, request_id="mine")


async def test_without_raise_on_refusal_a_refusal_is_returned(client: AsyncReflexioClient) -> None:
    await publish(client, request_id="mine")
    receipt = await publish(client.with_options(raise_on_refusal=False), request_id="mine")
    assert not receipt.success


async def test_without_raise_on_refusal_a_lost_response_is_still_resolved(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    box.faults.add(faults.answer_lost(), path=PATH)
    assert (await publish(client.with_options(raise_on_refusal=False))).success


# --- when the outcome is unknown


async def test_a_server_that_stops_before_its_response_leaves_the_outcome_unknown(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    box.faults.add(faults.answer_lost(), path=PATH)
    call = asyncio.create_task(publish(client))
    await box.arrived("POST", PATH)
    await box.stop()
    with pytest.raises(APIConnectionError) as caught:
        await call
    await box.start()
    assert caught.value.outcome_unknown
    assert len(box.stored_requests) == 1


async def test_a_server_that_stops_after_an_earlier_publish_leaves_the_outcome_unknown(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    await publish(client)
    box.faults.add(faults.answer_lost(), path=PATH)
    call = asyncio.create_task(publish(client))
    await box.arrived("POST", PATH, 2)
    await box.stop()
    with pytest.raises(APIConnectionError) as caught:
        await call
    await box.start()
    assert caught.value.outcome_unknown


async def test_a_server_that_refuses_to_name_its_version_leaves_the_outcome_unknown(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    box.faults.add(faults.answer_lost(), path=PATH)
    box.faults.add(faults.status(403), path="/meta/version", times=None)
    with pytest.raises(APIConnectionError) as caught:
        await publish(client)
    assert caught.value.outcome_unknown


async def test_a_publish_to_a_frozen_server_ends_at_the_timeout(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    box.faults.add(faults.freeze(after_effect=True), path=PATH, times=None)
    with pytest.raises(APITimeout) as caught:
        await publish(client.with_options(timeout=10))
    assert clock.now() == pytest.approx(10)
    assert caught.value.outcome_unknown
    assert box.count("POST", PATH) == 1


async def test_everything_after_a_lost_response_ends_at_the_timeout(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    box.faults.add(faults.lost_before(), path=PATH)
    box.faults.add(faults.delay(6), path="/meta/version")
    box.faults.add(faults.freeze(), path=PATH, times=None)
    with pytest.raises(APIConnectionError) as caught:
        await publish(client.with_options(timeout=10))
    assert clock.now() == pytest.approx(10, abs=0.5)
    assert caught.value.outcome_unknown


async def test_the_retry_policy_limits_the_tries(box: Sandbox, client: AsyncReflexioClient) -> None:
    await publish(client)
    box.faults.add(faults.internal_error(), path=PATH, times=None)
    with pytest.raises(ServerError):
        await publish(client.with_options(retry=RetryPolicy(max_attempts=3)))
    assert box.count("POST", PATH) == 1 + 3


# --- servers of January 2026, which have no request id


def legacy(*outcomes: RawReply) -> Any:
    left = list(outcomes)

    def script(request: ReceivedRequest) -> RawReply:
        if request.target == PATH:
            return left.pop(0) if left else reply_with({"success": True, "message": "stored"})
        return reply_with({"detail": "Not Found"}, 404)

    return script


async def test_a_publish_to_a_legacy_server_works(clock: VirtualClock) -> None:
    async with (
        raw_server(legacy()) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        assert (await publish(client)).success
    assert server.counts == {f"POST {PATH}": 1}


@pytest.mark.parametrize(
    "fault",
    [HANG_UP, reply_with(b"Internal Server Error", 500, kind="text/plain", close=True)],
    ids=["lost", "500"],
)
async def test_a_publish_to_a_legacy_server_is_not_sent_twice(clock: VirtualClock, fault: RawReply) -> None:
    async with (
        raw_server(legacy(fault)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        with pytest.raises(ReflexioError) as caught:
            await publish(client)
    assert isinstance(caught.value, APIConnectionError | ServerError)
    assert caught.value.outcome_unknown
    assert server.counts[f"POST {PATH}"] == 1


async def test_a_legacy_server_is_asked_for_its_version_once(clock: VirtualClock) -> None:
    async with (
        raw_server(legacy(HANG_UP, HANG_UP)) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        for _ in range(2):
            with pytest.raises(APIConnectionError):
                await publish(client)
    assert server.counts == {f"POST {PATH}": 2, "GET /meta/version": 1}


# --- unusable arguments


@pytest.mark.parametrize(
    "fields",
    [
        {"interactions": []},
        {"interactions": [{"content": "x"}] * 1001},
        {"user_id": ""},
        {"interactions": "hi"},
    ],
    ids=["no turns", "too many turns", "no user", "text for turns"],
)
async def test_unusable_arguments_are_refused_before_any_io(
    box: Sandbox, client: AsyncReflexioClient, fields: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest):
        await publish(client, **fields)
    assert box.requests == []
