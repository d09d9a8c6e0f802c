"""The calls of a Reflect server, and the requests that they send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reflexio_async import (
    AsyncReflectClient,
    AuthenticationError,
    Conflict,
    NotFound,
    PermissionDenied,
    TraceJob,
)
from reflexio_async.reflect.models import IngestStatus, ReviewStatus, TraceCreate
from tests.reflect.scene import MESSAGES, scene
from tests.transport.servers import ReceivedRequest, raw_server, reply_with, sequence


async def request_sent_by(call: str, *args: Any, reply: Any = None, **kwargs: Any) -> ReceivedRequest:
    """The request that a call sends."""
    async with (
        raw_server(sequence(then=reply_with(reply if reply is not None else []))) as server,
        AsyncReflectClient(base_url=server.url, api_key="k", project_id="p") as client,
    ):
        await getattr(client, call)(*args, **kwargs)
    return server.arrived[0]


# --- traces


async def test_a_trace_with_a_review_becomes_a_memory() -> None:
    async with scene(ingest_seconds=2) as s:
        job = await s.client.create_trace(task="sort a list", trajectory=MESSAGES, review_result="pass")
        assert isinstance(job, TraceJob)
        assert (job.ingest_status, job.kind) == (IngestStatus.QUEUED, "reviewed_trace")
        trace = await job
        assert (trace.id, trace.review_status) == (job.id, ReviewStatus.REVIEWED)
        assert job.ingest_status == IngestStatus.COMPLETED
        [memory] = await s.client.query_memories("sort a list")
        assert memory.id == trace.created_memory_id


async def test_a_trace_without_a_review_is_done_when_it_is_stored() -> None:
    async with scene(ingest_seconds=2) as s:
        trace = await (await s.client.create_trace(task="sort a list", trajectory=MESSAGES))
        assert (trace.review_status, trace.created_memory_id) == (ReviewStatus.PENDING, None)
        assert trace.trajectory == MESSAGES


async def test_the_final_response_is_the_last_answer_unless_it_is_given() -> None:
    async with scene() as s:
        left_out = await s.client.create_trace_and_wait(task="t", trajectory=MESSAGES)
        given = await s.client.create_trace_and_wait(task="t", trajectory=MESSAGES, final_response="other")
        assert (left_out.final_response, given.final_response) == ("[1, 2]", "other")


@pytest.mark.parametrize("trajectory", [MESSAGES, tuple(MESSAGES), json.dumps(MESSAGES)])
async def test_a_trajectory_is_a_sequence_or_json(trajectory: Any) -> None:
    async with scene() as s:
        trace = await s.client.create_trace_and_wait(task="t", trajectory=trajectory)
        assert trace.trajectory == MESSAGES


async def test_other_keys_of_messages_are_sent() -> None:
    message = {"role": "tool", "content": None, "tool_call_id": "c1", "name": "search"}
    async with scene() as s:
        trace = await s.client.create_trace_and_wait(task="t", trajectory=[message])
        assert trace.trajectory == [message]


async def test_all_fields_of_a_trace_are_sent() -> None:
    async with scene() as s:
        trace = await s.client.create_trace_and_wait(
            task="t",
            trajectory=MESSAGES,
            final_response="f",
            retrieved_memory_ids=["m1"],
            model="gpt",
            metadata={"run": 1},
            review_result="fail",
            feedback_text="wrong order",
            reference_context="docs",
            alpha=0.5,
        )
        assert (trace.model, trace.metadata, trace.retrieved_memory_ids) == ("gpt", {"run": 1}, ["m1"])
        assert trace.review is not None
        assert (trace.review.result, trace.review.feedback_text, trace.review.mode) == (
            "fail",
            "wrong order",
            "inline",
        )


async def test_fields_that_are_none_are_not_sent() -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        (
            "final_response",
            "model",
            "metadata",
            "review_result",
            "feedback_text",
            "reference_context",
            "alpha",
        )
    )
    reply = {"trace_id": "t1", "ingest_status": "queued"}
    request = await request_sent_by("create_trace", task="t", trajectory=[], reply=reply, **nothing)
    assert request.json == {"task": "t", "trajectory": []}


async def test_the_review_is_sent_as_one_object() -> None:
    request = await request_sent_by(
        "create_trace",
        task="t",
        trajectory=[],
        review_result="Success",
        feedback_text="well done",
        alpha=0.25,
        reply={"trace_id": "t1", "ingest_status": "queued"},
    )
    assert request.json["review"] == {"result": "pass", "feedback_text": "well done", "alpha": 0.25}
    assert set(request.json) == {"task", "trajectory", "review"}


async def test_feedback_and_alpha_without_a_result_are_not_sent() -> None:
    request = await request_sent_by(
        "create_trace",
        task="t",
        trajectory=[],
        feedback_text="f",
        alpha=0.25,
        reply={"trace_id": "t1", "ingest_status": "queued"},
    )
    assert request.json == {"task": "t", "trajectory": []}


@pytest.mark.parametrize(
    "request_",
    [
        {"task": "t", "trajectory": [], "review_result": "fail"},
        {"task": "t", "trajectory": [], "review": {"result": "failure"}},
        TraceCreate(task="t", trajectory=[], review_result="fail"),
    ],
)
async def test_a_trace_may_be_given_as_one_request(request_: Any) -> None:
    reply = {"trace_id": "t1", "ingest_status": "queued"}
    for sent in (
        await request_sent_by("create_trace", request_, reply=reply),
        await request_sent_by("create_trace", request=request_, reply=reply),
    ):
        assert sent.json == {"task": "t", "trajectory": [], "review": {"result": "fail"}}


async def test_traces_can_be_listed_and_read() -> None:
    async with scene() as s:
        judged = await s.client.create_trace_and_wait(task="a", trajectory=[], review_result="pass")
        left = await s.client.create_trace_and_wait(task="b", trajectory=[])
        assert {trace.id for trace in await s.client.list_traces()} == {judged.id, left.id}
        assert [trace.id for trace in await s.client.list_traces(review_status="pending")] == [left.id]
        assert (await s.client.get_trace(judged.id)).task == "a"
        with pytest.raises(NotFound):
            await s.client.get_trace(trace_id="unknown")


async def test_a_trace_can_be_reviewed_later() -> None:
    async with scene() as s:
        trace = await s.client.create_trace_and_wait(task="t", trajectory=MESSAGES)
        judged = await s.client.review_trace(trace.id, result="Failure", feedback_text="no", alpha=1)
        assert judged.review is not None
        assert (judged.review.result, judged.review.mode) == ("fail", "deferred")
        done = await s.client.wait_for_trace(trace.id, require_reviewed=True)
        assert done.created_memory_id is not None
        with pytest.raises(Conflict):
            await s.client.review_trace(trace.id, result="pass")


async def test_traces_can_be_deleted() -> None:
    async with scene() as s:
        traces = [
            await s.client.create_trace_and_wait(task=f"t{number}", trajectory=[]) for number in range(3)
        ]
        await s.client.delete_traces([trace.id for trace in traces[:2]])
        assert [trace.id for trace in await s.client.list_traces()] == [traces[2].id]


@pytest.mark.parametrize("call", ["get_trace", "wait_for_trace"])
async def test_success_false_of_a_memory_is_no_refusal_of_the_call(call: str) -> None:
    reply = {"id": "t", "task": "x", "review_status": "reviewed", "success": False}
    async with (
        raw_server(sequence(then=reply_with(reply))) as server,
        AsyncReflectClient(base_url=server.url) as client,
    ):
        trace = await getattr(client, call)("t")
    assert trace.model_extra == {"success": False}


async def test_an_id_is_quoted_in_the_path() -> None:
    request = await request_sent_by(
        "get_trace", "a/b?c ü", reply={"id": "x", "task": "t", "review_status": "pending"}
    )
    assert request.target == "/v1/projects/p/traces/a%2Fb%3Fc%20%C3%BC"


# --- memories


async def test_memories_are_found_by_the_task() -> None:
    async with scene() as s:
        memory = s.box.reflect.seed_memory("sort a list", guidance="use sorted()", metadata={"lang": "py"})
        s.box.reflect.seed_memory("cook soup")
        for found in (
            await s.client.query_memories("sort the list"),
            await s.client.query_memories(task="sort the list", metadata_filter={"lang": "py"}),
            await s.client.query_memories("sort the list", lambda_=0.9),
        ):
            assert [one.id for one in found] == [memory.id]
        assert await s.client.query_memories("sort the list", metadata_filter={"lang": "c"}) == []
        assert await s.client.query_memories("sort the list", similarity_threshold=0.99) == []


async def test_all_fields_of_a_query_are_sent() -> None:
    request = await request_sent_by(
        "query_memories",
        "t",
        limit=3,
        lambda_=0.2,
        metadata_filter={"a": [1]},
        similarity_threshold=0.4,
        mmr_lambda=1,
    )
    assert request.method == "POST"
    assert request.target == "/v1/projects/p/memory/query"
    assert request.json == {
        "task": "t",
        "limit": 3,
        "lambda": 0.2,
        "metadata_filter": {"a": [1]},
        "similarity_threshold": 0.4,
        "mmr_lambda": 1.0,
    }


async def test_a_query_sends_its_defaults_and_no_fields_that_are_none() -> None:
    assert (await request_sent_by("query_memories", "t")).json == {
        "task": "t",
        "limit": 10,
        "lambda": 0.5,
        "mmr_lambda": 0.7,
    }


async def test_a_null_response_is_an_empty_list_of_memories() -> None:
    async with (
        raw_server(sequence(then=reply_with(b"null"))) as server,
        AsyncReflectClient(base_url=server.url) as client,
    ):
        assert await client.query_memories("t") == []


async def test_a_task_is_augmented_with_memories() -> None:
    async with scene() as s:
        assert (await s.client.augment_with_memories("sort a list")).augmented_task == "sort a list"
        memory = s.box.reflect.seed_memory("sort a list", guidance="use sorted()")
        augmented = await s.client.augment_with_memories("sort a list", limit=1)
        assert [one.id for one in augmented.memories] == [memory.id]
        assert augmented.augmented_task.startswith("sort a list\n")
        assert "use sorted()" in augmented.augmented_task


async def test_a_lesson_may_be_written_by_the_caller() -> None:
    async with scene() as s:
        used = s.box.reflect.seed_memory("parse dates")
        job = await s.client.create_memory(
            task="parse a date",
            summary="ISO only",
            guidance="use fromisoformat",
            result="success",
            key_mistake="guessed",
            correct_action="asked",
            applicable_tools=["python"],
            retrieved_memory_ids=[used.id],
        )
        trace = await job
        assert (trace.trajectory, trace.review_status) == ([], "reviewed")
        found = {memory.id: memory for memory in await s.client.query_memories("parse a date")}
        made = found[trace.created_memory_id or ""]
        assert (made.summary, made.guidance, made.key_mistake) == ("ISO only", "use fromisoformat", "guessed")
        assert (made.correct_action, made.applicable_tools) == ("asked", ["python"])
        assert found[used.id].q_value == pytest.approx(0.65)


# --- the skill, keys, the project, the server


async def test_a_skill_is_none_until_it_is_made() -> None:
    async with scene() as s:
        assert await s.client.get_skill() is None
        await s.client.create_trace_and_wait(task="t", trajectory=MESSAGES, review_result="pass")
        made = await s.client.create_skill(n_passed=1, n_failed=0)
        assert (made.model_extra or {})["n_passed"] == 1
        assert await s.client.get_skill() == made


async def test_a_key_can_be_made_used_and_revoked() -> None:
    async with scene() as s:
        created = await s.client.create_api_key(label="ci", scopes=["memory:read"], environment="test")
        options: dict[str, Any] = {"base_url": s.box.reflect_url, "clock": s.clock, "project_id": "default"}
        async with AsyncReflectClient(api_key=created.api_key, **options) as other:
            assert await other.query_memories("t") == []
            with pytest.raises(PermissionDenied):
                await other.list_api_keys()
            revoked = await s.client.revoke_api_key(created.key.id)
            with pytest.raises(AuthenticationError):
                await other.query_memories("t")
        assert revoked.status == "revoked"
        assert [(key.label, key.environment) for key in await s.client.list_api_keys()] == [("ci", "test")]


async def test_a_project_is_deleted_with_everything_in_it() -> None:
    async with scene() as s:
        await s.client.create_trace_and_wait(task="t", trajectory=[])
        await s.client.delete_project()
        assert s.box.reflect.projects == {}
        with pytest.raises(NotFound):
            await s.client.delete_project()


async def test_health_sends_no_key() -> None:
    request = await request_sent_by("health", reply={"status": "ok"})
    assert (request.target, "authorization" in request.headers) == ("/health", False)


async def test_bootstrap_needs_no_client() -> None:
    async with scene() as s:
        made = await AsyncReflectClient.bootstrap(
            base_url=s.box.reflect_url,
            bootstrap_token="sandbox-bootstrap",
            user_id="ana",
            project_id="first",
            clock=s.clock,
        )
        assert (made.user_id, made.project_id) == ("ana", "first")
        options: dict[str, Any] = {"base_url": s.box.reflect_url, "clock": s.clock, "project_id": "first"}
        async with AsyncReflectClient(api_key=made.api_key, **options) as first:
            assert await first.list_traces() == []


async def test_bootstrap_sends_its_token_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFLECT_API_KEY", "rf_other")
    reply = {"user_id": "u", "project_id": "p", "api_key": "rf_new"}
    async with raw_server(sequence(then=reply_with(reply))) as server:
        await AsyncReflectClient.bootstrap(
            base_url=server.url, bootstrap_token="tok", user_id="u", project_id="p", key_label="first"
        )
    [request] = server.arrived
    assert request.headers["x-bootstrap-token"] == "tok"
    assert "authorization" not in request.headers
    assert request.json == {"user_id": "u", "project_id": "p", "key_label": "first"} | {"environment": "live"}
