"""``create_traces_many``: every trace has an outcome, and none is sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    APIConnectionError,
    BatchInterrupted,
    BatchProgress,
    InvalidRequest,
    JobFailed,
    JobState,
    OutcomeState,
    TraceJob,
)
from reflexio_async.reflect.models import Trace, TraceCreate
from reflexio_async.sandbox import faults
from tests.reflect.scene import TRACES, scene

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def traces(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"task": f"t{number}", "trajectory": [], **fields} for number in range(count)]


@pytest.mark.parametrize("option", ["wait", "fail_fast"])
async def test_an_option_that_is_no_bool_is_refused(option: str) -> None:
    options: dict[str, Any] = {option: "false"}
    async with scene() as s:
        with pytest.raises(InvalidRequest, match=f"{option} must be True or False, not 'false'"):
            s.client.create_traces_many(traces(1), **options)


async def test_the_key_of_a_trace_is_its_position() -> None:
    async with scene(ingest_seconds=2) as s:
        report = await s.client.create_traces_many(traces(300, review_result="pass"))
        assert report.ok
        assert sorted(int(outcome.key) for outcome in report) == list(range(300))
        for outcome in report:
            assert isinstance(outcome.result, Trace)
            assert outcome.result.task == f"t{outcome.key}"
            assert outcome.result.created_memory_id is not None
            assert outcome.attempts == 1
            assert outcome.seconds_running >= 2


async def test_a_failed_trace_does_not_stop_the_others() -> None:
    async with scene(failing_tasks={"t1"}) as s:
        report = await s.client.create_traces_many([*traces(3), TraceCreate(task="model", trajectory=[])])
        assert report.counts() == {"completed": 3, "failed": 1}
        [failed] = report.failed
        assert failed.key == 1
        assert isinstance(failed.error, JobFailed)


async def test_all_traces_of_a_collection_are_checked_before_any_is_sent() -> None:
    async with scene() as s:
        with pytest.raises(InvalidRequest, match=r"traces\[2\]: .*trajectory"):
            await s.client.create_traces_many([*traces(2), {"task": "t", "trajectory": None}])
        assert s.sent() == 0


async def test_the_traces_of_an_iterator_are_checked_one_by_one() -> None:
    async with scene() as s:
        given: list[dict[str, Any]] = [*traces(2), {"task": "", "trajectory": []}, *traces(2)]
        report = await s.client.create_traces_many(iter(given))
        assert report.counts() == {"completed": 4, "failed": 1}
        [failed] = report.failed
        assert failed.key == 2
        assert isinstance(failed.error, InvalidRequest)


async def test_memory_does_not_grow_with_the_number_of_streamed_traces() -> None:
    pulled = seen = most_ahead = 0

    async def endless() -> AsyncIterator[dict[str, Any]]:
        nonlocal pulled, most_ahead
        for number in range(300):
            pulled += 1
            most_ahead = max(most_ahead, pulled - seen)
            yield {"task": f"t{number}", "trajectory": []}

    async with scene() as s:
        async with s.client.create_traces_many(endless(), concurrency=10) as batch:
            async for outcome in batch:
                seen += 1
                assert outcome.state is OutcomeState.COMPLETED
        assert seen == 300
        assert s.sent() == 300
    assert most_ahead <= 2 * 10


async def test_at_most_concurrency_traces_are_worked_on_at_once() -> None:
    async with scene(ingest_seconds=5) as s:
        most = 0

        def look(progress: BatchProgress) -> None:
            nonlocal most
            most = max(most, progress.under_way)

        report = await s.client.create_traces_many(traces(20), concurrency=4, on_progress=look)
        assert report.ok
        assert most <= 4
        assert s.clock.now() >= 25


async def test_without_waiting_the_results_are_jobs() -> None:
    async with scene(ingest_seconds=5) as s:
        report = await s.client.create_traces_many(traces(3), wait=False)
        assert s.clock.now() < 5
        for outcome in report.completed:
            assert isinstance(outcome.result, TraceJob)
            assert outcome.result.status.state is JobState.RUNNING
            assert (await outcome.result).task == f"t{outcome.key}"


async def test_key_names_the_traces() -> None:
    def name(trace: TraceCreate) -> str:
        return str((trace.metadata or {})["run"])

    given: list[dict[str, Any]] = [
        {"task": "t", "trajectory": [], "metadata": {"run": run}, "review_result": "pass"}
        for run in ("a", "b")
    ]
    async with scene() as s:
        report = await s.client.create_traces_many(given, key=name)
        assert sorted(str(outcome.key) for outcome in report) == ["a", "b"]
        with pytest.raises(InvalidRequest, match=r"traces\[1\]: 'a' is already at \[0\]"):
            await s.client.create_traces_many([given[0], given[0]], key=name)


@pytest.mark.parametrize("name", [["a"], None, True, 1.5, b"a"], ids=repr)
async def test_a_key_that_is_neither_text_nor_a_whole_number_is_refused_with_the_position(name: Any) -> None:
    names = iter(["a", name])
    async with scene() as s:
        said = rf"traces\[1\]: key must return text or a whole number, not {type(name).__name__}"
        with pytest.raises(InvalidRequest, match=said):
            s.client.create_traces_many(traces(2), key=lambda _trace: next(names))
        assert not s.box.requests


async def test_a_key_function_that_raises_is_an_error_with_the_position() -> None:
    async with scene() as s:
        with pytest.raises(InvalidRequest, match=r"traces\[0\]: key raised KeyError: 'run'"):
            s.client.create_traces_many(
                traces(2, metadata={}), key=lambda trace: (trace.metadata or {})["run"]
            )
        assert not s.box.requests


async def test_a_streamed_trace_without_a_key_fails_alone_under_its_position() -> None:
    given: list[dict[str, Any]] = [
        {"task": "t", "trajectory": [], "metadata": metadata}
        for metadata in ({"run": "a"}, {"run": ["b"]}, {}, {"run": "d"})
    ]
    async with scene() as s:
        report = await s.client.create_traces_many(
            iter(given), key=lambda trace: (trace.metadata or {})["run"], concurrency=1
        )
        assert [outcome.key for outcome in report.completed] == ["a", "d"]
        unusable, raising = report.failed
        assert (unusable.key, raising.key) == ("#1", "#2")
        assert isinstance(unusable.error, InvalidRequest)
        assert str(unusable.error) == "key must return text or a whole number, not list"
        assert isinstance(raising.error, InvalidRequest)
        assert str(raising.error) == "key raised KeyError: 'run'"
        assert isinstance(raising.error.__cause__, KeyError)
        assert s.sent() == 2


async def test_a_trace_without_a_response_is_lost_and_not_sent_again() -> None:
    async with scene() as s:
        s.box.faults.add(faults.answer_lost(), method="POST", path=TRACES, after=1)
        report = await s.client.create_traces_many(traces(3), concurrency=1)
        assert report.counts() == {"completed": 2, "lost": 1}
        [lost] = report.lost
        assert (lost.key, lost.attempts, lost.token) == (1, 1, None)
        assert isinstance(lost.error, APIConnectionError)
        assert (await report.retry_failed()).counts() == {}
        assert (s.sent(), len(s.box.reflect.traces())) == (3, 3)


async def test_retry_failed_lost_sends_a_lost_trace_again() -> None:
    async with scene() as s:
        s.box.faults.add(faults.lost_before(), method="POST", path=TRACES)
        report = await s.client.create_traces_many(traces(1))
        again = await report.retry_failed("lost")
        assert again.ok
        assert [outcome.key for outcome in again] == [0]
        assert s.sent() == 2


async def test_a_retry_waits_again_for_a_trace_that_timed_out() -> None:
    async with scene(ingest_seconds=20) as s:
        report = await s.client.create_traces_many(traces(2), wait_timeout=15)
        assert report.counts() == {"timed_out": 2}
        assert all(outcome.token for outcome in report)
        again = await report.retry_failed("timed_out")
        assert again.ok
        assert s.sent() == 2


async def test_a_retry_sends_a_trace_again_that_the_server_could_not_store() -> None:
    failures = iter([True, False])

    def fails(_: str, __: int) -> bool:
        return next(failures)

    async with scene(fails=fails, max_attempts=1) as s:
        report = await s.client.create_traces_many(traces(1))
        assert report.counts() == {"failed": 1}
        assert (await report.retry_failed()).ok
        assert s.sent() == 2


async def test_fail_fast_sends_nothing_after_a_failure() -> None:
    async with scene(failing_tasks={"t1"}) as s:
        report = await s.client.create_traces_many(traces(50), concurrency=1, fail_fast=True)
        assert report.counts() == {"completed": 1, "failed": 1, "cancelled": 48}
        assert s.sent() == 2


async def test_an_iterable_that_raises_ends_the_batch_with_a_report() -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield from traces(2)
        message = "disk full"
        raise OSError(message)

    async with scene() as s:
        with pytest.raises(BatchInterrupted, match="disk full") as caught:
            await s.client.create_traces_many(broken())
        assert caught.value.report.counts() == {"completed": 2}


async def test_a_batch_waits_for_a_rate_limit_of_any_length() -> None:
    async with scene(client={"timeout": 5}) as s:
        s.box.faults.add(
            faults.status(429, {"detail": "slow"}, headers={"Retry-After": "100"}), method="POST"
        )
        report = await s.client.create_traces_many(traces(1))
        assert report.ok
        assert (report.outcomes[0].attempts, s.clock.now() >= 100) == (2, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"poll_interval": -1}, "poll_interval"),
        ({"wait_timeout": 0}, "wait_timeout"),
        ({"key": "run"}, "key must be a function"),
        ({"on_progress": 3}, "on_progress"),
    ],
)
async def test_unusable_options_are_refused(options: dict[str, Any], said: str) -> None:
    async with scene() as s:
        with pytest.raises(InvalidRequest, match=said):
            s.client.create_traces_many([], **options)


async def test_one_trace_in_place_of_a_list_is_refused() -> None:
    async with scene() as s:
        one: Any = traces(1)[0]
        with pytest.raises(InvalidRequest, match="traces must be a list"):
            s.client.create_traces_many(one)
