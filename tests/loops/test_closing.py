"""Closing a client finishes what callers wait for, names what is left, and cuts that short by name."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    AsyncReflexioClient,
    ClientClosed,
    DrainSummary,
    OutcomeState,
)
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.hang import until
from tests.scene import PUBLISH, RERUN, Scene, scene

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from reflexio_async import BackgroundErrorEvent
    from tests.loops.conftest import Program

TURNS = [{"role": "user", "content": "I like tea"}]
WHOAMI = "/api/whoami"
SHORT = {"drain_timeout": 5.0}


def publish(client: AsyncReflexioClient, user: str = "u") -> Coroutine[Any, Any, Any]:
    return client.publish_interaction(user, TURNS, session_id="s")


async def begun(work: Coroutine[Any, Any, Any], play: Scene) -> asyncio.Task[Any]:
    """A task that has come as far as it can without time passing."""
    task = asyncio.create_task(work)
    await play.clock.sleep(0.01)
    assert not task.done()
    return task


# --- what is finished


async def test_calls_in_flight_are_finished() -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(3.0), path=PUBLISH, times=2)
        calls = [await begun(publish(play.client, user), play) for user in ("a", "b")]
        assert await play.client.aclose() == DrainSummary()
        assert [(await call).success for call in calls] == [True, True]
        assert play.box.count("POST", PUBLISH, 200) == 2


async def test_a_cached_read_is_finished() -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(3.0), path="/api/get_profiles")
        call = await begun(play.client.get_profiles(user_id="u"), play)
        assert (await play.client.aclose()).complete
        assert (await call).success


async def test_a_call_that_waits_for_its_job_is_finished() -> None:
    async with scene(1, rerun_seconds=10.0) as play:
        call = await begun(
            play.client.rerun_profile_generation(user_id=play.users[0], wait_for_response=True), play
        )
        assert (await play.client.aclose()).complete
        assert (await call).profiles_generated == 1


@pytest.mark.parametrize("stream", [False, True], ids=["awaited", "streamed"])
async def test_a_batch_is_finished(*, stream: bool) -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(3.0), path=PUBLISH, times=None)
        items = [{"user_id": f"u{n}", "session_id": "s", "interactions": TURNS} for n in range(20)]
        batch = play.client.publish_many(items, concurrency=4)

        async def read() -> int:
            if not stream:
                return len((await batch).completed)
            async with batch:
                return len([outcome async for outcome in batch])

        task = await begun(read(), play)
        assert (await play.client.aclose()).complete
        assert (await task, play.box.count("POST", PUBLISH, 200)) == (20, 20)


async def test_a_batch_that_was_left_is_not_waited_for() -> None:
    async with scene(3, rerun_seconds=1.0) as play:
        async with play.client.rerun_profiles_many(play.users):
            pass
        assert (await play.client.aclose()).batches == ()
        assert play.clock.now() < 10


async def test_closing_says_at_its_beginning_what_it_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    async with scene(2, rerun_seconds=3.0, client={"drain_timeout": 12.5}) as play:
        play.box.faults.add(faults.delay(3.0), path=PUBLISH)
        play.box.faults.add(faults.delay(3.0), path="/api/delete_profile")
        for user in play.users:
            await play.client.rerun_profile_generation(user_id=user)
        await play.client.delete_profile("u", "p")
        call = await begun(publish(play.client), play)
        with caplog.at_level(logging.INFO, "reflexio_async"):
            closing = asyncio.create_task(play.client.aclose())
            await asyncio.sleep(0)
            [message] = caplog.messages
        assert message.startswith(f"closing {play.client!r}: waiting up to 12.5 s for calls")
        for name in ("publish_interaction", "delete_profile", f"user_id={play.users[1]}"):
            assert name in message
        assert (await closing).complete
        await call


async def test_closing_twice_at_once_finishes_the_same_calls() -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(3.0), path=PUBLISH)
        call = await begun(publish(play.client), play)
        closing = [asyncio.create_task(play.client.aclose()) for _ in range(2)]
        assert await asyncio.gather(*closing) == [DrainSummary()] * 2
        assert (await call).success
        assert play.clock.now() < 4


async def test_closing_says_nothing_when_there_is_nothing_to_wait_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "reflexio_async"):
        async with scene() as play:
            await play.client.whoami()
    assert caplog.messages == []


async def test_closing_takes_twenty_seconds_at_most_by_default() -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock) as box:
        box.faults.add(faults.freeze(), path=WHOAMI)
        client = AsyncReflexioClient(url_endpoint=box.url, clock=clock)
        call = asyncio.create_task(client.whoami())
        await box.arrived("GET", WHOAMI)
        began = clock.now()
        await client.aclose()
        assert clock.now() - began == 20.0
        with pytest.raises(ClientClosed):
            await call


# --- what is cut short


async def test_a_call_that_is_cut_short_says_so_and_that_its_request_may_have_arrived() -> None:
    async with scene(client=SHORT) as play:
        play.box.faults.add(faults.freeze(), path=PUBLISH)
        call = await begun(publish(play.client), play)
        summary = await play.client.aclose()
        assert (summary, summary.complete) == (DrainSummary(calls=("publish_interaction",)), False)
        with pytest.raises(
            ClientClosed, match=rf"POST {PUBLISH}: the client was closed before .* may have reached"
        ) as cut:
            await call
        assert cut.value.outcome_unknown
        assert call.cancelling() == 0


async def waits_for_a_connection(play: Scene) -> asyncio.Task[Any]:
    play.box.faults.add(faults.freeze(), path="/api/get_config")
    first = await begun(play.client.get_config(), play)
    first.add_done_callback(lambda task: task.exception())
    return await begun(play.client.whoami(), play)


async def waits_for_the_rate_limit(play: Scene) -> asyncio.Task[Any]:
    play.box.faults.add(faults.status(429, {"error": "Rate limit exceeded: 1 per 1 minute"}), path=WHOAMI)
    return await begun(play.client.whoami(), play)


async def waits_for_the_next_try(play: Scene) -> asyncio.Task[Any]:
    play.box.faults.add(faults.status(503, {"detail": "busy"}, headers={"Retry-After": "60"}), path=WHOAMI)
    return await begun(play.client.whoami(), play)


@pytest.mark.parametrize("waits", [waits_for_a_connection, waits_for_the_rate_limit])
async def test_a_call_of_which_nothing_was_sent_says_that(
    waits: Callable[[Scene], Awaitable[asyncio.Task[Any]]],
) -> None:
    async with scene(client={**SHORT, "max_connections": 1}) as play:
        call = await waits(play)
        await play.client.aclose()
        began = play.clock.now()
        with pytest.raises(ClientClosed, match=rf"GET {WHOAMI}: the client was closed .* nothing was") as cut:
            await call
        assert not cut.value.outcome_unknown
        assert play.clock.now() == began


async def test_a_call_between_two_tries_says_what_the_first_may_have_done() -> None:
    async with scene(client=SHORT) as play:
        play.box.faults.add(faults.status(500, {"detail": "x"}, headers={"Retry-After": "60"}), path=WHOAMI)
        call = await begun(play.client.whoami(), play)
        await play.client.aclose()
        with pytest.raises(ClientClosed) as cut:
            await call
        assert cut.value.outcome_unknown
        assert "500" in str(cut.value.__cause__)


async def test_a_second_try_that_was_not_sent_does_not_hide_what_the_first_may_have_done() -> None:
    async with scene(client={**SHORT, "max_connections": 1}) as play:
        play.box.faults.add(faults.status(500, {"detail": "x"}, headers={"Retry-After": "1"}), path=WHOAMI)
        play.box.faults.add(faults.freeze(), path="/api/get_config")
        call = await begun(play.client.whoami(), play)
        other = await begun(play.client.get_config(), play)
        await play.clock.sleep(2.0)
        await play.client.aclose()
        with pytest.raises(ClientClosed, match="nothing was sent") as cut:
            await call
        assert cut.value.outcome_unknown
        with pytest.raises(ClientClosed):
            await other


async def test_leaving_by_an_exception_cuts_short_at_once() -> None:
    async with scene() as play:
        play.box.faults.add(faults.freeze(), path=PUBLISH)
        call = await begun(publish(play.client), play)
        began = play.clock.now()
        await play.client.__aexit__(KeyError, KeyError(), None)
        with pytest.raises(ClientClosed):
            await call
        assert play.clock.now() == began


async def test_a_cached_read_that_is_cut_short_says_so_to_every_caller() -> None:
    async with scene(client=SHORT) as play:
        play.box.faults.add(faults.freeze(), path="/api/get_profiles", times=None)
        calls = [await begun(play.client.get_profiles(user_id="u"), play) for _ in range(2)]
        assert (await play.client.aclose()).calls == ("get_profiles",)
        for call in calls:
            with pytest.raises(ClientClosed) as cut:
                await call
            assert cut.value.outcome_unknown


async def test_a_background_call_that_is_cut_short_says_so_and_is_not_reported_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reported: list[BackgroundErrorEvent] = []
    async with scene(client={**SHORT, "on_background_error": reported.append}) as play:
        play.box.faults.add(faults.freeze(), path="/api/delete_profile", times=None)
        call = await play.client.delete_profile("u", "p")
        await play.client.delete_profile("u", "p")
        await play.clock.sleep(0.01)
        summary = await play.client.aclose()
        assert summary == DrainSummary(background_calls=("delete_profile", "delete_profile"))
        with pytest.raises(ClientClosed, match="delete_profile: the client was closed") as cut:
            await call
        assert cut.value.outcome_unknown
    assert reported == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_a_batch_that_is_cut_short_leaves_the_rest_as_not_started() -> None:
    async with scene(client=SHORT) as play:
        play.box.faults.add(faults.freeze(), path=PUBLISH, times=None)
        items = [{"user_id": f"u{n}", "session_id": "s", "interactions": TURNS} for n in range(9)]
        batch = await begun(play.client.publish_many(items, concurrency=2).run(), play)
        summary = await play.client.aclose()
        assert summary.batches == ("items (0 of 9 done)",)
        report = await batch
        states = [outcome.state for outcome in report.outcomes]
        assert states == [OutcomeState.LOST] * 2 + [OutcomeState.CANCELLED] * 7
        assert all("closed" in str(outcome.error) for outcome in report.outcomes[:2])
        assert play.box.count("POST", PUBLISH) == 2


async def test_a_login_within_a_call_is_cut_short_with_it() -> None:
    clock = VirtualClock()
    async with Sandbox(clock=clock, logins={"a@b.c": "secret"}) as box:
        client = AsyncReflexioClient(url_endpoint=box.url, clock=clock, drain_timeout=1.0)
        await client.login("a@b.c", "secret")
        box.faults.add(faults.status(401, {"detail": "expired"}), path=WHOAMI)
        box.faults.add(faults.freeze(), path="/token")
        call = asyncio.create_task(client.whoami())
        await clock.sleep(0.1)
        assert (await client.aclose()).calls == ("whoami",)
        with pytest.raises(ClientClosed):
            await call


async def test_the_caller_of_a_call_that_is_cut_short_goes_on() -> None:
    async with scene(client=SHORT) as play:
        play.box.faults.add(faults.freeze(), path=PUBLISH)

        async def handle() -> str:
            async with asyncio.timeout(1000), asyncio.TaskGroup() as group:
                try:
                    await publish(play.client)
                except ClientClosed:
                    await group.create_task(asyncio.sleep(0))
                    return "handled"
                return "stored"

        task = await begun(handle(), play)
        await play.client.aclose()
        assert await task == "handled"


async def test_a_caller_that_is_cancelled_at_the_same_time_stays_cancelled() -> None:
    async with scene(client=SHORT) as play:
        play.box.faults.add(faults.freeze(), path=PUBLISH)
        call = await begun(publish(play.client), play)
        closing = asyncio.create_task(play.client.aclose(drain=False))
        call.cancel()
        await closing
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_jobs_that_go_on_are_named_by_their_tokens() -> None:
    async with scene(1, rerun_seconds=30.0) as play:
        job = await play.client.rerun_profile_generation(user_id=play.users[0])
        learning = play.client.learning("r")
        waiting = asyncio.create_task(learning.result())
        play.box.faults.add(
            faults.status(200, {"status": "pending"}), path="/api/learning_status", times=None
        )
        await play.clock.sleep(1.0)
        summary = await play.client.aclose()
        waiting.cancel()
        assert set(summary.running_jobs) == {job.token, learning.token}
        assert summary.complete
        async with AsyncReflexioClient(url_endpoint=play.box.url, clock=play.clock) as other:
            assert job.token is not None
            assert (await other.job(job.token)).profiles_generated == 1
        await asyncio.wait([waiting])


async def test_a_start_that_is_cut_short_is_named() -> None:
    async with scene(client=SHORT) as play:
        play.box.faults.add(faults.freeze(), path=RERUN)
        start = await begun(play.client.rerun_profile_generation(user_id="u"), play)
        summary = await play.client.aclose()
        assert summary.unsent_starts == ("profile_rerun (user_id=u) (sent, not answered)",)
        with pytest.raises(Exception, match="the client was closed while its start was being answered"):
            await start


BY_ID: dict[str, Callable[[AsyncReflexioClient], Coroutine[Any, Any, Any]]] = {
    "traces": lambda client: client.reflect.get_trace("t"),
    "projects": lambda client: client.reflect.delete_project(),
    "pending_tool_calls": lambda client: client.get_pending_tool_call("q"),
}


@pytest.mark.parametrize("name", BY_ID)
async def test_a_call_by_an_id_is_named_by_what_it_is_about(name: str) -> None:
    async with Sandbox() as box:
        client = AsyncReflexioClient(
            url_endpoint=box.url, reflect_url=box.reflect_url, reflect_api_key=box.reflect_key
        )
        box.faults.add(faults.freeze(), times=None)
        task = asyncio.create_task(BY_ID[name](client))
        await until(lambda: box.requests)
        assert (await client.aclose(drain=False)).calls == (name,)
        with pytest.raises(ClientClosed):
            await task


async def test_long_lists_are_shortened_in_the_log_and_whole_in_the_summary(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with scene(client={"drain_timeout": 1.0}) as play:
        play.box.faults.add(faults.freeze(), path=PUBLISH, times=None)
        calls = [await begun(publish(play.client, f"u{n}"), play) for n in range(25)]
        assert (await play.client.aclose()).calls == ("publish_interaction",) * 25
        await asyncio.gather(*calls, return_exceptions=True)
    assert caplog.text.count("publish_interaction") == 20
    assert "and 5 more" in caplog.text


# --- views


VIEWS: dict[str, Callable[[AsyncReflexioClient], Any]] = {
    "with_options": lambda client: client.with_options(timeout=3),
    "for_session": lambda client: client.for_session("s"),
    "reflect": lambda client: client.reflect,
    "reflect.with_options": lambda client: client.reflect.with_options(timeout=3),
    "reflect.with_project": lambda client: client.reflect.with_project("other"),
}


@pytest.mark.parametrize("name", VIEWS)
async def test_a_view_does_not_close_the_client(name: str) -> None:
    async with scene() as play:
        view = VIEWS[name](play.client)
        async with view as entered:
            assert entered is view
        assert await view.aclose() == DrainSummary()
        assert (await play.client.whoami()).success


async def test_closing_the_client_closes_its_views() -> None:
    async with scene() as play:
        session = play.client.for_session("s")
        await play.client.aclose()
        with pytest.raises(ClientClosed):
            await session.search(query="tea")


# --- cancelled itself, and eager tasks


@pytest.mark.parametrize("passes", range(6))
async def test_closing_that_is_cancelled_twice_closes_the_connections_all_the_same(passes: int) -> None:
    async with Sandbox() as box:
        box.faults.add(faults.freeze(), path="/api/delete_profile")
        client = AsyncReflexioClient(url_endpoint=box.url)
        await client.delete_profile("u", "p")
        await asyncio.sleep(0.02)
        session = client._pool.connections().session
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0.01)
        closing.cancel()
        for _ in range(passes):
            await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert session.closed


_CUT_OFF = """
import asyncio, sys
from reflexio_async import AsyncReflexioClient

