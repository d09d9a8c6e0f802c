"""The rate of status requests for traces: adaptive polling, and the limit for all traces."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from reflexio_async import AsyncReflexioClient, InvalidRequest, JobTimeout, gather_jobs
from reflexio_async.sandbox import Sandbox, VirtualClock
from reflexio_async.sandbox.reflect.settings import ReflectSettings
from tests.reflect.scene import MESSAGES, TRACES, Scene, scene


async def one_after_another(s: Scene, count: int) -> tuple[int, float]:
    """Return the number of status requests, and the seconds from the first to the last."""
    asked, began = s.asked(), s.clock.now()
    for _ in range(count):
        await s.client.create_trace_and_wait(task="t", trajectory=MESSAGES)
    return s.asked() - asked, s.clock.now() - began


async def test_adaptive_polling_learns_when_traces_are_stored() -> None:
    async with scene(ingest_seconds=3.0) as plain:
        usual, _ = await one_after_another(plain, 40)
    async with scene(ingest_seconds=3.0, client={"adaptive_polling": True}) as learning:
        await one_after_another(learning, 20)
        questions, seconds = await one_after_another(learning, 20)
    assert questions < usual / 2 / 3
    assert seconds < 20 * 3.0 * 1.15


async def test_a_given_interval_is_used_with_adaptive_polling() -> None:
    async with scene(ingest_seconds=3.0, client={"adaptive_polling": True}) as s:
        await one_after_another(s, 20)
        asked = s.asked()
        await (await s.client.create_trace(task="t", trajectory=MESSAGES)).result(poll_interval=1.0)
        assert s.asked() - asked == 3


async def test_polls_per_second_limits_the_status_requests_of_all_traces() -> None:
    async with scene(ingest_seconds=20.0, client={"polls_per_second": 50, "wait_timeout": 600}) as s:
        jobs = await asyncio.gather(
            *(s.client.create_trace(task="t", trajectory=MESSAGES) for _ in range(500))
        )
        await gather_jobs(jobs)
        polls = [r.at for r in s.box.requests if r.method == "GET" and r.path.startswith(f"{TRACES}/")]
        each_second = Counter(int(at) for at in polls)
        assert max(each_second.values()) <= 55
        assert s.clock.now() <= 20.0 + 500 / 50 + 1.0


async def test_client_reflect_has_the_polls_per_second_of_the_client() -> None:
    clock = VirtualClock()
    async with (
        Sandbox(clock=clock, reflect=ReflectSettings(ingest_seconds=20.0)) as box,
        AsyncReflexioClient(
            url_endpoint=box.url,
            reflect_url=box.reflect_url,
            reflect_api_key=box.reflect_key,
            polls_per_second=10,
            clock=clock,
        ) as client,
    ):
        jobs = [await client.reflect.create_trace(task="t", trajectory=MESSAGES) for _ in range(100)]
        await gather_jobs(jobs)
        polls = Counter(int(r.at) for r in box.requests if r.method == "GET")
    assert 8 <= max(polls.values()) <= 11


async def test_the_timeout_of_an_unknown_trace_has_the_text_of_the_server() -> None:
    async with scene() as s:
        with pytest.raises(JobTimeout, match="404"):
            await s.client.wait_for_trace("unknown", wait_timeout=5.0)


async def test_the_timeout_of_an_unknown_trace_says_that_it_was_never_shown() -> None:
    async with scene() as s:
        with pytest.raises(JobTimeout, match="did not show trace default/unknown within 5 s") as caught:
            await s.client.wait_for_trace("unknown", wait_timeout=5.0)
        assert "its id or project is wrong" in str(caught.value)
        assert "still running" not in str(caught.value)


async def test_the_timeout_of_a_trace_that_was_shown_once_says_that_it_is_still_running() -> None:
    async with scene(review_seconds=100.0) as s:
        job = await s.client.create_trace(task="t", trajectory=MESSAGES, review_result="pass")
        with pytest.raises(JobTimeout, match="still running after 50 s; it goes on at the server"):
            await job.result(wait_timeout=50.0)


@pytest.mark.parametrize("given", ["no", 0, None])
async def test_require_reviewed_is_true_or_false(given: Any) -> None:
    async with scene() as s:
        with pytest.raises(InvalidRequest, match="require_reviewed must be True or False"):
            await s.client.wait_for_trace("t", require_reviewed=given)
        assert s.asked() == 0


async def test_polling_ends_with_the_last_waiter() -> None:
    async with scene(ingest_seconds=600.0) as s:
        job = await s.client.create_trace(task="t", trajectory=MESSAGES)
        assert (await job.result(wait_timeout=1000.0)).id == job.id
        assert s.asked() > 2000


async def test_adaptive_polling_asks_at_least_once_in_a_short_wait() -> None:
    async with scene(ingest_seconds=30.0, client={"adaptive_polling": True}) as s:
        await one_after_another(s, 20)
        stored = (await s.client.create_trace(task="t", trajectory=MESSAGES)).id
        await s.clock.sleep(60.0)
        assert (await s.client.wait_for_trace(stored, wait_timeout=5.0)).id == stored


async def test_adaptive_polling_learns_from_refresh() -> None:
    async with scene(ingest_seconds=30.0, client={"adaptive_polling": True}) as s:
        for _ in range(20):
            job = await s.client.create_trace(task="t", trajectory=MESSAGES)
            await s.clock.sleep(29.9)
            assert not (await job.refresh()).done
            await s.clock.sleep(0.2)
            assert (await job.refresh()).done
        questions, _ = await one_after_another(s, 1)
    assert questions <= 6
