"""The response to a publish is lost: the server is asked for it, before it is sent again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    APITimeout,
    AsyncReflexioClient,
    ClientClosed,
    OutcomeState,
    RequestRefused,
    RetryPolicy,
)
from reflexio_async.sandbox import VirtualClock, faults
from reflexio_async.sandbox.http.responses import Disconnect, Response
from tests.scene import PUBLISH, Scene, scene
from tests.transport.servers import HANG_UP, RawReply, ReceivedRequest, raw_server, reply_with

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async.reflexio.models.interactions import PublishUserInteractionResponse
    from reflexio_async.sandbox.http.context import RequestContext

TURN = {"role": "user", "content": "I like tea"}
LOOK = "/api/get_requests"
VERSION = "/meta/version"
NO_WAIT = RetryPolicy(base_delay=1e-6, max_delay=1e-6)
OWN_OR_NOT = pytest.mark.parametrize("own", [None, "mine"], ids=["made by the client", "the caller's own"])


class StoredLater:
    """Close the connection at once, and store the publish after some seconds."""

    def __init__(self, clock: VirtualClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:  # noqa: ARG002
        async def store() -> None:
            await self._clock.sleep(self._seconds)
            await serve()

        self.task = asyncio.create_task(store())
        return Response("", disconnect=Disconnect.BEFORE_HEADERS)


async def publish(play: Scene, request_id: str | None = None, **more: Any) -> PublishUserInteractionResponse:
    return await play.client.publish_interaction("ana", [TURN], session_id="s", request_id=request_id, **more)


def sent(play: Scene, since: float = 0.0) -> list[tuple[str, float]]:
    """The requests of a publish, and when they arrived."""
    names = {PUBLISH: "publish", LOOK: "look", VERSION: "version"}
    found = [(names[record.path], record.at - since) for record in play.box.requests if record.path in names]
    return [(name, round(at, 3)) for name, at in found if at >= 0]


# --- what is sent, and when


@OWN_OR_NOT
async def test_what_was_stored_is_found_at_the_first_look_and_not_sent_again(own: str | None) -> None:
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.answer_lost(), path=PUBLISH)
        receipt = await publish(play, own)
        assert receipt.success
        assert "response was lost" in receipt.message
        assert receipt.request_id in play.box.stored_requests
        assert sent(play)[1:] == [("publish", 0.0), ("look", 0.0)]


@OWN_OR_NOT
async def test_what_was_not_stored_is_looked_for_three_times_and_sent_again(own: str | None) -> None:
    async with scene(client={"retry": NO_WAIT}) as play:
        await publish(play)
        play.box.faults.add(faults.lost_before(), path=PUBLISH)
        assert (await publish(play, own)).message == "Interaction published successfully"
        expected = [("publish", 0.0), ("look", 0.0), ("look", 0.2), ("look", 1.0), ("publish", 1.0)]
        assert sent(play)[1:] == expected
        assert len(play.box.stored_requests) == 2
        bodies = [record.body for record in play.box.requests if record.path == PUBLISH][1:]
        assert bodies[0] == bodies[1]


@pytest.mark.parametrize(("stored_at", "looks"), [(0.1, 2), (0.5, 3)])
async def test_what_is_stored_a_little_later_is_found_by_a_later_look(stored_at: float, looks: int) -> None:
    async with scene() as play:
        await publish(play)
        play.box.faults.add(StoredLater(play.clock, stored_at), path=PUBLISH)
        assert (await publish(play)).success
        assert play.box.count("POST", LOOK) == looks
        assert play.box.count("POST", PUBLISH) == 2
        assert len(play.box.stored_requests) == 2


async def test_what_is_stored_after_the_last_look_is_refused_as_stored() -> None:
    async with scene(client={"retry": RetryPolicy(base_delay=10.0)}) as play:
        await publish(play)
        play.box.faults.add(StoredLater(play.clock, 1.001), path=PUBLISH)
        play.box.faults.add(faults.delay(1.0), path=PUBLISH)
        assert (await publish(play)).success
        assert play.box.count("POST", PUBLISH) == 3
        assert len(play.box.stored_requests) == 2


async def test_the_first_publish_of_a_client_asks_for_the_version_before_it_looks() -> None:
    async with scene() as play:
        play.box.faults.add(faults.answer_lost(), path=PUBLISH)
        assert (await publish(play)).success
        assert sent(play) == [("publish", 0.0), ("version", 0.0), ("look", 0.0)]


async def test_an_ordinary_publish_is_one_request() -> None:
    async with scene() as play:
        await publish(play)
        assert len(play.box.requests) == 1


async def test_a_lost_response_is_resolved_even_when_no_other_try_is_allowed() -> None:
    async with scene(client={"retry": RetryPolicy(max_attempts=1)}) as play:
        play.box.faults.add(faults.answer_lost(), path=PUBLISH)
        assert (await publish(play)).success
        play.box.faults.add(faults.lost_before(), path=PUBLISH)
        with pytest.raises(APIConnectionError) as caught:
            await publish(play)
        assert caught.value.outcome_unknown
        assert len(play.box.stored_requests) == 1


async def test_the_last_try_is_looked_for_too() -> None:
    async with scene(client={"retry": RetryPolicy(max_attempts=2)}) as play:
        play.box.faults.add(faults.internal_error(), path=PUBLISH)
        play.box.faults.add(faults.internal_error(after_effect=True), path=PUBLISH)
        assert (await publish(play)).success
        assert play.box.count("POST", PUBLISH) == 2


async def test_a_publish_that_was_surely_not_stored_is_not_looked_for() -> None:
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.no_capacity(), path=PUBLISH)
        assert (await publish(play)).success
        assert play.box.count("POST", LOOK) == 0


# --- the server is away, or does not say


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])
async def test_a_server_that_restarts_is_asked_when_it_is_back(stored: bool) -> None:  # noqa: FBT001
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.restart(after_effect=stored), path=PUBLISH)
        receipt = await publish(play)
        assert receipt.success
        assert len(play.box.stored_requests) == 2
        assert play.box.count("POST", PUBLISH) == (2 if stored else 3)


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])
async def test_a_server_that_is_away_for_half_a_minute_is_asked_when_it_is_back(stored: bool) -> None:  # noqa: FBT001
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.answer_lost() if stored else faults.lost_before(), path=PUBLISH)
        play.box.faults.add(faults.html(502), path=LOOK, times=None)
        play.clock.call_at(30.0, play.box.faults.clear)
        assert (await publish(play)).success
        assert 30.0 < play.clock.now() < 45.0
        assert play.box.count("POST", PUBLISH) == (2 if stored else 3)
        assert len(play.box.stored_requests) == 2


async def test_a_server_that_stays_away_leaves_the_outcome_unknown_after_the_outage_timeout() -> None:
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.answer_lost(), path=PUBLISH)
        play.box.faults.add(faults.html(502), path=LOOK, times=None)
        with pytest.raises(APIConnectionError) as caught:
            await publish(play)
        assert caught.value.outcome_unknown
        assert 60.0 < play.clock.now() < 90.0
        assert play.box.count("POST", PUBLISH) == 2


@pytest.mark.parametrize(
    "action", [faults.status(403), faults.internal_error(), faults.status(200, {"success": True})]
)
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])
async def test_where_looking_is_refused_a_publish_is_sent_again_and_stored_once(
    action: Any,
    stored: bool,  # noqa: FBT001
) -> None:
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.answer_lost() if stored else faults.lost_before(), path=PUBLISH)
        play.box.faults.add(action, path=LOOK, times=None)
        assert (await publish(play)).success
        assert len(play.box.stored_requests) == 2


async def test_a_look_that_is_refused_is_no_answer_without_raise_on_refusal_either() -> None:
    async with scene(client={"raise_on_refusal": False}) as play:
        play.box.faults.add(faults.answer_lost(), path=PUBLISH)
        play.box.faults.add(faults.refused("broken", field_name="msg"), path=LOOK, times=None)
        assert (await publish(play)).success
        assert len(play.box.stored_requests) == 1


async def test_a_look_that_fails_once_is_repeated() -> None:
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.answer_lost(), path=PUBLISH)
        play.box.faults.add(faults.internal_error(), path=LOOK)
        assert (await publish(play)).success
        assert play.box.count("POST", PUBLISH) == 2


async def test_looking_ends_at_the_deadline_of_the_call() -> None:
    async with scene(client={"timeout": 5.0}) as play:
        await publish(play)
        play.box.faults.add(faults.answer_lost(), path=PUBLISH)
        play.box.faults.add(faults.freeze(), path=LOOK, times=None)
        with pytest.raises(APIConnectionError) as caught:
            await publish(play)
        assert caught.value.outcome_unknown
        assert play.clock.now() == pytest.approx(5.0, abs=0.1)
        assert play.box.count("POST", PUBLISH) == 2


async def test_a_publish_that_has_used_up_its_time_is_not_looked_for() -> None:
    async with scene(client={"timeout": 5.0}) as play:
        await publish(play)
        play.box.faults.add(faults.freeze(), path=PUBLISH)
        with pytest.raises(APITimeout):
            await publish(play)
        await play.clock.sleep(1.0)
        assert play.box.count("POST", LOOK) == 0


async def test_without_time_for_the_last_look_nothing_is_sent_again() -> None:
    async with scene(client={"timeout": 0.5, "retry": NO_WAIT}) as play:
        await publish(play)
        play.box.faults.add(faults.lost_before(), path=PUBLISH)
        with pytest.raises(APIConnectionError) as caught:
            await publish(play)
        assert caught.value.outcome_unknown
        assert play.clock.now() <= 0.5
        assert [name for name, _ in sent(play)[1:]] == ["publish", "look", "look"]


# --- an id of the caller's own


async def test_other_contents_under_the_callers_id_are_a_refusal() -> None:
    async with scene() as play:
        await play.client.publish_interaction("ana", [{"content": "other"}], session_id="s", request_id="r")
        play.box.faults.add(faults.lost_before(), path=PUBLISH)
        with pytest.raises(RequestRefused, match="already exists"):
            await publish(play, "r")
        assert len(play.box.stored_requests) == 1


# --- a server that does not insert once


def forgetful(lost: RawReply, *, found_after: int) -> tuple[Callable[[ReceivedRequest], RawReply], list[str]]:
    """A server that stores every publish. It sends ``lost`` first, and finds it after some looks."""
    stored: list[str] = []
    looks = 0

    def script(request: ReceivedRequest) -> RawReply:
        nonlocal looks
        if request.target == PUBLISH:
            stored.append(request.json["request_id"])
            body = {"success": True, "request_id": stored[-1]}
            return lost if len(stored) == 1 else reply_with(body)
        if request.target == LOOK:
            looks += 1
            views = [_view(each) for each in stored] if looks > found_after else []
            return reply_with({"success": True, "sessions": views})
        return reply_with({"server_version": "1"})

    return script, stored


def _view(request_id: str) -> dict[str, Any]:
    request = {"request_id": request_id, "user_id": "ana", "session_id": "s"}
    return {"session_id": "s", "requests": [{"request": request, "interactions": []}]}


@pytest.mark.parametrize("found_after", [0, 1, 2])
async def test_a_server_that_does_not_insert_once_stores_it_once_if_a_look_finds_it(
    clock: VirtualClock, found_after: int
) -> None:
    script, stored = forgetful(HANG_UP, found_after=found_after)
    async with (
        raw_server(script) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        receipt = await client.publish_interaction("ana", [TURN], session_id="s")
        assert [receipt.request_id] == stored


# --- cancellation and closing while the server is asked


@pytest.mark.parametrize("moment", [0.05, 0.5, 1.5], ids=["first look", "between", "last look"])
async def test_a_publish_that_is_cancelled_while_it_is_looked_for_is_not_sent_again(moment: float) -> None:
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.lost_before(), path=PUBLISH)
        play.box.faults.add(faults.delay(0.1), path=LOOK)
        play.box.faults.add(faults.delay(1.0), path=LOOK, after=1)
        task = asyncio.create_task(publish(play))
        await play.clock.sleep(moment)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await play.clock.sleep(60.0)
        assert play.box.count("POST", PUBLISH) == 2
        assert play.client._engine.loops.under_way().complete
        assert (await publish(play)).success


@pytest.mark.parametrize("moment", [0.05, 0.15], ids=["first look", "between"])
async def test_a_client_that_is_closed_while_it_looks_says_that_the_outcome_is_unknown(moment: float) -> None:
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.lost_before(), path=PUBLISH)
        play.box.faults.add(faults.delay(0.1), path=LOOK)
        task = asyncio.create_task(publish(play))
        await play.clock.sleep(moment)
        await play.client.aclose(drain=False)
        with pytest.raises(ClientClosed, match=f"POST {PUBLISH}") as caught:
            await task
        assert caught.value.outcome_unknown
        assert "nothing was sent" not in str(caught.value)


async def test_a_client_that_is_left_finishes_the_looking() -> None:
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.lost_before(), path=PUBLISH)
        task = asyncio.create_task(publish(play))
        await play.clock.sleep(0.1)
        assert (await play.client.aclose()).complete
        assert (await task).success
        assert len(play.box.stored_requests) == 2


# --- batches


async def test_a_batch_whose_responses_are_lost_stores_each_once() -> None:
    async with scene() as play:
        play.box.faults.add(faults.answer_lost(), path=PUBLISH, times=10)
        play.box.faults.add(faults.lost_before(), path=PUBLISH, times=10)
        items = [{"user_id": f"u{n}", "session_id": "s", "interactions": [TURN]} for n in range(40)]
        report = await play.client.publish_many(items)
        assert report.counts() == {"completed": 40}
        assert len(play.box.stored_requests) == 40


@pytest.mark.parametrize("own", [True, False], ids=["own id", "made"])
async def test_an_item_that_was_lost_is_asked_for_before_it_is_sent_again(own: bool) -> None:  # noqa: FBT001
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.answer_lost(), path=PUBLISH)
        play.box.faults.add(faults.html(502), path=LOOK, times=None)
        item = {"user_id": "u", "session_id": "s", "interactions": [TURN]}
        report = await play.client.publish_many(
            [{**item, **({"request_id": "r"} if own else {})}], outage_timeout=9
        )
        assert report.counts() == {"lost": 1}
        play.box.faults.clear()
        assert (await report.retry_failed("lost")).ok
        assert play.box.count("POST", PUBLISH) == 2
        assert len(play.box.stored_requests) == 2


async def test_an_item_that_was_never_sent_is_not_asked_for() -> None:
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.status(302, headers={"Location": "/sorry"}), path=PUBLISH, times=None)
        item = {"user_id": "u", "session_id": "s", "interactions": [TURN]}
        report = await play.client.publish_many([item], outage_timeout=9)
        assert report.counts() == {"not_started": 1}
        play.box.faults.clear()
        assert (await report.retry_failed()).ok
        assert play.box.count("POST", LOOK) == 0


async def test_a_lost_item_of_a_january_server_is_not_sent_again(clock: VirtualClock) -> None:
    def script(request: ReceivedRequest) -> RawReply:
        return HANG_UP if request.target == PUBLISH else reply_with({"detail": "Not Found"}, 404)

    item = {"user_id": "u", "session_id": "s", "interactions": [TURN]}
    async with (
        raw_server(script) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        report = await client.publish_many([item])
        again = await report.retry_failed("lost")
    assert [outcome.state for outcome in again] == [OutcomeState.LOST]
    assert "no ids" in str(again.outcomes[0].error)
    assert server.counts[f"POST {PUBLISH}"] == 1


# --- a server that answers 202


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "message": "queued", "request_id": "r"},
        {"request_id": "r", "status": "queued"},
        {},
    ],
    ids=["whole", "without success", "empty"],
)
async def test_a_202_is_reported_as_accepted_and_not_sent_again(body: dict[str, Any]) -> None:
    async with scene() as play:
        play.box.faults.add(faults.status(202, body), path=PUBLISH)
        receipt = await publish(play, "r", wait_for_response=True)
        assert (receipt.success, receipt.accepted, receipt.request_id) == (True, True, "r")
        assert play.box.count("POST", PUBLISH) == 1


async def test_a_202_of_something_in_between_is_not_taken_for_an_answer() -> None:
    async with scene() as play:
        await publish(play)
        play.box.faults.add(faults.html(202), path=PUBLISH)
        receipt = await publish(play)
        assert (receipt.success, receipt.accepted) == (True, False)
        assert len(play.box.stored_requests) == 2


async def test_what_is_stored_is_not_reported_as_only_accepted() -> None:
    async with scene() as play:
        assert not (await publish(play)).accepted
