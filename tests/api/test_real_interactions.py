"""Interactions, requests and sessions, on the real server and on the sandbox."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from reflexio_async import BackgroundCall, InvalidRequest, NotFound, RequestRefused
from reflexio_async.reflexio.models.enums import SessionOutcomeFailureReason, SessionOutcomeKind
from tests.hang import A_HANG
from tests.real.helpers import publish

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient


async def turns(client: AsyncReflexioClient, user: str) -> list[str]:
    return [turn.content for turn in (await client.get_interactions(user_id=user)).interactions]


async def test_a_publish_with_every_option(client: AsyncReflexioClient, name: str) -> None:
    receipt = await client.publish_interaction(
        user_id=name,
        session_id=f"s-{name}",
        interactions=[
            {
                "role": "User",
                "content": "I like sushi",
                "created_at": 1_700_000_000,
                "shadow_content": "shadow",
                "expert_content": "expert",
                "user_action": "click",
                "user_action_description": "the menu",
                "interacted_image_url": "https://example.com/a.png",
                "tools_used": [{"tool_name": "maps", "status": "ok", "tool_data": {"near": "me"}}],
                "citations": [{"kind": "playbook", "real_id": "1", "tag": "t", "title": "T"}],
                "retrieved_learnings": [{"kind": "profile", "learning_id": "p1"}],
            },
            {"role": "Agent", "content": "Noted"},
        ],
        request_id=f"r-{name}",
        source="tests.api",
        agent_version="v1",
        session_finished=True,
        skip_aggregation=True,
        evaluation_only=True,
        override_learning_stall=True,
    )
    assert (receipt.success, receipt.request_id, receipt.warnings) == (True, f"r-{name}", [])
    (session,) = (await client.get_requests(user_id=name)).sessions
    (stored,) = session.requests
    assert (stored.request.source, stored.request.agent_version) == ("tests.api", "v1")
    assert stored.request.evaluation_only is True
    first = min(stored.interactions, key=lambda turn: turn.interaction_id)
    assert (first.content, first.shadow_content, first.expert_content) == ("I like sushi", "shadow", "expert")
    assert (first.created_at, first.user_action) == (1_700_000_000, "click")
    assert first.tools_used[0]["tool_name"] == "maps"
    assert first.retrieved_learnings[0]["learning_id"] == "p1"


async def test_publish_by_its_other_name(client: AsyncReflexioClient, name: str) -> None:
    await client.publish_interaction_async(user_id=name, session_id=name, interactions=[{"content": "hello"}])
    assert await turns(client, name) == ["hello"]


async def test_learning_is_followed(client: AsyncReflexioClient, name: str) -> None:
    receipt = await publish(client, name, force_extraction=True)
    assert receipt.request_id is not None
    answer = await client.learning(receipt.request_id).result(wait_timeout=60)
    assert answer.status in {"done", "not_tracked"}
    assert await client.get_learning_status(receipt.request_id) == answer.status


async def test_reading_turns(client: AsyncReflexioClient, name: str) -> None:
    for content in ("I like sushi", "I live in Oslo"):
        await client.publish_interaction(user_id=name, session_id=name, interactions=[{"content": content}])
    assert sorted(await turns(client, name)) == ["I like sushi", "I live in Oslo"]
    assert len((await client.get_interactions(user_id=name, top_k=1)).interactions) == 1
    found = await client.search_interactions(user_id=name, query="sushi")
    assert [turn.content for turn in found.interactions] == ["I like sushi"]
    everybody = await client.get_all_interactions(limit=-1)
    assert sum(turn.user_id == name for turn in everybody.interactions) == 2
    assert len((await client.get_all_interactions(1)).interactions) == 1


async def test_every_page_of_requests(client: AsyncReflexioClient, name: str) -> None:
    for number in range(4):
        await publish(client, name, session_id=f"{name}-{number}")
    first = await client.get_requests(user_id=name, top_k=2)
    second = await client.get_requests(user_id=name, top_k=2, offset=2)
    assert first.has_more is True
    seen = [session.session_id for page in (first, second) for session in page.sessions]
    assert sorted(seen) == [f"{name}-{number}" for number in range(4)]
    # Four sessions, two pages: the last one is full, and says has_more.
    walked = [session.session_id async for session in client.iter_requests(user_id=name, page_size=2)]
    assert walked == seen
    assert [one.session_id async for one in client.iter_requests(user_id=name, session_id=seen[0])] == seen[
        :1
    ]


async def test_deleting_a_turn_a_request_and_several(client: AsyncReflexioClient, name: str) -> None:
    for number in range(4):
        await publish(client, name, request_id=f"{name}-{number}")
    stored = (await client.get_interactions(user_id=name)).interactions
    handle = await client.delete_interaction(name, stored[0].interaction_id)
    assert isinstance(handle, BackgroundCall)
    assert (await handle).success
    assert len(await turns(client, name)) == 3
    request_id = stored[1].request_id
    assert (await client.delete_request(request_id, wait_for_response=True)).success
    assert len(await turns(client, name)) == 2
    rest = [stored[2].request_id, stored[3].request_id]
    assert (await client.delete_requests_by_ids(rest)).deleted_count == 2
    assert await turns(client, name) == []


async def test_a_handle_need_not_be_awaited(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name, request_id=name)
    await client.delete_request(name)
    async with asyncio.timeout(A_HANG):
        while await turns(client, name):  # noqa: ASYNC110  # there is nothing else to wait for
            await asyncio.sleep(0.05)


async def test_deleting_everything(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name)
    assert (await client.delete_all_interactions()).success
    assert await turns(client, name) == []


async def test_clearing_a_user(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name)
    await client.add_user_profile([{"user_id": name, "content": "likes tea"}])
    counts = (await client.clear_user_data(user_id=name)).deleted_counts
    assert (counts["interactions"], counts["profiles"], counts["requests"]) == (1, 1, 1)
    assert await turns(client, name) == []


async def test_the_outcome_of_a_session(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name, session_id=name)
    assert (await client.finalize_session(name, name)).accepted is True
    assert (await client.finalize_session_async(user_id=name, session_id=name)).accepted is True
    assert (await client.finalize_session(name, "nope")).accepted is False
    now = int(time.time())
    fields = {"session_id": name, "occurred_at": now, "label": "l", "value": 2.5, "metadata": {"a": [1]}}
    recorded = await client.mark_session_outcome({**fields, "outcome": "success"})
    assert (recorded.success, recorded.recorded) == (True, True)
    assert (await client.mark_session_outcome({**fields, "outcome": "success"})).recorded is False
    other = await client.mark_session_outcome({**fields, "outcome": "failure"})
    assert (other.success, other.reason) == (False, SessionOutcomeFailureReason.CONFLICTING_FINALIZATION)
    (outcome,) = (await client.get_session_outcomes(session_ids=[name])).session_outcomes
    assert (outcome.outcome, outcome.label, outcome.value) == (SessionOutcomeKind.SUCCESS, "l", 2.5)
    assert outcome.metadata == {"a": [1]}
    assert (
        await client.get_session_outcomes(user_id=name, outcome=SessionOutcomeKind.FAILURE)
    ).session_outcomes == []


async def test_a_publish_in_the_background(client: AsyncReflexioClient, name: str) -> None:
    first = await client.publish_later(name, [{"content": "I like sushi"}], session_id=name)
    second = await client.for_session(name).publish_later(name, [{"content": "and tea"}])
    assert (await first).request_id == first.request_id
    assert (await second).success
    assert sorted(await turns(client, name)) == ["I like sushi", "and tea"]


async def test_deleting_a_session(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name, session_id=name)
    assert (await client.delete_session(name, wait_for_response=True)).deleted_requests_count == 1
    assert await turns(client, name) == []


async def test_within_one_session(client: AsyncReflexioClient, name: str) -> None:
    session = client.for_session(name)
    receipt = await session.publish_interaction(user_id=name, interactions=[{"content": "I like sushi"}])
    await session.publish_interaction_async(
        user_id=name, session_id=name, interactions=[{"content": "and tea"}]
    )
    assert receipt.success
    (found,) = (await session.get_requests()).sessions
    assert (found.session_id, len(found.requests)) == (name, 2)
    assert (await session.finalize_session(name)).accepted
    assert (await session.finalize_session_async(name)).accepted
    marked = await session.mark_session_outcome(
        outcome=SessionOutcomeKind.FAILURE, occurred_at=int(time.time())
    )
    assert marked.recorded
    assert len((await session.get_session_outcomes()).session_outcomes) == 1
    await client.add_user_profile([{"user_id": name, "content": "likes sushi"}])
    assert len((await session.search(query="sushi", user_id=name)).profiles) == 1
    assert (await session.search_async(query="sushi", user_id=name)).profiles == []  # given before
    assert (await session.search_user_profiles(user_id=name, query="sushi")).success
    with pytest.warns(DeprecationWarning, match="use search_user_profiles"):
        assert (await session.search_profiles(user_id=name, query="sushi")).success
    assert (await session.search_user_playbooks(query="sushi")).success
    assert (await session.search_agent_playbooks(query="sushi")).success
    assert (await session.get_agent_playbooks(force_refresh=True)).success
    assert (await session.get_retrieved_learning_evaluation_results()).results == []
    for refused in (
        session.get_requests(session_id="another"),
        session.publish_interaction(user_id=name, session_id="another", interactions=[{"content": "x"}]),
        session.get_session_outcomes(session_ids=[name, "another"]),
        session.finalize_session(name, "another"),
        session.delete_session("another"),
    ):
        with pytest.raises(InvalidRequest, match="of session"):
            await refused
    assert (await session.delete_session(wait_for_response=True)).deleted_requests_count == 2
    skipped = await session.grade_on_demand(agent_version="v1")
    assert (skipped.session_id, skipped.skipped_reason) == (name, "NO_REQUESTS")
    assert (await session.whoami()).org_id


async def test_an_id_given_twice_is_refused(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name, request_id=name)
    with pytest.raises(RequestRefused, match="already exists"):
        await publish(client, name, request_id=name)
    with pytest.raises(NotFound):
        await client.get_learning_status(f"not-{name}")
