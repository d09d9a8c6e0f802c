"""``client.learning_report()``: what a project learns, and what to change where it learns nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.reflect import presets
from reflexio_async.reflect.learning_report import make_learning_report
from reflexio_async.reflect.models import Trace
from tests.reflect.scene import scene as reflecting

if TYPE_CHECKING:
    from tests.reflect.scene import Scene

TASK = "count the rows of the orders table"
OTHER = "book a flight to Oslo"


async def run(scene: Scene, task: str, result: str | None = None, **options: Any) -> str:
    """One run of an agent. Returns the id of its trace."""
    given: dict[str, Any] = {**presets.COLD_START, **options}
    async with scene.client.trace(task, blocking=True, **given) as ctx:
        ctx.set_output(trajectory=[{"role": "assistant", "content": "42"}], result=result)
    return ctx.trace_id or ""


async def test_a_project_without_traces_is_told_to_send_some() -> None:
    async with reflecting() as scene:
        report = await scene.client.learning_report()
        (finding,) = report.findings
        assert finding.problem.startswith("The project has no traces")
        assert "client.trace(task)" in finding.change


async def test_traces_without_a_review_are_named() -> None:
    async with reflecting() as scene:
        await run(scene, TASK, "pass")
        ids = [await run(scene, OTHER) for _ in range(5)]
        report = await scene.client.learning_report()
        assert (report.traces, report.reviewed_traces) == (6, 1)
        assert sorted(report.unreviewed_traces) == sorted(ids)
        (finding,) = (finding for finding in report.findings if "without a review" in finding.problem)
        assert finding.problem.startswith("Traces without a review, from which nothing is learnt: 5 of 6: ")
        assert finding.problem.endswith(" and 2 more.")
        assert "judge=" in finding.change


async def test_traces_that_the_server_could_not_store_are_left_out() -> None:
    async with reflecting(failing_tasks=[TASK]) as scene:
        job = await scene.client.create_trace(task=TASK, trajectory=[])
        with pytest.raises(RuntimeError):
            await job
        assert (await scene.client.learning_report()).traces == 0


async def test_a_memory_that_no_reviewed_run_has_used_has_never_moved() -> None:
    async with reflecting() as scene:
        used = (await scene.client.get_trace(await run(scene, TASK, "pass"))).created_memory_id
        last = (await scene.client.get_trace(await run(scene, TASK, "pass"))).created_memory_id
        unused = (await scene.client.get_trace(await run(scene, OTHER, "fail"))).created_memory_id
        report = await scene.client.learning_report()
        assert report.memories == 3
        assert set(report.unmoved_memories) == {last, unused}
        assert report.unmoved_but_used == ()
        moved = {memory.id for memory in scene.box.reflect.memories() if memory.q_value != 0.5}
        assert moved == {used}


async def test_a_memory_that_runs_without_a_review_have_used_has_never_moved() -> None:
    async with reflecting() as scene:
        memory = (await scene.client.get_trace(await run(scene, TASK, "pass"))).created_memory_id
        await run(scene, TASK)
        report = await scene.client.learning_report()
        assert report.unmoved_but_used == report.unmoved_memories == (memory,)
        (finding,) = (finding for finding in report.findings if "q-value" in finding.problem)
        assert finding.change == "Used by runs without a review: 1. Review those runs."


async def test_a_memory_that_no_run_has_used_needs_values_that_find_more() -> None:
    async with reflecting() as scene:
        await run(scene, TASK, "pass")
        (finding,) = (
            finding
            for finding in (await scene.client.learning_report()).findings
            if "q-val" in finding.problem
        )
        assert "Used by no run: 1." in finding.change
        assert "limit=5, lambda_=0.1, similarity_threshold=0.2" in finding.change


async def test_queries_that_found_nothing_are_known_as_far_as_this_client_sent_them() -> None:
    async with reflecting() as scene:
        await run(scene, TASK, "pass")
        await scene.client.query_memories(TASK, limit=3)
        await scene.client.query_memories(OTHER, similarity_threshold=0.9)
        report = await scene.client.learning_report()
        assert (report.queries, len(report.empty_queries)) == (3, 2)
        first, last = report.empty_queries
        assert (first.task, last.task) == (TASK, OTHER)
        assert (last.limit, last.lambda_, last.similarity_threshold, last.filtered) == (10, 0.5, 0.9, False)
        assert "Queries of this client that found no memory: 2 of 3." in str(report)
        assert "Queries of other clients and processes are not known here." in str(report)


@pytest.mark.parametrize(
    ("memory", "options", "change"),
    [
        (False, {}, "have traces reviewed"),
        (True, {"similarity_threshold": 0.5}, "Pass **presets.COLD_START to trace: limit=5"),
        (True, {"similarity_threshold": None}, "Pass **presets.COLD_START to trace: limit=5"),
        (True, {}, "give short tasks"),
        (True, {"metadata_filter": {"team": "a"}}, "Look at metadata_filter"),
    ],
    ids=["no memories", "high threshold", "the server's threshold", "cold start", "filtered"],
)
async def test_a_query_that_found_nothing_says_what_to_change(
    memory: bool,  # noqa: FBT001
    options: dict[str, Any],
    change: str,
) -> None:
    async with reflecting() as scene:
        if memory:
            await scene.client.create_trace_and_wait(task=TASK, trajectory=[], review_result="pass")
        await run(scene, OTHER, "pass" if memory else None, **options)
        (finding,) = (
            one for one in (await scene.client.learning_report()).findings if "Queries" in one.problem
        )
        assert change in finding.change


async def test_a_query_from_before_the_first_memory_is_not_blamed_on_its_task() -> None:
    async with reflecting() as scene:
        await run(scene, TASK, "pass")  # its query found nothing, since it makes the first memory
        (finding,) = (
            one for one in (await scene.client.learning_report()).findings if "Queries" in one.problem
        )
        assert "sent before the first memory was made could find none" in finding.change


async def test_a_report_is_about_the_project_of_the_client() -> None:
    async with reflecting() as scene:
        await run(scene, TASK)
        other = scene.client.with_project("other")
        await other.query_memories(TASK)
        await other.query_memories(OTHER)
        assert (await scene.client.learning_report()).queries == 1
        report = await other.learning_report()
        assert (report.project_id, report.traces, report.queries) == ("other", 0, 2)


async def test_a_client_remembers_a_thousand_queries_and_the_beginning_of_their_tasks() -> None:
    async with reflecting() as scene:
        await scene.client.query_memories("x" * 300)
        seen = scene.client._seen_queries
        assert (seen.maxlen, len(seen[0].task)) == (1000, 200)


def test_reviewed_runs_that_used_every_memory_leave_nothing_to_change() -> None:
    trace = Trace(id="t", task=TASK, review_status="reviewed", retrieved_memory_ids=["m"])
    report = make_learning_report("p", [trace], [])
    assert report.findings == []
    assert "\n- Nothing to change.\n" in str(report)


async def test_its_text_is_for_people() -> None:
    async with reflecting() as scene:
        assert str(await scene.client.learning_report()) == (
            "Project 'default': 0 traces, 0 with a review, 0 without memories; 0 memories; "
            "0 queries of this client, 0 without a memory.\n"
            "- The project has no traces, so it has nothing to learn from.\n"
            "  Run the agent inside `async with client.trace(task)`, and call ctx.set_output.\n"
            "Values that fit now: presets.COLD_START (limit=5, lambda_=0.1, similarity_threshold=0.2)."
        )


async def test_the_values_for_later_fit_from_two_hundred_memories_on() -> None:
    async with reflecting() as scene:
        for already in (199, 200):
            ids = [f"memory-{number}" for number in range(already)]
            await scene.client.create_trace_and_wait(task=TASK, trajectory=[], retrieved_memory_ids=ids)
            report = await scene.client.learning_report()
            assert report.preset is (presets.LATER if already == 200 else presets.COLD_START)
        assert "presets.LATER (limit=5, lambda_=0.5, similarity_threshold=0.5)" in str(report)


async def test_a_preset_finds_on_a_cold_start_what_the_later_one_does_not() -> None:
    async with reflecting() as scene:
        scene.box.reflect.seed_memory("count the rows of a table", guidance="Use COUNT(*)")
        task = "list each row of the orders table"
        assert len(await scene.client.query_memories(task, **presets.COLD_START)) == 1
        assert await scene.client.query_memories(task, **presets.LATER) == []


async def test_the_shared_client_has_a_report_too() -> None:
    async with reflecting() as scene:
        box = scene.box
        async with AsyncReflexioClient(
            url_endpoint=box.url,
            reflect_url=box.reflect_url,
            reflect_api_key=box.reflect_key,
            clock=box.clock,
        ) as client:
            await client.reflect.query_memories(TASK)
            assert (await client.reflect.learning_report()).queries == 1
