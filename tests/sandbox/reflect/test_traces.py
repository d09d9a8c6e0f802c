"""Traces: submitting, reading, reviewing and deleting them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.reflect.wire import FAILED, PASSED, TURNS

if TYPE_CHECKING:
    from tests.sandbox.reflect.conftest import Reflects

REFLECTION = {"summary": "carry", "guidance": "carry the one", "applicable_tools": ["abacus"]}


async def test_a_stored_trace_shows_what_was_sent(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        sent = {"model": "m-1", "metadata": {"run": 7}, "retrieved_memory_ids": ["unknown"]}
        trace = await wire.stored("2 + 2", **sent, final_response="four")
        assert trace.pop("id")
        assert trace == {
            "task": "2 + 2",
            "trajectory": TURNS,
            "final_response": "four",
            **sent,
            "review_status": "pending",
            "ingest_status": "completed",
            "ingest_attempts": 1,
            "last_ingest_error": None,
            "created_memory_id": None,
            "review": None,
        }


@pytest.mark.parametrize("extra", [{"name": "calculator"}, {"tool_calls": [{"id": "c1"}]}, {"content": None}])
async def test_a_message_keeps_unknown_fields(reflecting: Reflects, extra: dict[str, Any]) -> None:
    async with reflecting() as wire:
        trajectory = [{"role": "tool", **extra}]
        assert (await wire.stored(trajectory=trajectory))["trajectory"] == trajectory


async def test_the_final_response_is_the_last_message_of_the_assistant(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        messages = [("assistant", "3"), ("assistant", "4"), ("assistant", None), ("tool", "5")]
        turns = [{"role": role, "content": content} for role, content in messages]
        assert (await wire.stored(trajectory=turns))["final_response"] == "4"


async def test_without_an_assistant_there_is_no_final_response(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        assert (await wire.stored(trajectory=[]))["final_response"] == ""


async def test_a_trajectory_may_be_the_json_of_a_list(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        assert (await wire.stored(trajectory=json.dumps(TURNS)))["trajectory"] == TURNS


@pytest.mark.parametrize(
    "text", ["User: 2 + 2?\nAssistant: 4", "", "{}", '"[]"', "[1]", '[{"content": "no role"}]', "[NaN]"]
)
async def test_any_other_text_is_one_message_of_the_assistant(reflecting: Reflects, text: str) -> None:
    async with reflecting() as wire:
        trace = await wire.stored(trajectory=text)
        assert trace["trajectory"] == [{"role": "assistant", "content": text}]
        assert trace["final_response"] == text


@pytest.mark.parametrize("trajectory", [3, None, {}, ["I added"], [{"content": "no role"}]], ids=repr)
async def test_a_trajectory_that_is_neither_text_nor_messages_is_refused(
    reflecting: Reflects, trajectory: Any
) -> None:
    async with reflecting() as wire:
        answer = await wire.submit(trajectory=trajectory)
        assert answer.status == 422
        assert answer.json["detail"][0]["loc"][:2] == ["body", "trajectory"]


@pytest.mark.parametrize("task", ["", "  \n"])
async def test_a_trace_of_an_empty_task_is_refused(reflecting: Reflects, task: str) -> None:
    async with reflecting() as wire:
        answer = await wire.submit(task)
        assert (answer.status, answer.json["detail"][0]["loc"]) == (422, ["body", "task"])


@pytest.mark.parametrize("result", ["success", "failure", "PASS", None])
async def test_a_verdict_is_pass_or_fail(reflecting: Reflects, result: str | None) -> None:
    async with reflecting() as wire:
        assert (await wire.submit(review={"result": result})).status == 422


@pytest.mark.parametrize("alpha", [-0.1, 1.1, "a lot"])
async def test_alpha_is_from_0_to_1(reflecting: Reflects, alpha: Any) -> None:
    async with reflecting() as wire:
        assert (await wire.submit(review={"result": "pass", "alpha": alpha})).status == 422


async def test_a_trace_with_its_review_ends_reviewed_with_a_memory(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        trace = await wire.stored(review=FAILED)
        assert trace["review_status"] == "reviewed"
        assert trace["review"] == {
            "id": trace["review"]["id"],
            "trace_id": trace["id"],
            "mode": "inline",
            **FAILED,
        }
        assert [memory["id"] for memory in await wire.query()] == [trace["created_memory_id"]]


async def test_an_authored_reflection_is_stored_at_once(reflecting: Reflects) -> None:
    async with reflecting(ingest_seconds=60.0) as wire:
        answer = await wire.submit(trajectory=[], review={**PASSED, "reflection": REFLECTION})
        assert answer.json["ingest_status"] == "completed"
        trace = (await wire.trace(answer.json["trace_id"])).json
        [memory] = await wire.query()
        assert trace["created_memory_id"] == memory["id"]
        assert {name: memory[name] for name in REFLECTION} == REFLECTION


async def test_an_authored_reflection_needs_its_lesson(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        answer = await wire.submit(review={**PASSED, "reflection": {"summary": "carry"}})
        assert answer.json["detail"][0]["loc"] == ["body", "review", "reflection", "guidance"]


async def test_a_trace_reviewed_later_ends_reviewed_with_a_memory(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        trace_id = (await wire.stored())["id"]
        reviewed = await wire.review(trace_id, **FAILED)
        assert (reviewed.json["review"]["mode"], reviewed.json["review_status"]) == ("deferred", "reviewed")
        assert (await wire.trace(trace_id)).json == reviewed.json
        assert [memory["id"] for memory in await wire.query()] == [reviewed.json["created_memory_id"]]


@pytest.mark.parametrize("review", [None, PASSED], ids=["deferred", "inline"])
async def test_a_trace_is_reviewed_once(reflecting: Reflects, review: Any) -> None:
    async with reflecting() as wire:
        trace_id = (await wire.stored(review=review))["id"]
        if review is None:
            await wire.review(trace_id, **PASSED)
        assert (await wire.review(trace_id, **FAILED)).status == 409
        assert (await wire.trace(trace_id)).json["review"]["result"] == "pass"


async def test_an_unknown_trace_cannot_be_reviewed(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        answer = await wire.review("nowhere", **PASSED)
        assert (answer.status, answer.json) == (404, {"detail": "Trace not found"})


async def test_a_trace_of_another_project_is_not_found(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        trace_id = (await wire.stored())["id"]
        assert (await wire.using(project="other").trace(trace_id)).status == 404


async def test_traces_are_listed_newest_first(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        ids = [(await wire.stored(f"task {number}"))["id"] for number in range(3)]
        assert [trace["id"] for trace in (await wire.get(wire.at("/traces"))).json] == ids[::-1]


@pytest.mark.parametrize(("status", "task"), [("pending", "open"), ("reviewed", "done")])
async def test_traces_are_listed_by_review_status(reflecting: Reflects, status: str, task: str) -> None:
    async with reflecting() as wire:
        await wire.stored("open")
        await wire.stored("done", review=PASSED)
        listed = (await wire.get(wire.at("/traces"), review_status=status)).json
        assert [trace["task"] for trace in listed] == [task]


async def test_a_review_status_that_does_not_exist_is_refused(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        answer = await wire.get(wire.at("/traces"), review_status="lost")
        assert (answer.status, answer.json["detail"][0]["loc"]) == (422, ["query", "review_status"])


async def test_only_the_named_traces_are_deleted(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        ids = [(await wire.stored())["id"] for _ in range(3)]
        answer = await wire.post(wire.at("/traces/delete"), trace_ids=[*ids[:2], "nowhere"])
        assert (answer.status, answer.json["deleted"]) == (200, 2)
        assert [trace["id"] for trace in (await wire.get(wire.at("/traces"))).json] == ids[2:]


async def test_the_memory_of_a_deleted_trace_stays(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        trace = await wire.stored(review=PASSED)
        await wire.post(wire.at("/traces/delete"), trace_ids=[trace["id"]])
        assert [memory["id"] for memory in await wire.query()] == [trace["created_memory_id"]]
