"""One deadline per call: ``timeout`` bounds a call, ``wait_timeout`` all of its waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import APITimeout, JobTimeout, ReflexioError
from reflexio_async.sandbox import faults
from tests.reflect.scene import MESSAGES, TRACES
from tests.reflect.scene import scene as reflect_scene
from tests.scene import PUBLISH, RERUN, STATUS, scene

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async import AsyncReflexioClient

TURN = {"role": "user", "content": "I like tea"}
CALLS: dict[str, Callable[[AsyncReflexioClient], Awaitable[Any]]] = {
    "get_interactions": lambda c: c.get_interactions(user_id="ana"),
    "get_profiles": lambda c: c.get_profiles(user_id="ana"),
    "publish": lambda c: c.publish_interaction("ana", [TURN], session_id="s"),
    "publish with an id": lambda c: c.publish_interaction("ana", [TURN], session_id="s", request_id="r"),
    "rerun": lambda c: c.rerun_profile_generation(user_id="ana"),
    "rerun and wait": lambda c: c.rerun_profile_generation(
        user_id="ana", wait_for_response=True, wait_timeout=2.0
    ),
    "delete and wait": lambda c: c.delete_profile(user_id="ana", profile_id="p", wait_for_response=True),
    "set_config": lambda c: c.set_config({"window_size": 3, "stride_size": 2}),
    "login": lambda c: c.login("ana@example.com", "x"),
    "refresh": lambda c: c.learning("r").refresh(),
    "aggregation and wait": lambda c: c.submit_playbook_aggregation(
        agent_version="v", wait_for_response=True, wait_timeout=2.0
    ),
    "regeneration and wait": lambda c: c.regenerate_evaluations(
        from_ts=0, to_ts=1, wait_for_response=True, wait_timeout=2.0
    ),
    "look": lambda c: c.learning("r").result(wait_timeout=0),
}


@pytest.mark.parametrize("name", CALLS)
async def test_timeout_bounds_every_call_to_a_server_that_never_answers(name: str) -> None:
    async with scene(client={"timeout": 2.0, "drain_timeout": 0.0}) as play:
        play.box.faults.add(faults.freeze(), times=None)
        with pytest.raises(ReflexioError) as caught:
            await CALLS[name](play.client)
        assert isinstance(caught.value, TimeoutError)
        assert play.clock.now() == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("fault", [faults.delay(20.0), faults.freeze()], ids=["slow", "frozen"])
@pytest.mark.parametrize("path", [RERUN, STATUS])
async def test_wait_timeout_bounds_a_rerun_whose_start_or_status_is_slow(fault: Any, path: str) -> None:
    async with scene(1, client={"drain_timeout": 0.0}) as play:
        play.box.faults.add(fault, path=path, times=None)
        with pytest.raises(JobTimeout, match="after 2 s"):
            await play.client.rerun_profile_generation(
                user_id="user-0", wait_for_response=True, wait_timeout=2.0
            )
        assert play.clock.now() == pytest.approx(2.0, abs=0.1)


async def test_wait_timeout_counts_from_the_beginning_of_the_call() -> None:
    async with scene(1, rerun_seconds=100.0, client={"drain_timeout": 0.0}) as play:
        play.box.faults.add(faults.delay(1.5), path=RERUN)
        with pytest.raises(JobTimeout, match="after 2 s"):
            await play.client.rerun_profile_generation(
                user_id="user-0", wait_for_response=True, wait_timeout=2.0
            )
        assert play.clock.now() == pytest.approx(2.0, abs=0.1)


async def test_a_start_that_was_sent_and_not_answered_is_named_so() -> None:
    async with scene(1, client={"drain_timeout": 0.0}) as play:
        play.box.faults.add(faults.delay(20.0), path=RERUN)
        with pytest.raises(JobTimeout, match="its start was sent and is not answered"):
            await play.client.rerun_profile_generation(
                user_id="user-0", wait_for_response=True, wait_timeout=2.0
            )


async def test_a_start_that_was_not_sent_within_the_timeout_is_withdrawn() -> None:
    async with scene(1, client={"timeout": 2.0, "drain_timeout": 0.0}) as play:
        play.box.faults.add(faults.delay(20.0), path=STATUS, times=None)
        with pytest.raises(APITimeout, match=r"its start was not sent.*within 2 s") as caught:
            await play.client.rerun_profile_generation(user_id="user-0")
        assert not caught.value.outcome_unknown
        await play.clock.sleep(60.0)
        assert play.starts() == 0


async def test_wait_timeout_bounds_the_sending_of_a_trace() -> None:
    async with reflect_scene() as s:
        s.box.faults.add(faults.delay(20.0), method="POST", path=TRACES)
        with pytest.raises(TimeoutError):
            await s.client.create_trace_and_wait(task="t", trajectory=MESSAGES, wait_timeout=2.0)
        assert s.clock.now() == pytest.approx(2.0, abs=0.1)


async def test_wait_timeout_of_a_trace_counts_its_sending() -> None:
    async with reflect_scene(ingest_seconds=100.0) as s:
        s.box.faults.add(faults.delay(1.5), method="POST", path=TRACES)
        with pytest.raises(JobTimeout, match="2 s"):
            await s.client.create_trace_and_wait(task="t", trajectory=MESSAGES, wait_timeout=2.0)
        assert s.clock.now() == pytest.approx(2.0, abs=0.1)


# --- the limit of one try


async def test_a_read_whose_connection_has_died_silently_is_tried_again_after_the_server_s_deadline() -> None:
    async with scene() as play:
        play.box.faults.add(faults.freeze(), path="/api/get_interactions")
        assert (await play.client.get_interactions(user_id="ana")).success
        assert play.clock.now() == pytest.approx(65.0, abs=1.0)


async def test_a_call_that_may_not_be_repeated_has_all_of_its_time_for_one_try() -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(200.0), path="/api/upgrade_all_profiles")
        await play.client.upgrade_profiles()
        assert play.clock.now() == pytest.approx(200.0, abs=1.0)


async def test_the_exchanges_of_one_publish_share_its_deadline() -> None:
    async with scene(client={"timeout": 10.0}) as play:
        await play.client.publish_interaction("ana", [TURN], session_id="s", request_id="r")
        began = play.clock.now()
        play.box.faults.add(faults.lost_before(), path=PUBLISH)
        play.box.faults.add(faults.delay(6.0), path=PUBLISH, times=None)
        play.box.faults.add(faults.delay(8.0), path="/api/get_requests", times=None)
        with pytest.raises(ReflexioError):
            await play.client.publish_interaction("ana", [TURN], session_id="s", request_id="q")
        assert play.clock.now() - began == pytest.approx(10.0, abs=0.1)