client = AsyncReflexioClient(url_endpoint=sys.argv[1])

async def serve():
    try:
        await client.rerun_profile_generation(user_id="u")
    finally:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others)  # the end of the loop cancels them, too
        print(*(await client.aclose()).unsent_starts, file=sys.stderr)

async def main():
    main.serving = asyncio.create_task(serve())
    while not client._engine.loops.under_way().unsent_starts:
        await asyncio.sleep(0.01)

asyncio.run(main())
"""


def test_closing_while_the_loop_ends_does_not_wait_for_what_that_has_cut_off(
    box: Sandbox, program: Program
) -> None:
    box.faults.add(faults.freeze(), path=RERUN)
    said = program(_CUT_OFF, box.url)
    assert "profile_rerun (user_id=u)" in said.splitlines()[-1]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_under_eager_tasks_a_background_call_is_named_once() -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009  # 3.11 has none
        async with Sandbox() as box:
            client = AsyncReflexioClient(url_endpoint=box.url)
            box.faults.add(faults.delay(0.1), path="/api/delete_profile")
            assert (await (await client.delete_profile("u", "p"))).success
            box.faults.add(faults.freeze(), path="/api/delete_profile")
            await client.delete_profile("u", "p")
            assert await client.aclose(drain=False) == DrainSummary(background_calls=("delete_profile",))

    asyncio.run(main())
