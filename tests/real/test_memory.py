"""What is recalled from the real server, and what it stores of a turn that used it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hang import A_HANG

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient

pytestmark = pytest.mark.real


async def test_a_turn_is_stored_with_what_was_recalled_for_it(client: AsyncReflexioClient, name: str) -> None:
    profile, shared = f"p-{name}", f"praise sushi, {name}"
    await client.add_user_profile([{"user_id": name, "content": "likes sushi", "profile_id": profile}])
    await client.add_agent_playbooks(
        [
            {"agent_version": name, "content": shared, "trigger": "sushi", "playbook_status": "approved"},
            {"agent_version": name, "content": f"hide sushi, {name}", "trigger": "sushi"},
        ]
    )
    talk = client.conversation(user_id=name, session_id=f"s-{name}", agent_version=name, source="tests")
    for turn in range(2):  # the second turn has the memories of the first
        context = await talk.context("sushi", timeout=A_HANG)
        assert "likes sushi" in str(context)
        assert shared in str(context)
        assert "hide sushi" not in str(context)
        question = {"role": "user", "content": f"{context}\n\nWhere is sushi, {turn}?"}
        call = await talk.add([question, {"role": "assistant", "content": "At the harbour."}])
        assert call is not None
        receipt = await call
        assert receipt.warnings == []
        (session,) = (await client.get_requests(request_id=call.request_id)).sessions
        (stored,) = session.requests
        assert (stored.request.session_id, stored.request.source) == (f"s-{name}", "tests")
        asked, answered = sorted(stored.interactions, key=lambda each: each.role, reverse=True)
        assert (asked.role, asked.content) == ("User", f"Where is sushi, {turn}?")
        assert (answered.role, answered.content) == ("Assistant", "At the harbour.")
        reported = {(each["kind"], each["learning_id"]) for each in answered.retrieved_learnings}
        expected = {(str(each.kind), each.learning_id) for each in context.learnings}
        assert reported == expected
        assert ("profile", profile) in reported
        assert asked.retrieved_learnings == []
