"""Every call of January's API, as its guide writes it, on the sandbox as a server of January."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflexioClient, InvalidRequest, Job, JobState, legacy
from reflexio_async.legacy.api import LegacyAPI
from tests.calls import calls, to_the_end
from tests.january import DOCUMENTED, EVALUATOR, EVERY, EXTRACTOR, TURNS, call, fill
from tests.scene import Scene, scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TURN = [{"content": "hi"}]


@pytest.fixture
async def january() -> AsyncIterator[Scene]:
    async with scene(legacy=True) as play:
        yield play


def test_there_are_21_documented_calls_and_the_table_has_every_call() -> None:
    assert len(DOCUMENTED) == 21
    assert EVERY.keys() == calls(LegacyAPI).keys()


@pytest.mark.parametrize("name", EVERY)
async def test_a_call_as_documented_returns_its_response(january: Scene, name: str) -> None:
    await fill(january.box, january.client.legacy)
    response = await call(january.client.legacy, name)
    assert isinstance(response, EVERY[name][1])
    # Nothing is archived, so there is nothing to restore.
    assert getattr(response, "success", True) is (name != "downgrade_raw_feedbacks")


FOUND = {
    "search_profiles": "user_profiles",
    "get_profiles": "user_profiles",
    "get_all_profiles": "user_profiles",
    "get_profile_change_log": "profile_change_logs",
    "search_interactions": "interactions",
    "get_interactions": "interactions",
    "get_requests": "request_groups",
    "get_raw_feedbacks": "raw_feedbacks",
    "search_raw_feedbacks": "raw_feedbacks",
    "get_feedbacks": "feedbacks",
    "search_feedbacks": "feedbacks",
    "get_agent_success_evaluation_results": "agent_success_evaluation_results",
}


@pytest.mark.parametrize("name", FOUND)
async def test_a_read_finds_what_is_stored(january: Scene, name: str) -> None:
    await fill(january.box, january.client.legacy)
    assert getattr(await call(january.client.legacy, name), FOUND[name])


# --- publishing


async def test_a_publish_by_position_sends_the_arguments_of_the_guide(january: Scene) -> None:
    await january.client.legacy.publish_interaction("r", "ana", TURNS, "chat", "v", "g")
    assert january.box.requests[-1].body == {
        "request_id": "r",
        "user_id": "ana",
        "interaction_data_list": TURNS,
        "source": "chat",
        "agent_version": "v",
        "request_group": "g",
    }


async def test_a_publish_without_a_request_id_sends_none(january: Scene) -> None:
    turns: Any = iter(TURN)
    await january.client.legacy.publish_interaction(user_id="ana", interactions=turns)
    assert january.box.requests[-1].body == {"user_id": "ana", "interaction_data_list": TURN}


UNUSABLE: list[tuple[str, dict[str, Any], str]] = [
    ("publish_interaction", {"interactions": TURN}, "user_id: must not be empty"),
    ("publish_interaction", {"user_id": "u"}, "interactions: "),
    ("publish_interaction", {"user_id": "u", "interactions": [{"text": "x"}]}, r"interactions\.0\.text"),
    ("get_all_profiles", {"status_filter": "merged"}, "status_filter: "),
    ("get_profiles", {"user_id": "u", "status_filter": ["nope"]}, "status_filter"),
    ("search_profiles", {"user_id": "u", "text": "q"}, "text: "),
    ("delete_interaction", {"user_id": "u", "interaction_id": 0}, "interaction_id: "),
    ("delete_request_group", {"request_group": " "}, "request_group: must not be empty"),
    ("set_config", {"config": {"profile_extractor_config": {}}}, "profile_extractor_configs"),
    ("set_config", {"config": {"profile_extractor_configs": [{}]}}, r"configs\.0\.extractor_name"),
    ("set_config", {"config": {"api_key_config": {"openai": {"api_key": "**********"}}}}, "a mask"),
]


@pytest.mark.parametrize(("name", "arguments", "fault"), UNUSABLE)
async def test_unusable_arguments_are_refused_before_anything_is_sent(
    january: Scene, name: str, arguments: dict[str, Any], fault: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"^{name}: .*{fault}"):
        await getattr(january.client.legacy, name)(**arguments)
    assert january.box.requests == []


# --- configuration


async def test_a_configuration_is_read_changed_and_sent_back(january: Scene) -> None:
    api = january.client.legacy
    config = await api.get_config()
    config.profile_extractor_configs = [legacy.ProfileExtractorConfig(**EXTRACTOR)]
    config.extraction_window_size = 12
    assert (await api.set_config(config))["success"] is True
    changed = await api.get_config()
    assert changed.profile_extractor_configs == config.profile_extractor_configs
    assert (changed.extraction_window_size, changed.storage_config) == (12, config.storage_config)


async def test_a_configuration_without_storage_keeps_the_present_one(january: Scene) -> None:
    api = january.client.legacy
    await api.set_config({"storage_config": {"dir_path": "/d"}})
    await api.set_config({"agent_success_configs": [EVALUATOR]})
    assert (await api.get_config()).storage_config == legacy.StorageConfigLocal(dir_path="/d")


async def test_keys_of_a_configuration_are_sent_in_clear_and_masked_in_its_repr(january: Scene) -> None:
    api = january.client.legacy
    storage = {"url": "https://x.supabase.co", "key": "SECRET", "db_url": "postgres://u:SECRET@h/d"}
    await api.set_config({"storage_config": storage})
    assert january.box.requests[-1].body == {"storage_config": storage}
    config = await api.get_config()
    assert "SECRET" not in f"{config!r} {config.model_dump()} {config.model_dump_json()}"
    await api.set_config(config)
    assert january.box.requests[-1].body["storage_config"] == storage


async def test_an_evaluator_judges_every_request(january: Scene) -> None:
    api = january.client.legacy
    await fill(january.box, api)
    found = await api.get_agent_success_evaluation_results(agent_version="v")
    results = found.agent_success_evaluation_results
    assert [(one.is_success, one.failure_type) for one in results] == [(False, "incorrect"), (True, "")]


# --- jobs and background calls


async def test_a_profile_rerun_waits_in_the_lane_of_todays_reruns(january: Scene) -> None:
    for user in ("ana", "bob"):
        await january.client.legacy.publish_interaction(user_id=user, interactions=TURN)
    async with AsyncReflexioClient(url_endpoint=january.box.url, clock=january.clock) as client:
        first = await client.rerun_profile_generation(user_id="ana")
        second = await client.legacy.rerun_profile_generation(user_id="bob")
        assert (first.status.state, second.status.state) == (JobState.RUNNING, JobState.QUEUED)
        assert (await second).success
    assert january.starts(200) == 2
    assert january.refused_for_being_busy() == 0


async def test_a_feedback_rerun_is_found_by_its_token_from_another_client(january: Scene) -> None:
    await january.client.legacy.publish_interaction(user_id="ana", interactions=TURN, agent_version="v")
    job = await january.client.legacy.rerun_feedback_generation(agent_version="v")
    assert job.token is not None
    async with AsyncReflexioClient(url_endpoint=january.box.url, clock=january.clock) as other:
        found: Job[legacy.RerunFeedbackGenerationResponse] = other.job(job.token)
        assert (await found).feedbacks_generated == 1


async def test_a_profile_is_deleted_by_what_a_search_finds(january: Scene) -> None:
    kept, _ = january.box.seed_profile("ana", "likes tea", "likes sushi")
    await to_the_end(january.client.legacy.delete_profile("ana", search_query="sushi"))
    left = await january.client.legacy.get_profiles(user_id="ana")
    assert [profile.profile_id for profile in left.user_profiles] == [kept]
