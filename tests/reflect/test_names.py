"""Names of calls, and projects in paths."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from reflexio_async import AsyncReflectClient, AuthenticationError, PermissionDenied, UnexpectedResponse
from tests.reflect.scene import scene
from tests.transport.servers import raw_server, reply_with, sequence

MEMORY = {"id": "m1", "task": "t", "reflection": "r"}


@pytest.mark.parametrize(
    "name",
    [
        "query_memories",
        "augment_with_memories",
        "create_trace",
        "create_trace_and_wait",
        "wait_for_trace",
        "get_trace",
        "create_memory",
        "get_skill",
        "trace",
    ],
)
def test_the_async_names_are_the_same_functions(name: str) -> None:
    assert getattr(AsyncReflectClient, name) is getattr(AsyncReflectClient, f"{name}_async")


async def test_every_call_is_in_the_project_of_the_client() -> None:
    async with scene(client={"project_id": "mine"}) as s:
        await s.client.create_trace_and_wait(task="t", trajectory=[], review_result="pass")
        await s.client.query_memories("t")
        paths = {record.path for record in s.box.requests}
        assert all(path.startswith("/v1/projects/mine/") for path in paths)


async def test_a_view_of_another_project_shares_everything_else() -> None:
    async with scene() as s:
        other = s.client.with_project("other")
        trace = await other.create_trace_and_wait(task="t", trajectory=[])
        assert [one.id for one in s.box.reflect.traces("other")] == [trace.id]
        assert await s.client.list_traces() == []
        assert [one.id for one in await s.client.list_traces(project_id="other")] == [trace.id]
        assert await other.wait_for_trace(trace.id) == trace


@pytest.mark.parametrize(
    ("project", "quoted"), [("a/b", "a%2Fb"), ("Zürich 1", "Z%C3%BCrich%201"), ("x?y#z%", "x%3Fy%23z%25")]
)
async def test_a_project_is_quoted_in_the_path(project: str, quoted: str) -> None:
    async with (
        raw_server(sequence(then=reply_with([]))) as server,
        AsyncReflectClient(base_url=f"{server.url}/base", project_id=project) as client,
    ):
        await client.list_traces(review_status="reviewed")
    assert [request.target for request in server.arrived] == [
        f"/base/v1/projects/{quoted}/traces?review_status=reviewed"
    ]


async def test_a_key_of_one_project_is_refused_in_another() -> None:
    async with scene() as s:
        created = await s.client.create_api_key(label="l", scopes=["trace:write"])
        options: dict[str, Any] = {"base_url": s.box.reflect_url, "clock": s.clock, "project_id": "unknown"}
        async with AsyncReflectClient(api_key=created.api_key, **options) as other:
            with pytest.raises(PermissionDenied, match="does not belong"):
                await other.create_trace(task="t", trajectory=[])
        assert "unknown" not in s.box.reflect.projects


async def test_the_error_of_a_wrong_key_says_how_to_give_a_key() -> None:
    async with scene(client={"api_key": "wrong"}) as s:
        with pytest.raises(AuthenticationError, match=r"pass api_key, or set REFLECT_API_KEY\)"):
            await s.client.query_memories("t")
        with pytest.raises(AuthenticationError):
            await s.client.create_trace_and_wait(task="t", trajectory=[])


async def test_the_error_of_a_web_page_says_what_to_check() -> None:
    page = reply_with(b"<html>", kind="text/html")
    async with (
        raw_server(sequence(then=page)) as server,
        AsyncReflectClient(base_url=server.url) as client,
    ):
        for call in (client.list_traces(), client.health()):
            with pytest.raises(UnexpectedResponse, match="REFLECT_API_URL"):
                await call


async def test_responses_may_have_unknown_fields() -> None:
    trace = {"id": "t", "task": "t", "review_status": "appealed", "ingest_status": "resting", "new": 1}
    async with (
        raw_server(sequence(reply_with(trace), reply_with([MEMORY | {"age": 3}]))) as server,
        AsyncReflectClient(base_url=server.url) as client,
    ):
        read = await client.get_trace("t")
        assert (read.review_status, read.ingest_status, read.model_extra) == (
            "appealed",
            "resting",
            {"new": 1},
        )
        [memory] = await client.query_memories("t")
        assert (memory.q_value, memory.model_extra) == (0.5, {"age": 3})


def test_the_signature_of_a_call_has_its_keywords() -> None:
    call = AsyncReflectClient(base_url="http://127.0.0.1:1").create_trace
    assert list(inspect.signature(call).parameters)[:4] == [
        "task",
        "trajectory",
        "project_id",
        "final_response",
    ]
    assert (call.__doc__ or "").startswith("Send one run of an agent")
