"""Reports are pickled, as process pools and task queues do; jobs are not, and say what to do instead."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import BatchInterrupted, BatchReport, InvalidRequest, Outcome, ReflexioError
from reflexio_async.sandbox import faults
from tests.scene import PUBLISH, scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "tok-SECRET-1"


def unpickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))  # noqa: S301  # bytes of this test


def held(thing: Any) -> dict[str, Any]:
    """The attributes of ``thing``, without what leads to its client."""
    attributes: dict[str, Any] = getattr(thing, "__dict__", {})
    return {name: content(value) for name, value in attributes.items() if name != "_retry"}


def content(thing: Any) -> Any:
    """What ``thing`` holds, as values that can be compared."""
    parts: Any = thing
    match thing:
        case list() | Outcome():
            return list(map(content, parts))
        case BatchReport():
            return held(parts)
        case BaseException():
            return type(thing), thing.args, held(thing)
        case _:
            return thing


async def mixed_report() -> BatchReport[str, Any]:
    """A report with an outcome of every state but ``lost``, from a client with a key."""

    def seconds(user: str | None) -> float:
        return 1000.0 if user == "slow" else 0.0

    async with scene(1, api_key=SECRET, client={"api_key": SECRET}, rerun_seconds=seconds) as play:
        play.box.seed("slow", "I like tea")
        keys = ["user-0", "nobody", "slow", "user-2", "user-3"]
        batch = play.client.rerun_profiles_many(keys, wait_timeout=50.0, concurrency=1)
        play.clock.call_at(play.clock.now() + 40.0, batch.stop)
        return await batch


async def test_a_report_is_pickled_with_equal_content() -> None:
    report = await mixed_report()
    assert set(report.counts()) == {"completed", "failed", "timed_out", "cancelled"}
    again = unpickled(report)
    assert content(again) == content(report)
    assert (again.table(), again.to_jsonl()) == (report.table(), report.to_jsonl())


async def test_a_pickled_report_holds_no_secret() -> None:
    async with scene(1, api_key=SECRET, client={"api_key": SECRET}) as play:
        play.box.faults.add(faults.status(400, {"detail": f"not with {SECRET}"}), path=PUBLISH, times=None)
        turns = [{"role": "user", "content": "I like tea"}]
        given = [{"user_id": "ana", "session_id": "s", "interactions": turns}]
        report = await play.client.publish_many(given)
        assert "not with ***" in str(report.failed[0].error)
        assert SECRET.encode() not in pickle.dumps(report)
    assert SECRET.encode() not in pickle.dumps(await mixed_report())


async def test_a_batch_that_was_interrupted_is_pickled_with_its_report() -> None:
    def source() -> Iterator[str]:
        yield "user-0"
        raise ConnectionResetError

    async with scene(1) as play:
        with pytest.raises(BatchInterrupted) as caught:
            await play.client.rerun_profiles_many(source())
    again = unpickled(caught.value)
    assert content(again) == content(caught.value)
    assert [outcome.key for outcome in again.report.completed] == ["user-0"]


@pytest.mark.parametrize("copied", [unpickled, copy.deepcopy])
async def test_a_copy_of_a_report_cannot_retry_and_says_what_to_do(copied: Callable[[Any], Any]) -> None:
    report = copied(await mixed_report())
    with pytest.raises(InvalidRequest, match="give the keys of its outcomes to a new batch"):
        report.retry_failed()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
async def test_a_job_that_is_copied_says_what_to_do_instead(copied: Callable[[Any], Any]) -> None:
    async with scene(1) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        with pytest.raises(TypeError, match=r"Keep its job\.token, .*client\.job\(token\)"):
            copied(job)
        await job


async def test_the_errors_of_jobs_are_pickled_with_status_and_token() -> None:
    report = await mixed_report()
    for outcome in report:
        if isinstance(outcome.error, ReflexioError):
            assert content(unpickled(outcome.error)) == content(outcome.error)
