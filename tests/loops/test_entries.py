"""A client belongs to one event loop. Every use from another loop is refused before anything is touched."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    AsyncReflectClient,
    AsyncReflexioClient,
    BackgroundCall,
    ConfigurationError,
    Job,
    as_completed,
    gather_jobs,
)
from reflexio_async.sandbox import Sandbox
from tests.hang import A_HANG
from tests.scene import STATUS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from reflexio_async import Batch

TURNS = [{"role": "user", "content": "I like tea"}]


def run_in_another_thread(work: Callable[[], Awaitable[Any]]) -> Awaitable[Any]:
    """Await ``work()`` on an event loop of its own, in a thread."""

    async def awaited() -> Any:
        return await work()

    return asyncio.to_thread(lambda: asyncio.run(asyncio.wait_for(awaited(), A_HANG)))


@dataclass
class Used:
    """A client that is in use on the loop of the test, and handles that come from it."""

    box: Sandbox
    client: AsyncReflexioClient
    job: Job[Any]
    queued: Job[Any]
    done: Job[Any]
    background: BackgroundCall[Any]
    batch: Batch[str, Any]

    def sent(self) -> int:
        """The requests so far. Those for the status of the jobs go on."""
        return sum(request.path != STATUS for request in self.box.requests)


@pytest.fixture
async def used() -> AsyncIterator[Used]:
    async with Sandbox(rerun_seconds=60.0) as box:
        client = AsyncReflexioClient(
            url_endpoint=box.url, reflect_url=box.reflect_url, reflect_api_key=box.reflect_key
        )
        box.seed("u")
        await client.get_profiles(user_id="u")
        done = client.learning("r")
        done._record.finish(done.status)
        job = await client.rerun_profile_generation(user_id="u")
        queued = await client.rerun_profile_generation(user_id="u")
        background = await client.delete_profile("u", "p")
        await background
        batch = client.rerun_profiles_many(["u"])
        assert batch.plan.total == 1  # a batch that is dropped unused is an error
        yield Used(box, client, job, queued, done, background, batch)
        await client.aclose(drain=False)


async def stream(batch: Batch[str, Any]) -> None:
    async with batch:
        pass


async def enter(client: Any) -> None:
    async with client:
        pass


async def watch(job: Job[Any]) -> None:
    async for _ in job.watch():
        pass


async def completed(jobs: list[Job[Any]]) -> None:
    async for _ in as_completed(jobs):
        pass


async def traced(client: AsyncReflexioClient, **options: Any) -> None:
    async with client.reflect.trace("a task", **options):
        pass


async def pages(client: AsyncReflexioClient) -> None:
    async for _ in client.iter_requests(user_id="u"):
        pass


async def made(make: Callable[[], object]) -> None:
    make()


def token(job: Job[Any]) -> str:
    assert job.token is not None
    return job.token


USES: dict[str, Callable[[Used], Awaitable[Any]]] = {
    "a read": lambda used: used.client.whoami(),
    "a read whose answer is cached": lambda used: used.client.get_profiles(user_id="u"),
    "a read that is cached anew": lambda used: used.client.get_profiles(user_id="u", force_refresh=True),
    "a call with a request": lambda used: used.client.search(query="tea"),
    "a publish": lambda used: used.client.publish_interaction("u", TURNS, session_id="s"),
    "memory for a prompt": lambda used: used.client.context("u", "tea"),
    "a turn of a conversation": lambda used: used.client.conversation(user_id="u", session_id="s").add(
        [*TURNS, {"role": "assistant", "content": "Noted"}]
    ),
    "a publish in the background": lambda used: used.client.publish_later("u", TURNS, session_id="s"),
    "a call of several requests": lambda used: used.client.update_config({"window_size": 3}),
    "login": lambda used: used.client.login("a@b.c", "p"),
    "a background call": lambda used: used.client.delete_profile("u", "p"),
    "a call that is waited for": lambda used: used.client.delete_profile("u", "p", wait_for_response=True),
    "a slow background call": lambda used: used.client.manual_profile_generation(user_id="u"),
    "an aggregation in the lane": lambda used: used.client.run_playbook_aggregation(),
    "a start": lambda used: used.client.rerun_profile_generation(user_id="u"),
    "a start that is waited for": lambda used: used.client.rerun_profile_generation(
        user_id="u", wait_for_response=True
    ),
    "a call of January's": lambda used: used.client.legacy.get_requests(),
    "a view with other options": lambda used: used.client.with_options(timeout=3).whoami(),
    "a view of one session": lambda used: used.client.for_session("s").search(query="tea"),
    "pages": lambda used: pages(used.client),
    "Reflect": lambda used: used.client.reflect.list_traces(),
    "a trace of Reflect": lambda used: used.client.reflect.create_trace(task="t", trajectory=[]),
    "a trace in the background": lambda used: used.client.reflect.create_trace_later(task="t", trajectory=[]),
    "a project of Reflect": lambda used: used.client.reflect.with_project("other").list_traces(),
    "a traced block": lambda used: traced(used.client),
    "a traced block that ignores errors": lambda used: traced(used.client, on_error="ignore"),
    "a learning report": lambda used: used.client.reflect.learning_report(),
    "the store": lambda used: used.client.store.stats(),
    "a job": lambda used: used.job.result(),
    "one look at a job": lambda used: used.job.result(wait_timeout=0),
    "a queued job": lambda used: used.queued.result(),
    "a job that has ended": lambda used: used.done.result(),
    "the admission of a job": lambda used: used.queued.admitted(),
    "the end of a job": lambda used: used.job.settled(),
    "the status of a job": lambda used: used.job.refresh(),
    "a watch": lambda used: watch(used.job),
    "a cancellation": lambda used: used.job.cancel(),
    "a withdrawal": lambda used: used.queued.cancel(),
    "a job by its token": lambda used: made(lambda: used.client.job(token(used.job))),
    "the learning of a publish": lambda used: made(lambda: used.client.learning("r")),
    "gather_jobs": lambda used: gather_jobs([used.job, used.queued]),
    "as_completed": lambda used: completed([used.job, used.queued]),
    "the handle of a background call": lambda used: used.background.result(),
    "a batch": lambda used: used.batch.run(),
    "a stream": lambda used: stream(used.batch),
    "a stop": lambda used: made(used.batch.stop),
    "a batch of publishes": lambda used: used.client.publish_many(
        [{"user_id": "u", "session_id": "s", "interactions": TURNS}]
    ).run(),
    "a block": lambda used: enter(used.client),
    "closing": lambda used: used.client.aclose(),
}


@pytest.mark.parametrize("use", USES)
async def test_a_use_from_another_loop_is_refused_and_sends_nothing(used: Used, use: str) -> None:
    sent, queued = used.sent(), used.queued.status
    with pytest.raises(ConfigurationError, match=r"AsyncReflexioClient.* one client per thread"):
        await run_in_another_thread(lambda: USES[use](used))
    assert used.sent() == sent
    assert used.queued.status is queued
    assert (await used.client.whoami()).success


async def test_a_block_binds_the_client_to_its_loop() -> None:
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        with pytest.raises(ConfigurationError, match="one client per thread"):
            await run_in_another_thread(client.whoami)
        assert (await client.whoami()).success


async def test_a_job_that_another_loop_may_not_await_reaches_its_own_waiter() -> None:
    async with Sandbox(rerun_seconds=0.3) as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        box.seed("u")
        job = await client.rerun_profile_generation(user_id="u")
        waiter = asyncio.create_task(job.result())
        with pytest.raises(ConfigurationError):
            await run_in_another_thread(job.result)
        with pytest.raises(ConfigurationError):
            await run_in_another_thread(lambda: client.rerun_profile_generation(user_id="u"))
        assert (await waiter).profiles_generated == 1


async def test_the_reflect_client_belongs_to_its_loop_too() -> None:
    async with (
        Sandbox() as box,
        AsyncReflectClient(base_url=box.reflect_url, api_key=box.reflect_key) as client,
    ):
        with pytest.raises(ConfigurationError, match=r"AsyncReflectClient\('http.* one client per thread"):
            await run_in_another_thread(client.list_traces)


async def test_views_share_the_loop_of_the_client() -> None:
    async with Sandbox() as box:
        client = AsyncReflexioClient(url_endpoint=box.url)
        await client.with_options(timeout=3).whoami()
        with pytest.raises(ConfigurationError):
            await run_in_another_thread(client.whoami)
        await client.aclose()


async def test_a_job_is_made_of_its_token_without_a_loop() -> None:
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url) as client:
        box.seed("u")
        started = await client.rerun_profile_generation(user_id="u")
        job = await asyncio.to_thread(client.job, token(started))
        assert (await job).profiles_generated == 1


async def test_two_threads_that_use_a_new_client_at_once_do_not_both_get_it() -> None:
    async with Sandbox() as box:
        for _ in range(20):
            client = AsyncReflexioClient(url_endpoint=box.url)
            both = [run_in_another_thread(partial(held, client)) for _ in range(2)]
            outcomes = await asyncio.gather(*both, return_exceptions=True)
            refused = [outcome for outcome in outcomes if isinstance(outcome, ConfigurationError)]
            assert len(refused) <= 1
            assert all(outcome is None or outcome in refused for outcome in outcomes)


async def held(client: AsyncReflexioClient) -> None:
    await client.whoami()
    await asyncio.sleep(0.01)
    await client.whoami()
