"""What the checkers know of Reflect's calls: never run, but read by mypy and pyright in CI.

Lines that must be errors carry an ignore, and both checkers report an ignore that is not needed: so a
line that stopped being an error fails the run.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, assert_type

from reflexio_async import (
    AsyncReflectClient,
    AsyncReflexioClient,
    BatchReport,
    DrainSummary,
    LearningReport,
    TraceContext,
    TraceJob,
    reflect_trace,
)
from reflexio_async.reflect import presets
from reflexio_async.reflect.models import (
    ApiKeyInfo,
    AugmentedTask,
    BootstrapResponse,
    CreatedApiKey,
    DeleteTracesResponse,
    Memory,
    Skill,
    Trace,
    TraceCreate,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def memories(c: AsyncReflectClient) -> None:
    assert_type(await c.query_memories("t"), list[Memory])
    assert_type(await c.query_memories(task="t", limit=3, lambda_=0.5, mmr_lambda=1), list[Memory])
    assert_type(await c.query_memories("t", metadata_filter={"a": 1}, similarity_threshold=0.2), list[Memory])
    assert_type(await c.query_memories_async("t"), list[Memory])
    assert_type(await c.augment_with_memories("t", limit=1), AugmentedTask)
    assert_type(
        await c.create_memory(task="t", summary="s", guidance="g", result="pass", applicable_tools=("a",)),
        TraceJob,
    )

    await c.query_memories()  # type: ignore[call-arg]
    await c.query_memories("t", 3)  # type: ignore[call-arg]
    await c.query_memories("t", limit="3")  # type: ignore[arg-type]
    await c.query_memories({"task": "t"})  # type: ignore[arg-type]
    await c.query_memories("t", project_id="p")  # type: ignore[call-arg]
    await c.create_memory(task="t", summary="s", guidance="g")  # type: ignore[call-overload]


async def traces(c: AsyncReflectClient, *, wait: bool) -> None:
    messages = [{"role": "user", "content": "hello"}]
    job = await c.create_trace(task="t", trajectory=messages, review_result="pass", alpha=0.3)
    assert_type(job, TraceJob)
    assert_type(job.id, str)
    assert_type(job.ingest_status, str)
    assert_type(await job, Trace)
    assert_type(await job.result(poll_interval=1, wait_timeout=2), Trace)
    assert_type(await c.create_trace(TraceCreate(task="t", trajectory="[]")), TraceJob)
    assert_type(await c.create_trace({"task": "t", "trajectory": []}), TraceJob)
    assert_type(await c.create_trace_async(task="t", trajectory="[]", metadata={"a": [1]}), TraceJob)
    assert_type(await c.create_trace_and_wait(task="t", trajectory=messages, poll_interval=1), Trace)
    assert_type(await c.create_trace_and_wait({"task": "t", "trajectory": []}), Trace)
    assert_type(await c.wait_for_trace("id", require_reviewed=wait, wait_timeout=5.0), Trace)
    assert_type(await c.list_traces(), list[Trace])
    assert_type(await c.list_traces(review_status="pending"), list[Trace])
    assert_type(await c.get_trace("id"), Trace)
    assert_type(await c.get_trace(trace_id="id"), Trace)
    assert_type(await c.review_trace("id", result="fail", feedback_text=None), Trace)
    assert_type(await c.delete_traces(["id"]), DeleteTracesResponse)
    assert_type(c.job("token"), TraceJob)

    await c.create_trace(task="t")  # type: ignore[call-overload]
    await c.create_trace(task="t", trajectory=3)  # type: ignore[call-overload]
    await c.create_trace(task="t", trajectory=[], reviev_result="pass")  # type: ignore[call-overload]
    await c.create_trace(task="t", trajectory=[], poll_interval=1)  # type: ignore[call-overload]
    await c.list_traces(review_status="done")  # type: ignore[call-overload]
    await c.get_trace()  # type: ignore[call-arg]
    await c.get_trace(3)  # type: ignore[arg-type]
    await c.review_trace("id")  # type: ignore[call-arg]


async def the_rest(c: AsyncReflectClient) -> None:
    assert_type(await c.get_skill(), Skill | None)
    assert_type(await c.create_skill(n_passed=3), Skill)
    assert_type(await c.list_api_keys(), list[ApiKeyInfo])
    assert_type(await c.create_api_key(label="l", scopes=["a"]), CreatedApiKey)
    assert_type(await c.revoke_api_key("id"), ApiKeyInfo)
    assert_type(await c.health(), dict[str, str])
    assert_type(
        await AsyncReflectClient.bootstrap(bootstrap_token="b", user_id="u", project_id="p"),
        BootstrapResponse,
    )
    async with c.trace("t", metadata={"a": [1]}) as ctx:
        assert_type(ctx, TraceContext)
    opened = await c.open_trace("t", metadata={"a": [1]}, alpha=0.1)
    assert_type(opened, TraceContext)
    opened.set_output(trajectory="User: …")
    await opened.close(LookupError())
    await c.open_trace("t", lambda_weight=1)  # type: ignore[call-arg]


async def reports(c: AsyncReflectClient) -> None:
    report = await c.learning_report()
    assert_type(report, LearningReport)
    c.trace("t", alpha=0.1, **presets.COLD_START)
    c.trace("t", **report.preset)
    reflect_trace(c, **presets.LATER)
    assert_type(await c.query_memories("t", **presets.COLD_START), list[Memory])
    c.trace("t", limit=3, **presets.LATER)  # type: ignore[misc]


async def judges(c: AsyncReflectClient) -> None:
    def by_text(task: str, answer: str) -> Literal["pass", "fail"] | None:
        return "pass" if answer in task else None

    async def with_feedback(task: str, answer: str) -> tuple[bool, str]:
        return answer in task, "look again"

    c.trace("t", judge=by_text, on_error="ignore", timeout=0.5)
    c.trace("t", judge=with_feedback, on_error="raise")
    c.trace("t", judge=lambda task, answer: answer == task, alpha=0.2)
    await c.open_trace("t", judge=lambda task, answer: with_feedback(task, answer[:9]))
    reflect_trace(c, judge=with_feedback, on_error="ignore")

    c.trace("t", judge=len)  # type: ignore[arg-type]
    c.trace("t", on_error="skip")  # type: ignore[arg-type]
    reflect_trace(c, on_error="skip")  # type: ignore[call-overload]


async def batches(c: AsyncReflectClient, endless: AsyncIterator[dict[str, Any]]) -> None:
    given: list[dict[str, Any]] = [{"task": "t", "trajectory": []}]
    assert_type(await c.create_traces_many(given), BatchReport[int | str, Trace])
    assert_type(await c.create_traces_many(endless, wait=False), BatchReport[int | str, TraceJob])
    async with c.create_traces_many([TraceCreate(task="t", trajectory=[])], key=lambda t: t.task) as batch:
        async for outcome in batch:
            assert_type(outcome.key, int | str)
            assert_type(outcome.result, Trace | None)

    c.create_traces_many(["t"])  # type: ignore[list-item]
    c.create_traces_many(given, wait=False, wait_timeout=3)  # type: ignore[call-overload]


class Mine(AsyncReflectClient):
    pass


async def clients(c: Mine, whole: AsyncReflexioClient) -> None:
    assert_type(c.with_options(timeout=3), Mine)
    assert_type(c.with_project("p"), Mine)
    assert_type(await c.aclose(), DrainSummary)
    assert_type(whole.reflect, AsyncReflectClient)
    async with Mine() as entered:
        assert_type(entered, Mine)

    AsyncReflectClient("http://localhost")  # type: ignore[call-arg]
    AsyncReflectClient(projekt="p")  # type: ignore[call-arg]
