"""Playbooks and aggregation, on the real server and on the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from reflexio_async import BackgroundCall, ServerError, Status
from reflexio_async.reflexio.models.enums import PlaybookStatus
from tests.real.helpers import publish

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient
    from reflexio_async.reflexio.models.agent_playbooks import AgentPlaybookView
    from reflexio_async.reflexio.models.playbooks import UserPlaybookView


async def of_users(client: AsyncReflexioClient, version: str) -> list[UserPlaybookView]:
    return (await client.get_user_playbooks(agent_version=version)).user_playbooks


async def of_agent(client: AsyncReflexioClient, version: str) -> list[AgentPlaybookView]:
    return (await client.get_agent_playbooks(agent_version=version, force_refresh=True)).agent_playbooks


async def test_user_playbooks(client: AsyncReflexioClient, name: str) -> None:
    lesson = {"agent_version": name, "request_id": "r", "user_id": name, "tags": ["t"]}
    contents = ["say hello", "say please", "say thanks", "say goodbye"]
    added = await client.add_user_playbook(
        [{**lesson, "content": content, "trigger": "a visit"} for content in contents]
    )
    assert added.added_count == 4
    stored = {playbook.content: playbook for playbook in await of_users(client, name)}
    assert stored["say hello"].tags == ["t"]
    ids = [stored[content].user_playbook_id for content in contents]
    await client.update_user_playbook(ids[0], content="say hi", rationale="shorter")
    (changed,) = (await client.get_user_playbooks(user_playbook_id=ids[0])).user_playbooks
    assert (changed.content, changed.rationale, changed.trigger) == ("say hi", "shorter", "a visit")
    found = await client.search_user_playbooks(query="visit", agent_version=name)
    assert len(found.user_playbooks) == 4
    assert (await client.delete_user_playbook(ids[0], wait_for_response=True)).success
    assert len(await of_users(client, name)) == 3
    assert (await client.delete_user_playbooks_by_ids(ids[:2])).success
    assert len(await of_users(client, name)) == 2
    assert (await client.delete_all_user_playbooks()).success
    assert await of_users(client, name) == []


async def test_agent_playbooks(client: AsyncReflexioClient, name: str) -> None:
    contents = ["be kind", "be brief", "be right"]
    lessons = [{"agent_version": name, "content": content, "trigger": "always"} for content in contents]
    assert (await client.add_agent_playbooks(lessons)).added_count == 3
    stored = {playbook.content: playbook for playbook in await of_agent(client, name)}
    assert {playbook.playbook_status for playbook in stored.values()} == {PlaybookStatus.PENDING}
    ids = [stored[content].agent_playbook_id for content in contents]
    await client.update_agent_playbook(ids[0], content="be kinder", playbook_status=PlaybookStatus.REJECTED)
    await client.update_agent_playbook_status(ids[1], playbook_status=PlaybookStatus.APPROVED)
    verdicts = {
        playbook.agent_playbook_id: playbook.playbook_status for playbook in await of_agent(client, name)
    }
    assert verdicts == {ids[0]: "rejected", ids[1]: "approved", ids[2]: "pending"}
    found = await client.search_agent_playbooks(
        query="brief", agent_version=name, playbook_status_filter=PlaybookStatus.APPROVED
    )
    assert [playbook.content for playbook in found.agent_playbooks] == ["be brief"]
    assert (await client.delete_agent_playbook(ids[0], wait_for_response=True)).success
    assert len(await of_agent(client, name)) == 2
    assert (await client.delete_agent_playbooks_by_ids(ids[:2])).deleted_count == 2
    assert len(await of_agent(client, name)) == 1
    assert (await client.delete_all_agent_playbooks()).success
    assert await of_agent(client, name) == []


async def test_deleting_all_playbooks(client: AsyncReflexioClient, name: str) -> None:
    await client.add_agent_playbooks([{"agent_version": name, "content": "be kind"}])
    await client.add_user_playbook([{"agent_version": name, "content": "be kind", "request_id": "r"}])
    assert (await client.delete_all_playbooks()).success
    assert (await of_agent(client, name), await of_users(client, name)) == ([], [])


async def test_generating_promoting_and_restoring(client: AsyncReflexioClient, name: str) -> None:
    await client.delete_all_playbooks()
    await publish(client, name, agent_version=name)
    manual = await client.manual_playbook_generation(agent_version=name, wait_for_response=True)
    assert manual.success
    rerun = await client.rerun_playbook_generation(agent_version=name, wait_for_response=True)
    assert rerun.playbooks_generated == 1
    waiting = await client.get_user_playbooks(agent_version=name, status_filter=[Status.PENDING])
    assert len(waiting.user_playbooks) == 1
    assert (await client.upgrade_user_playbooks(agent_version=name)).user_playbooks_promoted == 1
    restored = await client.downgrade_user_playbooks(agent_version=name)
    assert restored.message


async def test_reviewing(client: AsyncReflexioClient, name: str) -> None:
    await client.delete_all_user_playbooks()
    await client.add_user_playbook([{"agent_version": name, "content": "be kind", "request_id": "r"}])
    span = {"start_time": datetime(2020, 1, 1, tzinfo=UTC), "end_time": datetime(2100, 1, 1, tzinfo=UTC)}
    review = await client.review_user_playbooks(span)
    assert (review.report_only, review.selected_count, review.skipped_count) == (True, 1, 1)
    assert [result.decision for result in review.results] == ["skip"]
    later = await client.review_user_playbooks({**span, "report_only": False, "top_k": 1})
    assert later.run_id is not None
    assert later.results == []


async def test_aggregating(client: AsyncReflexioClient, name: str) -> None:
    lessons = [{"agent_version": name, "content": "be kind", "request_id": "r", "playbook_name": "playbook"}]
    await client.add_user_playbook(lessons)
    handle = await client.run_playbook_aggregation(agent_version=name)
    assert isinstance(handle, BackgroundCall)
    assert (await handle).message == "Skipped: not enough new playbooks (1 < 2)"
    await client.add_user_playbook(lessons)
    done = await client.run_playbook_aggregation(agent_version=name, wait_for_response=True)
    assert "Processed 2 user playbooks" in done.message
    made = await of_agent(client, name)
    log = await client.get_playbook_aggregation_change_logs(playbook_name="playbook", agent_version=name)
    assert [len(entry.added_agent_playbooks) for entry in log.change_logs] in ([len(made)], [])


@pytest.mark.real
async def test_durable_aggregation_needs_what_this_server_lacks(
    offline: AsyncReflexioClient, name: str
) -> None:
    for call in (
        offline.submit_playbook_aggregation(agent_version=name),
        offline.get_playbook_aggregation_operation("nope"),
    ):
        with pytest.raises(ServerError, match="Durable aggregation is unavailable on this storage"):
            await call


async def test_how_often_learnings_were_applied(client: AsyncReflexioClient, name: str) -> None:
    citation = {"kind": "playbook", "real_id": name, "title": "T"}
    await publish(client, name, interactions=[{"role": "Agent", "content": "x", "citations": [citation]}])
    stats = (await client.get_playbook_application_stats(days_back=3650)).stats
    assert [(stat.applied_count, stat.title) for stat in stats if stat.real_id == name] == [(1, "T")]
