"""The outbox: what it has accepted is delivered, in the order of its session, or set aside with a reason."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    AsyncReflexioClient,
    ClientClosed,
    InvalidRequest,
    RequestRefused,
    ServerError,
    StoreError,
    UnprocessableRequest,
)
from reflexio_async.durable.outbox_rows import OutboxRows
from reflexio_async.sandbox import VirtualClock, faults
from tests.reflect.scene import MESSAGES, TRACES
from tests.reflect.scene import scene as reflect_scene
from tests.scene import PUBLISH, Scene, scene
from tests.transport.servers import HANG_UP, RawReply, ReceivedRequest, raw_server, reply_with

if TYPE_CHECKING:
    from pathlib import Path

    from reflexio_async import OutboxCall
    from reflexio_async.testing import Action


LOOK = "/api/get_requests"


def turn(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


async def accept(play: Scene, count: int, *, sessions: int = 1) -> list[OutboxCall[Any]]:
    return [
        await play.client.publish_later("u1", [turn(f"I like {n}")], session_id=f"s{n % sessions}")
        for n in range(count)
    ]


def stored_texts(play: Scene) -> list[str]:
    return [stored.interactions[0].content for stored in play.box.stored_requests.values()]


async def test_it_returns_before_anything_is_sent() -> None:
    async with scene() as play:
        call = (await accept(play, 1))[0]
        assert play.box.count("POST", PUBLISH) == 0
        assert not call.done()


async def test_awaiting_the_call_returns_the_response() -> None:
    async with scene() as play:
        call = (await accept(play, 1))[0]
        response = await call
        assert response.success
        assert list(play.box.stored_requests) == [call.request_id]


async def test_publishes_of_one_session_are_stored_in_their_order() -> None:
    async with scene() as play:
        await asyncio.gather(*(await accept(play, 20)))
        assert stored_texts(play) == [f"I like {n}" for n in range(20)]


async def test_a_publish_that_takes_long_is_not_overtaken_by_the_next_of_its_session() -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(30), method="POST", path=PUBLISH, times=1)
        await asyncio.gather(*(await accept(play, 5)))
        assert stored_texts(play) == [f"I like {n}" for n in range(5)]


async def test_a_session_that_is_refused_for_a_while_does_not_delay_the_others() -> None:
    async with scene() as play:
        play.box.faults.add(faults.internal_error(), method="POST", path=PUBLISH, times=4)
        calls = await accept(play, 8, sessions=4)
        await asyncio.gather(*calls)
        assert len(play.box.stored_requests) == 8


@pytest.mark.parametrize("action", [faults.answer_lost(), faults.lost_before(), faults.internal_error()])
async def test_a_lost_answer_stores_nothing_twice(action: Action) -> None:
    async with scene() as play:
        play.box.faults.add(action, method="POST", path=PUBLISH, times=3)
        await asyncio.gather(*(await accept(play, 10)))
        assert sorted(stored_texts(play)) == sorted(f"I like {n}" for n in range(10))


async def test_a_publish_that_was_never_sent_is_not_looked_for() -> None:
    async with scene() as play:
        await asyncio.gather(*(await accept(play, 5)))
        assert play.box.count("POST", LOOK) == 0
        assert len(play.box.requests) == 5


async def test_a_publish_that_may_be_stored_is_looked_for_before_it_is_sent_again() -> None:
    async with scene() as play:
        await play.client.whoami()
        play.box.faults.add(faults.answer_lost(), path=PUBLISH)
        play.box.faults.add(faults.html(502), path=LOOK, times=None)
        call = (await accept(play, 1))[0]
        play.clock.call_at(play.clock.now() + 200.0, play.box.faults.clear)
        assert (await call).success
        assert play.clock.now() > 200.0
        assert play.box.count("POST", PUBLISH) == 1


async def test_a_publish_that_was_set_aside_and_is_stored_is_recognised_when_it_is_tried_again() -> None:
    async with scene() as play:
        play.box.faults.add(faults.internal_error(after_effect=True), path=PUBLISH, times=None)
        play.box.faults.add(faults.status(403), path=LOOK, times=None)
        call = (await accept(play, 1))[0]
        with pytest.raises(ServerError):
            await call
        play.box.faults.clear()
        assert await play.client.outbox.retry_refused() == 1
        await play.client.outbox.drained()
        assert not await play.client.outbox.refused()
        assert list(play.box.stored_requests) == [call.request_id]


async def test_at_a_january_server_a_publish_that_may_be_stored_is_set_aside() -> None:
    def script(request: ReceivedRequest) -> RawReply:
        if request.target != PUBLISH:
            return reply_with({"detail": "Not Found"}, 404)
        return HANG_UP if len(server.arrived) == 2 else reply_with({"success": True, "message": "stored"})

    async with (
        raw_server(script) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=VirtualClock()) as client,
    ):
        first, lost, last = [
            await client.publish_later("u", [turn(f"I like {n}")], session_id="s") for n in range(3)
        ]
        assert (await first).success
        with pytest.raises(StoreError, match="cannot be asked for it"):
            await lost
        assert (await last).success
    assert server.counts[f"POST {PUBLISH}"] == 3


async def test_it_outlasts_an_outage_of_two_hours() -> None:
    async with scene() as play:
        play.box.faults.add(faults.lost_before(), times=None)
        calls = await accept(play, 5)
        await play.clock.sleep(7200)
        assert not any(call.done() for call in calls)
        play.box.faults.clear()
        await asyncio.gather(*calls)
        assert len(play.box.stored_requests) == 5


async def test_a_refused_publish_is_set_aside_and_the_next_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async with scene() as play:
        play.box.faults.add(faults.status(422), method="POST", path=PUBLISH, times=1)
        first, second = await accept(play, 2)
        await second
        with pytest.raises(UnprocessableRequest):
            await first
        (row,) = await play.client.outbox.refused()
        assert (row.id, row.session) == (first.request_id, "s0")
        assert "422" in (row.reason or "")
    assert [record.levelname for record in caplog.records if first.request_id in record.message] == ["ERROR"]


@pytest.mark.parametrize("limit", [0, -1, "5"])
async def test_a_limit_of_refused_calls_is_a_whole_number(limit: Any) -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match="limit"):
            await play.client.outbox.refused(limit)


async def test_what_was_set_aside_can_be_tried_again() -> None:
    async with scene() as play:
        play.box.faults.add(faults.status(422), method="POST", path=PUBLISH, times=1)
        call = (await accept(play, 1))[0]
        with pytest.raises(UnprocessableRequest):
            await call
        assert await play.client.outbox.retry_refused() == 1
        await play.client.outbox.drained()
        assert list(play.box.stored_requests) == [call.request_id]


async def test_an_id_of_the_caller_that_another_publish_has_is_set_aside() -> None:
    async with scene() as play:
        await play.client.publish_interaction("u1", [turn("first")], session_id="s", request_id="r1")
        call = await play.client.publish_later("u2", [turn("other")], session_id="s", request_id="r1")
        with pytest.raises(RequestRefused, match="already exists"):
            await call
        assert stored_texts(play) == ["first"]


async def test_bad_input_is_refused_before_it_is_accepted() -> None:
    async with scene() as play:
        with pytest.raises(InvalidRequest, match="session_id"):
            await play.client.publish_later("u1", [turn("tea")])
        with pytest.raises(InvalidRequest, match="interactions"):
            await play.client.publish_later("u1", [], session_id="s")
        assert (await play.client.outbox.stats()).waiting == 0


async def test_a_turn_gets_the_time_at_which_it_was_accepted() -> None:
    async with scene() as play:
        play.box.faults.add(faults.lost_before(), times=None)
        accepted_at = int(play.clock.time())
        call = (await accept(play, 1))[0]
        await play.clock.sleep(600)
        play.box.faults.clear()
        await call
        (stored,) = play.box.stored_requests.values()
        assert stored.interactions[0].created_at == accepted_at


async def test_stats_say_how_much_waits_and_since_when() -> None:
    async with scene() as play:
        play.box.faults.add(faults.lost_before(), times=None)
        await accept(play, 3)
        await play.clock.sleep(50)
        stats = await play.client.outbox.stats()
        assert (stats.waiting, stats.set_aside) == (3, 0)
        assert stats.bytes > 100
        assert stats.oldest == pytest.approx(50, abs=1)
        play.box.faults.clear()


async def test_closing_delivers_what_waits() -> None:
    async with scene() as play:
        await accept(play, 10)
        summary = await play.client.aclose()
        assert summary.complete
        assert len(play.box.stored_requests) == 10


async def test_closing_delivers_what_waits_in_a_store(tmp_path: Path) -> None:
    async with scene(client={"store": str(tmp_path / "r.db")}) as play:
        await accept(play, 10)
        assert (await play.client.aclose()).complete
        assert len(play.box.stored_requests) == 10


async def test_waiting_for_the_outbox_does_not_end_its_work(tmp_path: Path) -> None:
    async with reflect_scene(client={"store": str(tmp_path / "r.db")}) as play:
        for task in ("one", "two"):
            await play.client.create_trace_later(task=task, trajectory=MESSAGES)
            await play.client.outbox.drained()
        assert play.box.count("POST", TRACES) == 2


async def test_closing_without_a_store_names_what_is_lost() -> None:
    async with scene(client={"drain_timeout": 5.0}) as play:
        play.box.faults.add(faults.lost_before(), times=None)
        call = (await accept(play, 1))[0]
        summary = await play.client.aclose()
        assert summary.unsent_starts == (f"publish_interaction {call.request_id}",)
        with pytest.raises(ClientClosed, match="not delivered"):
            await call


async def test_a_full_outbox_makes_its_callers_wait() -> None:
    async with scene() as play:
        play.box.faults.add(faults.lost_before(), times=None)
        play.client.outbox.max_rows = 2
        await accept(play, 2)
        third = asyncio.create_task(accept(play, 1))
        await play.clock.sleep(30)
        assert not third.done()
        play.box.faults.clear()
        await (await third)[0]
        assert len(play.box.stored_requests) == 3


async def test_callers_that_publish_at_once_do_not_overfill_the_outbox() -> None:
    async with scene() as play:
        play.box.faults.add(faults.lost_before(), times=None)
        play.client.outbox.max_rows = 2
        callers = [asyncio.create_task(accept(play, 1)) for _ in range(6)]
        await play.clock.sleep(30)
        assert (await play.client.outbox.stats()).waiting == 2
        play.box.faults.clear()
        await asyncio.gather(*callers)


async def test_a_publish_that_could_not_be_written_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_calls: OutboxRows, _rows: object) -> None:
        message = "the disk is full"
        raise StoreError(message)

    async with scene() as play:
        play.box.faults.add(faults.lost_before(), times=None)
        play.client.outbox.max_rows = 2
        await accept(play, 1)
        with monkeypatch.context() as patched:
            patched.setattr(OutboxRows, "accept", fail)
            with pytest.raises(StoreError, match="the disk is full"):
                await accept(play, 1)
        async with asyncio.timeout(30):
            await accept(play, 1)
        play.box.faults.clear()


async def test_cancelling_a_wait_does_not_cancel_the_publish() -> None:
    async with scene() as play:
        play.box.faults.add(faults.lost_before(), times=None)
        call = (await accept(play, 1))[0]
        waiter = asyncio.ensure_future(call.result())
        await play.clock.sleep(1)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        play.box.faults.clear()
        assert (await call).success


async def test_a_dropped_call_is_delivered(caplog: pytest.LogCaptureFixture) -> None:
    async with scene() as play:
        await accept(play, 5)
        await play.client.outbox.drained()
        assert len(play.box.stored_requests) == 5
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_the_rows_of_a_store_are_delivered_by_the_next_client(tmp_path: Path) -> None:
    options: dict[str, Any] = {"store": str(tmp_path / "r.db"), "drain_timeout": 0.1}
    async with scene(client=options) as play:
        play.box.faults.add(faults.lost_before(), times=None)
        calls = await accept(play, 3)
        summary = await play.client.aclose()
        assert summary.complete  # nothing is lost
        with pytest.raises(ClientClosed, match="stays in the store"):
            await calls[0]
        play.box.faults.clear()
        async with AsyncReflexioClient(url_endpoint=play.box.url, clock=play.clock, **options) as other:
            await other.outbox.drained()
        assert sorted(play.box.stored_requests) == sorted(call.request_id for call in calls)


async def test_a_call_that_another_client_has_delivered_ends(tmp_path: Path) -> None:
    options: dict[str, Any] = {"store": str(tmp_path / "r.db")}
    async with (
        scene(client=options) as play,
        AsyncReflexioClient(url_endpoint=play.box.url, clock=play.clock, **options) as other,
    ):
        first = await play.client.publish_later("u1", [turn("one")], session_id="s")
        second = await other.publish_later("u1", [turn("two")], session_id="s")
        assert (await first).success
        assert (await second).success
        assert len(play.box.stored_requests) == 2


async def test_a_trace_is_delivered_in_the_background() -> None:
    async with reflect_scene() as play:
        call = await play.client.create_trace_later(task="book a table", trajectory=MESSAGES)
        assert play.box.count("POST", TRACES) == 0
        submitted = await call
        assert (await play.client.wait_for_trace(submitted.id)).task == "book a table"


async def test_a_trace_outlasts_an_outage() -> None:
    async with reflect_scene() as play:
        await play.box.stop()
        call = await play.client.create_trace_later(task="book a table", trajectory=MESSAGES)
        await play.clock.sleep(600)
        assert not call.done()
        await play.box.start()
        assert (await call).id


async def test_a_trace_that_may_have_arrived_is_set_aside() -> None:
    async with reflect_scene() as play:
        play.box.faults.add(faults.answer_lost(), method="POST", path=TRACES, times=1)
        call = await play.client.create_trace_later(task="book a table", trajectory=MESSAGES)
        with pytest.raises(APIConnectionError):
            await call
        (row,) = await play.client.outbox.refused()
        assert (row.reason or "").startswith("it may have arrived")
        assert play.box.count("POST", TRACES) == 1


async def test_a_file_that_cannot_be_used_is_an_error_at_the_beginning(tmp_path: Path) -> None:
    client = AsyncReflexioClient(url_endpoint="http://127.0.0.1:9", store=str(tmp_path / "none" / "r.db"))
    with pytest.raises(StoreError, match="no folder"):
        await client.__aenter__()
    await client.aclose()
