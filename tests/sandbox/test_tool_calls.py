"""Pending tool calls and stalls. The real server has neither offline."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from reflexio_async.sandbox import VirtualClock
    from tests.behaviour.wire import Wire
    from tests.sandbox.conftest import Opens

_CALLS = "/api/pending_tool_calls"


async def test_a_pending_question_shows_its_nulls(opened: Opens) -> None:
    async with opened() as (box, wire):
        call_id = box.ask("which size?", user_id="u")
        call = (await wire.get(f"{_CALLS}/{call_id}")).json
        assert (call["status"], call["question_text"], call["tool_name"]) == (
            "pending",
            "which size?",
            "ask_human",
        )
        assert (call["result"], call["resolved_at"], call["superseded_by"]) == (None, None, None)
        assert call["created_at"].endswith("Z")
        assert (await wire.get(_CALLS, status="pending")).json == {"pending_tool_calls": [call]}
        assert (await wire.get(_CALLS, status="resolved")).json == {"pending_tool_calls": []}


async def test_the_first_answer_counts(opened: Opens) -> None:
    async with opened() as (box, wire):
        path = f"{_CALLS}/{box.ask('which size?')}"
        resolved = (await wire.post(f"{path}/resolve", result={"answer": "M"})).json
        again = await wire.post(f"{path}/resolve", result={"answer": "M"})
        other = await wire.post(f"{path}/resolve", result={"answer": "L"})
        assert (resolved["status"], again.json) == ("resolved", resolved)
        assert (other.status, other.json["detail"]) == (
            409,
            "Pending tool call already resolved with a different result",
        )
        changed = await wire.send("PATCH", f"{path}/answer", json={"answer": " L ", "valid_for_seconds": 60})
        assert changed.json["result"] == {"answer": "L"}
        nothing = await wire.post(f"{path}/not_applicable")
        assert nothing.json["result"]["not_applicable"] is True
        cancelled = await wire.send("POST", f"{path}/cancel")
        assert (cancelled.status, cancelled.json["detail"]) == (409, "Pending tool call is resolved")


async def test_a_cancelled_question_takes_no_answer(opened: Opens) -> None:
    async with opened() as (box, wire):
        path = f"{_CALLS}/{box.ask('which size?')}"
        for _ in range(2):
            assert (await wire.send("POST", f"{path}/cancel")).json["status"] == "cancelled"
        refused = await wire.post(f"{path}/resolve", result={})
        assert (refused.status, refused.json["detail"]) == (409, "Pending tool call is cancelled")


async def test_a_question_expires_after_a_day(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (box, wire):
        path = f"{_CALLS}/{box.ask('which size?')}"
        await clock.sleep(24 * 3600)
        assert (await wire.get(path)).json["status"] == "expired"


async def test_only_questions_to_people_may_be_answered_again(opened: Opens) -> None:
    async with opened() as (box, wire):
        answer = await wire.post(f"{_CALLS}/{box.ask('?', tool_name='other')}/not_applicable")
        assert (answer.status, answer.json["detail"]) == (
            409,
            "Only ask_human tool calls can be managed from this endpoint",
        )


def _headers(clock: VirtualClock, body: bytes, key: str = "s3") -> dict[str, str]:
    timestamp = str(int(clock.time()))
    signed = hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "x-reflexio-timestamp": timestamp,
        "x-reflexio-signature": f"sha256={signed}",
    }


async def _signed(wire: Wire, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    answer = await wire.send("POST", f"{path}/resolve", data=body, headers=headers)
    return answer.status, answer.json.get("detail")


async def test_answers_are_signed_once_there_are_secrets(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (box, wire):
        await wire.post("/api/update_config", pending_tool_call_config={"hmac_secrets": ["s3"]})
        path, body = f"{_CALLS}/{box.ask('which size?')}", b'{"result": {"answer": "M"}}'
        good = _headers(clock, body)
        plain = {"Content-Type": "application/json"}
        assert await _signed(wire, path, body, plain) == (401, "Missing HMAC signature")
        wrong = _headers(clock, body, "other")
        assert await _signed(wire, path, body, wrong) == (401, "Invalid HMAC signature")
        unreadable = {**good, "x-reflexio-timestamp": "soon"}
        assert await _signed(wire, path, body, unreadable) == (401, "Invalid HMAC timestamp")
        assert (await _signed(wire, path, body, good))[0] == 200
        await clock.sleep(301)
        assert await _signed(wire, path, body, good) == (401, "Expired HMAC timestamp")


@pytest.mark.parametrize("reason", ["billing_error", "auth_error"])
async def test_a_stall_is_seen_and_acknowledged(opened: Opens, reason: Any) -> None:
    async with opened() as (box, wire):
        box.stall(reason)
        state = (await wire.get("/stall_state")).json
        assert (state["stalled"], state["reason"], state["notified_in_cc"]) == (True, reason, False)
        assert (await wire.send("POST", "/stall_state/notified")).json == {"notified_in_cc": True}
        assert (await wire.get("/stall_state")).json["notified_in_cc"] is True
        box.stall(None)
        assert (await wire.get("/stall_state")).json["stalled"] is False


async def test_credentials_are_shown_where_that_is_allowed(opened: Opens) -> None:
    async with opened(my_config=True) as (_, wire):
        mine = (await wire.get("/api/my_config")).json
        assert mine == {
            "success": True,
            "storage_type": "sqlite",
            "storage_config": {"db_path": None},
            "message": "",
        }
