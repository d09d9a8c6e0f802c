"""The API of January 2026: feedback instead of playbooks, request groups instead of sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient, BackgroundCall, Job, JobFailed, NotFound
from reflexio_async.legacy.api import LegacyAPI
from reflexio_async.reflexio.models.enums import PlaybookStatus
from tests.calls import calls
from tests.parity.compare import CONTRACT
from tests.scene import Scene, scene

if TYPE_CHECKING:
    from reflexio_async.sandbox.reflexio.settings import Dialect

DIALECTS: tuple[Dialect, ...] = ("synchronous", "uncorrelated", "correlated")


async def publish(play: Scene, user: str = "u", group: str = "g") -> None:
    turns = [{"role": "User", "content": "I like sushi"}]
    receipt = await play.client.legacy.publish_interaction(
        user_id=user, request_group=group, interactions=turns, agent_version="v"
    )
    assert receipt.success


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_feedback_is_rerun_in_every_dialect(dialect: Dialect) -> None:
    async with scene(legacy=True, dialect=dialect, rerun_seconds=3.0) as play:
        await publish(play)
        job = await play.client.legacy.rerun_feedback_generation(agent_version="v")
        assert isinstance(job, Job)
        assert job.kind == "feedback_rerun"
        assert (await job).success
        again = await play.client.legacy.rerun_feedback_generation(agent_version="v", wait_for_response=True)
        assert again.feedbacks_generated == 1
        pending = await play.client.legacy.get_raw_feedbacks(status_filter=["pending"])
        assert [one.status for one in pending.raw_feedbacks] == ["pending"]


async def test_a_feedback_rerun_is_resumed() -> None:
    async with scene(legacy=True, rerun_seconds=30.0) as play:
        await publish(play)
        job = await play.client.legacy.rerun_feedback_generation(agent_version="v")
        assert job.token is not None
        assert (await play.client.job(job.token)).feedbacks_generated == 1


async def test_a_failed_feedback_rerun() -> None:
    async with scene(legacy=True) as play:
        job = await play.client.legacy.rerun_feedback_generation(agent_version="nobody's")
        with pytest.raises(JobFailed):
            await job


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_profiles_are_rerun_in_every_dialect(dialect: Dialect) -> None:
    async with scene(legacy=True, dialect=dialect, rerun_seconds=3.0) as play:
        await publish(play)
        for client in (play.client, play.client.legacy):
            response = await client.rerun_profile_generation(user_id="u", wait_for_response=True)
            assert response.success


async def test_request_groups() -> None:
    async with scene(legacy=True) as play:
        for group in ("a", "b"):
            await publish(play, group=group)
        found = await play.client.legacy.get_requests(user_id="u")
        assert sorted(group.request_group for group in found.request_groups) == ["a", "b"]
        stored = found.request_groups[0].requests[0]
        assert stored.interactions[0].content == "I like sushi"
        deleted = await play.client.legacy.delete_request(stored.request.request_id, wait_for_response=True)
        assert deleted.success
        (left,) = (await play.client.legacy.get_requests(user_id="u")).request_groups
        handle = await play.client.legacy.delete_request_group(left.request_group)
        assert isinstance(handle, BackgroundCall)
        assert (await handle).deleted_requests_count == 1
        assert (await play.client.legacy.get_requests(user_id="u")).request_groups == []


async def test_raw_feedback_is_added_searched_moved_and_deleted() -> None:
    async with scene(legacy=True) as play:
        client = play.client.legacy
        lessons = [
            {"agent_version": "v", "request_id": "r", "feedback_content": text, "feedback_name": "f"}
            for text in ("be kind", "be brief")
        ]
        assert (await client.add_raw_feedback(raw_feedbacks=lessons)).added_count == 2
        stored = (await client.get_raw_feedbacks(feedback_name="f")).raw_feedbacks
        assert sorted(one.feedback_content for one in stored) == ["be brief", "be kind"]
        found = await client.search_raw_feedbacks(query="brief", agent_version="v")
        assert [one.feedback_content for one in found.raw_feedbacks] == ["be brief"]
        assert (await client.upgrade_raw_feedbacks(agent_version="v")).success is False
        assert (await client.downgrade_raw_feedbacks(agent_version="v")).success is False
        ids = [one.raw_feedback_id for one in stored]
        assert (await client.delete_raw_feedback(ids[0], wait_for_response=True)).success
        assert len((await client.get_raw_feedbacks(feedback_name="f")).raw_feedbacks) == 1


async def test_feedback_is_made_judged_and_deleted() -> None:
    async with scene(legacy=True) as play:
        client = play.client.legacy
        lessons = [
            {"agent_version": "v", "request_id": "r", "feedback_content": "be kind", "feedback_name": "f"}
        ]
        await client.add_raw_feedback(raw_feedbacks=lessons * 2)
        made = await client.run_feedback_aggregation(
            agent_version="v", feedback_name="f", wait_for_response=True
        )
        assert made.success
        assert (
            await client.add_feedbacks(feedbacks=[{"agent_version": "v", "feedback_content": "be brief"}])
        ).added_count == 1
        found = await client.search_feedbacks(query="brief")
        (brief,) = found.feedbacks
        await client.update_feedback_status(
            feedback_id=brief.feedback_id, feedback_status=PlaybookStatus.APPROVED
        )
        approved = await client.get_feedbacks(feedback_status_filter=PlaybookStatus.APPROVED)
        assert [one.feedback_content for one in approved.feedbacks] == ["be brief"]
        assert (await (await client.delete_feedback(brief.feedback_id))).success
        left = (await client.get_feedbacks()).feedbacks
        assert "be brief" not in [one.feedback_content for one in left]


async def test_feedback_is_extracted_directly() -> None:
    async with scene(legacy=True) as play:
        await publish(play)
        response = await play.client.legacy.manual_feedback_generation(
            agent_version="v", wait_for_response=True
        )
        assert response.feedbacks_generated == 1


async def test_every_profile() -> None:
    async with scene(legacy=True) as play:
        await publish(play)
        await play.client.legacy.rerun_profile_generation(user_id="u", wait_for_response=True)
        found = await play.client.legacy.get_all_profiles(status_filter="pending")
        assert [profile.user_id for profile in found.user_profiles] == ["u"]
        assert found.user_profiles[0].profile_content


async def test_todays_calls_are_not_there() -> None:
    async with scene(legacy=True) as play:
        with pytest.raises(NotFound):
            await play.client.get_user_playbooks()


def test_a_call_that_todays_servers_lack_names_its_successor_among_todays_calls() -> None:
    todays = set(calls(AsyncReflexioClient))
    gone = {
        call.endpoint.successor
        for call in calls(LegacyAPI).values()
        if call.endpoint.path not in CONTRACT["paths"]
    }
    assert gone
    assert gone <= todays
