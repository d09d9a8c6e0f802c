"""Publishing, what is stored, and what is learnt from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reflexio_async import JobState, NotFound, RequestRefused
from tests.real.helpers import TURN, current, publish

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient

pytestmark = pytest.mark.real


async def stored(client: AsyncReflexioClient, request_id: str) -> list[tuple[str, list[str]]]:
    """Users and turns stored under ``request_id``."""
    found = await client.get_requests(request_id=request_id)
    return [
        (row.request.user_id, [turn.content for turn in row.interactions])
        for session in found.sessions
        for row in session.requests
    ]


async def test_the_answer_says_what_was_stored_where(client: AsyncReflexioClient, name: str) -> None:
    receipt = await publish(client, name)
    assert (receipt.success, receipt.message) == (True, "Interaction published successfully")
    assert (receipt.storage_type, receipt.warnings) == ("sqlite", [])
    assert (receipt.profiles_added, receipt.playbooks_added) == (0, 0)
    assert (receipt.learning_status, receipt.learning_reason) == ("deferred", "waiting_for_window")
    assert receipt.request_id is not None
    assert await stored(client, receipt.request_id) == [(name, ["I like sushi"])]


async def test_a_request_id_of_ones_own_is_kept(client: AsyncReflexioClient, name: str) -> None:
    receipt = await publish(client, name, request_id=name)
    assert receipt.request_id == name
    assert await stored(client, name) == [(name, ["I like sushi"])]


async def test_the_same_request_id_again_is_refused_and_stores_nothing(
    client: AsyncReflexioClient, name: str
) -> None:
    await publish(client, name, request_id=name)
    with pytest.raises(RequestRefused, match=f"request_id '{name}' already exists") as caught:
        await publish(client, f"{name}-other", request_id=name)
    assert caught.value.response.success is False
    assert await stored(client, name) == [(name, ["I like sushi"])]


async def test_a_refusal_is_returned_when_that_is_asked_for(client: AsyncReflexioClient, name: str) -> None:
    lenient = client.with_options(raise_on_refusal=False)
    await publish(lenient, name, request_id=name)
    again = await publish(lenient, name, request_id=name)
    assert (again.success, again.message) == (False, f"request_id '{name}' already exists")


async def test_turns_keep_their_order_and_their_fields(client: AsyncReflexioClient, name: str) -> None:
    receipt = await client.publish_interaction(
        user_id=name,
        session_id=name,
        source="tests",
        interactions=[TURN, {"role": "assistant", "content": "Noted: sushi\u2028and \U0001f363"}],
    )
    assert receipt.request_id is not None
    found = await client.get_requests(user_id=name, session_id=name)
    (session,) = found.sessions
    (row,) = session.requests
    assert (row.request.source, row.request.request_id) == ("tests", receipt.request_id)
    assert [(turn.role, turn.content) for turn in row.interactions] == [
        ("user", "I like sushi"),
        ("assistant", "Noted: sushi\u2028and \U0001f363"),
    ]
    assert found.has_more is False


async def test_an_empty_turn_is_dropped_with_a_warning(client: AsyncReflexioClient, name: str) -> None:
    receipt = await client.publish_interaction(
        user_id=name, session_id=name, interactions=[TURN, {"role": "user", "content": ""}]
    )
    assert len(receipt.warnings) == 1
    assert receipt.request_id is not None
    assert await stored(client, receipt.request_id) == [(name, ["I like sushi"])]


async def test_learning_waits_for_its_window(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name, request_id=name)
    assert await client.get_learning_status(name) == "pending"
    job = client.learning(name)
    assert job.status.state is JobState.RUNNING
    status = await job.refresh()
    assert (status.state, status.message) == (JobState.RUNNING, "waiting_for_window")


async def test_forced_learning_is_awaited_as_a_job(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name, request_id=name, force_extraction=True)
    answer = await client.learning(name).result(poll_interval=0.2, wait_timeout=60)
    assert answer.status == await client.get_learning_status(name) == "done"
    assert await current(client, name) == 1


async def test_learning_is_resumed_by_its_token_from_another_client(
    client: AsyncReflexioClient, other: AsyncReflexioClient, name: str
) -> None:
    await publish(client, name, request_id=name, force_extraction=True)
    token = client.learning(name).token
    assert token is not None
    answer = await other.job(token).result(poll_interval=0.2, wait_timeout=60)
    assert (answer.status, await current(client, name)) == ("done", 1)


async def test_a_publish_that_waits_tells_what_was_learnt(client: AsyncReflexioClient, name: str) -> None:
    receipt = await publish(client, name, force_extraction=True, wait_for_response=True)
    assert (receipt.learning_status, receipt.profiles_added, receipt.playbooks_added) == ("done", 1, 1)
    assert await current(client, name) == 1


async def test_learning_from_an_unknown_request_is_not_found(client: AsyncReflexioClient, name: str) -> None:
    with pytest.raises(NotFound, match="request not found"):
        await client.get_learning_status(name)
    with pytest.raises(NotFound, match="request not found"):
        await client.learning(name)


async def test_many_are_published_as_a_batch_once_each(client: AsyncReflexioClient, names: list[str]) -> None:
    items = [
        {"user_id": user, "session_id": user, "request_id": user, "interactions": [TURN]} for user in names
    ]
    # One at a time: publishes that overlap have frozen this server for good. The sandbox shows the width.
    report = await client.publish_many(items, concurrency=1)
    assert sorted(row.key for row in report.completed) == names, report.table()
    assert [await stored(client, user) for user in names] == [[(user, ["I like sushi"])] for user in names]


async def test_a_batch_repeated_is_refused_item_by_item(
    client: AsyncReflexioClient, names: list[str]
) -> None:
    items = [
        {"user_id": user, "session_id": user, "request_id": user, "interactions": [TURN]}
        for user in names[:3]
    ]
    await client.publish_many(items[:2], concurrency=1)
    report = await client.publish_many(items, concurrency=1)
    assert sorted(row.key for row in report.failed) == names[:2]
    assert [row.key for row in report.completed] == names[2:3]
    assert all(isinstance(row.error, RequestRefused) for row in report.failed)


async def test_manual_generation_in_the_background_is_awaited_by_its_handle(
    client: AsyncReflexioClient, name: str
) -> None:
    await publish(client, name)
    call = await client.manual_profile_generation(user_id=name)
    assert not call.done()
    answer = await call
    assert (answer.success, answer.profiles_generated) == (True, 1)
    assert await current(client, name) == 1


async def test_manual_generation_is_awaited_inside_the_call(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name)
    answer = await client.manual_profile_generation(user_id=name, wait_for_response=True)
    assert (answer.success, answer.profiles_generated) == (True, 1)
    assert await current(client, name) == 1


async def test_manual_playbook_generation_in_both_forms(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name, agent_version=name)
    call = await client.manual_playbook_generation(agent_version=name)
    first = await call
    second = await client.manual_playbook_generation(agent_version=name, wait_for_response=True)
    assert first.success
    assert second.success
    assert first.playbooks_generated
    made = await client.get_user_playbooks(agent_version=name, user_id=name)
    assert made.user_playbooks
