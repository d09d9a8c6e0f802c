"""get_profiles and get_agent_playbooks are cached for ten minutes, or until this client writes."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    APIStatusError,
    AsyncReflexioClient,
    InvalidRequest,
)
from reflexio_async._engine import cache as cache_module
from reflexio_async._engine.cache import Cache
from reflexio_async._engine.loops import LoopBinding
from reflexio_async._engine.tasks import TaskTracker
from reflexio_async.sandbox import VirtualClock, faults
from tests.calls import calls, to_the_end
from tests.scene import Scene, scene

if TYPE_CHECKING:
    from collections.abc import Callable

PROFILES = "/api/get_profiles"
PLAYBOOKS = "/api/get_agent_playbooks"


def asked(play: Scene, path: str = PROFILES) -> int:
    return play.box.count("POST", path)


async def test_the_second_time_costs_no_request() -> None:
    async with scene() as play:
        first = await play.client.get_profiles(user_id="u")
        again = await play.client.get_profiles({"user_id": "u"})
        assert (asked(play), first == again) == (1, True)


async def test_a_cached_response_is_the_caller_s_own() -> None:
    async with scene() as play:
        await play.client.add_user_profile([{"user_id": "u", "content": "likes tea"}])
        first = await play.client.get_profiles(user_id="u")
        first.user_profiles.clear()
        (await play.client.get_profiles(user_id="u")).user_profiles[0].content = "changed"
        (profile,) = (await play.client.get_profiles(user_id="u")).user_profiles
        assert (profile.content, asked(play)) == ("likes tea", 1)


async def test_after_ten_minutes_it_is_sent_again() -> None:
    async with scene() as play:
        await play.client.get_profiles(user_id="u")
        await play.clock.sleep(599.0)
        await play.client.get_profiles(user_id="u")
        assert asked(play) == 1
        await play.clock.sleep(1.0)
        await play.client.get_profiles(user_id="u")
        assert asked(play) == 2


async def test_another_request_has_another_response() -> None:
    async with scene() as play:
        await play.client.get_profiles(user_id="u")
        await play.client.get_profiles(user_id="u", top_k=5)
        await play.client.get_profiles(user_id="u", status_filter=[None])
        await play.client.get_profiles(user_id="v")
        assert asked(play) == 4


async def test_force_refresh_sends_the_request_and_caches_the_response() -> None:
    async with scene() as play:
        client: Any = play.client
        await client.get_profiles(user_id="u")
        play.box.seed("u", "I like tea")
        await play.client.with_options().rerun_profile_generation(user_id="u", wait_for_response=True)
        for number, refresh in enumerate(
            (
                client.get_profiles(user_id="u", force_refresh=True),
                client.get_profiles({"user_id": "u"}, force_refresh=True),
                client.get_profiles({"user_id": "u"}, True),  # noqa: FBT003  # the official client's way
                client.get_profiles({"user_id": "u", "force_refresh": True}),
            ),
            start=2,
        ):
            await refresh
            assert asked(play) == number
        await client.get_profiles(user_id="u")
        assert asked(play) == 5
        assert "force_refresh" not in play.box.requests[-1].body
        with pytest.raises(InvalidRequest, match="force_refresh"):
            await client.get_profiles(user_id="u", force_refresh="yes")


async def test_the_same_at_the_same_time_is_one_request() -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(5.0), path=PROFILES, times=None)
        await asyncio.gather(*(play.client.get_profiles(user_id="u") for _ in range(50)))
        assert asked(play) == 1


async def test_a_cancelled_caller_does_not_disturb_the_others() -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(5.0), path=PROFILES)
        impatient = asyncio.ensure_future(play.client.get_profiles(user_id="u"))
        patient = asyncio.ensure_future(play.client.get_profiles(user_id="u"))
        await play.box.arrived("POST", PROFILES)
        impatient.cancel()
        assert (await patient).success
        with pytest.raises(asyncio.CancelledError):
            await impatient
        assert asked(play) == 1


async def test_a_read_whose_last_caller_is_cancelled_is_sent_again() -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(5.0), path=PROFILES)
        alone = asyncio.ensure_future(play.client.get_profiles(user_id="u"))
        await play.box.arrived("POST", PROFILES)
        alone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await alone
        assert (await play.client.get_profiles(user_id="u")).success
        assert asked(play) == 2


async def test_an_error_reaches_every_caller_and_is_not_cached() -> None:
    async with scene() as play:
        play.box.faults.add(faults.status(404, {"detail": "gone"}), path=PROFILES)
        outcomes = await asyncio.gather(
            *(play.client.get_profiles(user_id="u") for _ in range(3)), return_exceptions=True
        )
        assert [type(outcome).__name__ for outcome in outcomes] == ["NotFound"] * 3
        assert (await play.client.get_profiles(user_id="u")).success
        assert asked(play) == 2


async def test_a_refusal_is_not_cached() -> None:
    async with scene(client={"raise_on_refusal": False}) as play:
        refusal: dict[str, Any] = {"success": False, "user_profiles": [], "msg": "no"}
        play.box.faults.add(faults.status(200, refusal), path=PROFILES)
        assert (await play.client.get_profiles(user_id="u")).success is False
        assert (await play.client.get_profiles(user_id="u")).success is True


async def test_it_can_be_switched_off() -> None:
    async with scene(client={"cache_ttl": 0}) as play:
        await play.client.get_profiles(user_id="u")
        await play.client.get_profiles(user_id="u")
        assert asked(play) == 2


async def test_another_login_sees_its_own_profiles() -> None:
    async with scene(logins={"ana@example.com": "a", "bob@example.com": "b"}) as play:
        await play.client.login("ana@example.com", "a")
        await play.client.get_profiles(user_id="u")
        await play.client.login("bob@example.com", "b")
        await play.client.get_profiles(user_id="u")
        assert asked(play) == 2


async def test_views_share_it() -> None:
    async with scene() as play:
        await play.client.get_profiles(user_id="u")
        await play.client.with_options(timeout=5).get_profiles(user_id="u")
        assert asked(play) == 1


WRITES: dict[str, tuple[Callable[[AsyncReflexioClient], Any], bool, bool]] = {
    # call: (how it is called, whether it drops cached profiles, whether it drops cached agent playbooks)
    "publish_interaction": (
        lambda client: client.publish_interaction(
            user_id="u", session_id="s", interactions=[{"content": "x"}]
        ),
        True,
        True,
    ),
    "publish_later": (
        lambda client: client.publish_later(user_id="u", session_id="s", interactions=[{"content": "x"}]),
        True,
        True,
    ),
    "publish_many": (
        lambda client: client.publish_many(
            [{"user_id": "u", "session_id": "s", "interactions": [{"content": "x"}]}]
        ),
        True,
        True,
    ),
    "finalize_session": (lambda client: client.finalize_session("u", "s"), True, True),
    "delete_profile": (lambda client: client.delete_profile("u", "p"), True, False),
    "delete_profiles_by_ids": (lambda client: client.delete_profiles_by_ids(["p"]), True, False),
    "delete_all_profiles": (lambda client: client.delete_all_profiles(), True, False),
    "delete_agent_playbook": (lambda client: client.delete_agent_playbook(1), False, True),
    "delete_agent_playbooks_by_ids": (
        lambda client: client.delete_agent_playbooks_by_ids([1]),
        False,
        True,
    ),
    "delete_all_agent_playbooks": (lambda client: client.delete_all_agent_playbooks(), False, True),
    "delete_all_playbooks": (lambda client: client.delete_all_playbooks(), True, True),
    "delete_all_interactions": (lambda client: client.delete_all_interactions(), True, True),
    "clear_user_data": (lambda client: client.clear_user_data("u"), True, True),
    "delete_user_playbook": (lambda client: client.delete_user_playbook(1), False, False),
    "delete_all_user_playbooks": (lambda client: client.delete_all_user_playbooks(), False, False),
    "delete_session": (lambda client: client.delete_session("s"), False, False),
    "add_user_profile": (
        lambda client: client.add_user_profile([{"user_id": "u", "content": "x"}]),
        True,
        False,
    ),
    "add_agent_playbooks": (
        lambda client: client.add_agent_playbooks([{"agent_version": "v", "content": "x"}]),
        False,
        True,
    ),
}

NOT_DROPPING = {
    # call: why it drops nothing, although its path names a cached noun
    "rerun_profile_generation": "its results are pending until upgrade_profiles",
    "manual_profile_generation": "it learns at the server, as every generation",
}
"""Writes of profiles and agent playbooks that drop nothing."""

READS = ("/api/get_", "/api/search_", "/api/rerank_")


@pytest.mark.parametrize("name", WRITES)
async def test_what_this_client_writes_drops_what_it_makes_stale(name: str) -> None:
    write, profiles, playbooks = WRITES[name]
    async with scene() as play:
        await play.client.get_profiles(user_id="u")
        await play.client.get_agent_playbooks()
        await to_the_end(write(play.client))
        await play.client.get_profiles(user_id="u")
        await play.client.get_agent_playbooks()
        assert (asked(play) - 1, asked(play, PLAYBOOKS) - 1) == (int(profiles), int(playbooks))


IN_OTHER_TESTS = [
    "upgrade_profiles",
    "downgrade_profiles",
    "update_user_profile",
    "update_agent_playbook",
    "update_agent_playbook_status",
]


def test_every_call_that_drops_cached_responses_is_among_them() -> None:
    dropping = {name for name, call in calls(AsyncReflexioClient).items() if call.endpoint.invalidates}
    assert {name.removesuffix("_async") for name in dropping} <= {*WRITES, *IN_OTHER_TESTS}


def test_every_write_of_profiles_and_agent_playbooks_drops_them_or_has_a_reason_not_to() -> None:
    silent = {
        name.removesuffix("_async")
        for name, call in calls(AsyncReflexioClient).items()
        if call.endpoint.method != "GET"
        and not call.endpoint.path.startswith(READS)
        and ("profile" in call.endpoint.path or "agent_playbook" in call.endpoint.path)
        and not call.endpoint.invalidates
    }
    assert silent == set(NOT_DROPPING)


async def test_an_upgrade_and_a_downgrade_drop_profiles() -> None:
    async with scene() as play:
        client = play.client
        await client.add_user_profile([{"user_id": "u", "content": "likes mate"}])
        play.box.seed("u", "I like tea")
        await client.rerun_profile_generation(user_id="u", wait_for_response=True)
        seen: list[list[str]] = []
        for write in (None, client.upgrade_profiles, client.downgrade_profiles):
            if write is not None:
                assert (await write()).success
            response = await client.get_profiles(user_id="u")
            seen.append([profile.content for profile in response.user_profiles])
        before, upgraded, downgraded = seen
        assert (before, downgraded, asked(play)) == (["likes mate"], ["likes mate"], 3)
        assert upgraded != before


async def test_an_update_drops_profiles() -> None:
    async with scene() as play:
        await play.client.add_user_profile([{"user_id": "u", "content": "likes tea"}])
        (before,) = (await play.client.get_profiles(user_id="u")).user_profiles
        await play.client.update_user_profile(user_id="u", profile_id=before.profile_id, content="likes mate")
        (after,) = (await play.client.get_profiles(user_id="u")).user_profiles
        assert (before.content, after.content) == ("likes tea", "likes mate")


@pytest.mark.parametrize("name", ["update_agent_playbook", "update_agent_playbook_status"])
async def test_an_update_drops_agent_playbooks(name: str) -> None:
    async with scene() as play:
        await play.client.add_agent_playbooks([{"agent_version": "v", "content": "x"}])
        (before,) = (await play.client.get_agent_playbooks()).agent_playbooks
        request = {"agent_playbook_id": before.agent_playbook_id, "playbook_status": "approved"}
        await getattr(play.client, name)(**request)
        (after,) = (await play.client.get_agent_playbooks()).agent_playbooks
        assert (before.playbook_status, after.playbook_status) == ("pending", "approved")


async def test_a_refused_write_drops_nothing() -> None:
    async with scene(client={"raise_on_refusal": False}) as play:
        await play.client.get_profiles(user_id="u")
        play.box.faults.add(faults.status(200, {"success": False}), path="/api/finalize_session")
        await play.client.finalize_session("u", "s")
        await play.client.get_profiles(user_id="u")
        assert asked(play) == 1


async def test_a_write_that_may_have_worked_drops_it() -> None:
    async with scene() as play:
        await play.client.get_profiles(user_id="u")
        play.box.faults.add(faults.answer_lost(), path="/api/delete_all_profiles", times=None)
        with pytest.raises((APIConnectionError, APIStatusError)):
            await play.client.delete_all_profiles()
        await play.client.get_profiles(user_id="u")
        assert asked(play) == 2


async def test_a_response_older_than_a_write_is_not_cached() -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(5.0), path=PROFILES)
        reading = asyncio.ensure_future(play.client.get_profiles(user_id="u"))
        await play.box.arrived("POST", PROFILES)
        await play.client.delete_all_profiles()
        later = asyncio.ensure_future(play.client.get_profiles(user_id="u"))
        await asyncio.gather(reading, later)
        assert asked(play) == 2  # the later one did not join the earlier one
        await play.client.get_profiles(user_id="u")
        assert asked(play) == 2  # and it is the later one that was cached


async def test_a_handle_drops_it_before_and_after() -> None:
    async with scene() as play:
        play.box.faults.add(faults.delay(5.0), path="/api/delete_profile")
        await play.client.get_profiles(user_id="u")
        handle = await play.client.delete_profile("u", "p")
        await play.client.get_profiles(user_id="u")
        assert asked(play) == 2
        await handle
        await play.client.get_profiles(user_id="u")
        assert asked(play) == 3


async def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_MAX_ENTRIES", 2)
    monkeypatch.setattr(cache_module, "_MAX_BYTES", 100)
    cache = Cache(VirtualClock(), TaskTracker(LoopBinding()), 600.0)

    async def ask(key: str, size: int = 10) -> int:
        loads = 0

        async def load() -> tuple[bytes, bool]:
            nonlocal loads
            loads += 1
            return b"x" * size, True

        await cache.fetch(PROFILES, key, None, load)
        return loads

    assert [await ask(key) for key in "abab"] == [1, 1, 0, 0]
    assert [await ask(key) for key in "cba"] == [1, 0, 1]  # a was not used for the longest time
    assert [await ask("big", 101), await ask("big", 101)] == [1, 1]
    assert [await ask("d", 95), await ask("a")] == [1, 1]
    assert repr(cache) == "<Cache of 1 responses>"


async def test_a_read_that_was_given_up_can_be_asked_again_at_once() -> None:
    async with scene() as play:
        play.box.faults.add(faults.freeze(), path=PROFILES, times=1)
        given_up = asyncio.create_task(play.client.get_profiles(user_id="u"))
        await play.clock.sleep(1.0)
        given_up.cancel()
        again = asyncio.create_task(play.client.get_profiles(user_id="u"))
        assert (await again).success
        with pytest.raises(asyncio.CancelledError):
            await given_up


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_a_read_that_fails_at_once_under_eager_tasks_can_be_asked_again() -> None:
    loop: Any = asyncio.get_running_loop()
    factory = loop.get_task_factory()
    loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009  # 3.11 has none
    try:
        clock = VirtualClock()
        cache = Cache(clock, TaskTracker(LoopBinding()), 600.0)
        failures = iter([RuntimeError("the limit is closed")])

        async def load() -> tuple[bytes, bool]:
            for failure in failures:
                raise failure
            return b"{}", True

        with pytest.raises(RuntimeError, match="the limit is closed"):
            await cache.fetch(PROFILES, "u", None, load)
        assert await cache.fetch(PROFILES, "u", None, load) == b"{}"
    finally:
        loop.set_task_factory(factory)
