"""When the loop of a client is closed, the client takes the next one, and keeps what it has learned."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import pytest

from reflexio_async import (
    AsyncReflexioClient,
    BackgroundCall,
    ClientClosed,
    ConfigurationError,
    Job,
    RateLimited,
)
from reflexio_async.sandbox import Sandbox, faults
from tests.hang import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.loops.conftest import Program

T = TypeVar("T")
DELETE = "/api/delete_profile"


@pytest.fixture
def client(box: Sandbox) -> Iterator[AsyncReflexioClient]:
    """As in a module: no loop is running when the client is made."""
    client = AsyncReflexioClient(
        url_endpoint=box.url, reflect_url=box.reflect_url, reflect_api_key=box.reflect_key
    )
    yield client
    asyncio.run(client.aclose(drain=False))  # pyright: ignore[reportArgumentType]


async def started(client: AsyncReflexioClient) -> Job[Any]:
    return await client.rerun_profile_generation(user_id="u")


async def awaited(job: Job[Any]) -> Any:
    return await job


# --- what goes on


def test_a_client_works_under_one_loop_after_another(client: AsyncReflexioClient) -> None:
    async def main() -> bool:
        return (await client.whoami()).success

    assert [asyncio.run(main()) for _ in range(3)] == [True] * 3


def test_its_reflect_client_does_so_too(client: AsyncReflexioClient) -> None:
    async def main() -> list[Any]:
        return list(await client.reflect.list_traces())

    assert [asyncio.run(main()) for _ in range(3)] == [[]] * 3


def test_a_job_of_one_loop_is_awaited_on_the_next(client: AsyncReflexioClient) -> None:
    job = asyncio.run(started(client))
    assert asyncio.run(awaited(job)).profiles_generated == 1


def test_a_job_whose_wait_ended_with_its_loop_is_awaited_on_the_next(client: AsyncReflexioClient) -> None:
    async def begin_to_wait() -> Job[Any]:
        job = await started(client)
        waiting = asyncio.create_task(job.result())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        return job

    job = asyncio.run(begin_to_wait())
    assert asyncio.run(awaited(job)).profiles_generated == 1


def test_a_job_with_a_status_of_its_own_is_awaited_on_the_next(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    box.faults.add(faults.status(200, {"status": "pending"}), path="/api/learning_status", times=2)
    box.faults.add(faults.status(200, {"status": "done"}), path="/api/learning_status", times=None)

    async def begin_to_wait() -> Job[Any]:
        job = client.learning("r")
        waiting = asyncio.create_task(job.result())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        return job

    job = asyncio.run(begin_to_wait())
    assert asyncio.run(awaited(job)).status == "done"


def test_starts_queue_behind_a_job_of_the_loop_before(box: Sandbox, client: AsyncReflexioClient) -> None:
    async def second() -> None:
        await (await started(client))

    asyncio.run(started(client))
    asyncio.run(second())
    refused = [operation for operation in box.operations() if operation.status != "completed"]
    assert (len(box.operations()), refused) == (2, [])
    assert box.count("POST", "/api/rerun_profile_generation") == 2


@pytest.mark.parametrize("box", [{"logins": {"a@b.c": "secret"}}], indirect=True, ids=["with logins"])
def test_the_token_of_a_login_stays(box: Sandbox, client: AsyncReflexioClient) -> None:
    asyncio.run(client.login("a@b.c", "secret"))  # pyright: ignore[reportArgumentType]
    asyncio.run(client.whoami())  # pyright: ignore[reportArgumentType]
    assert "Authorization" in box.requests[-1].headers


def test_cached_answers_stay(box: Sandbox, client: AsyncReflexioClient) -> None:
    for _ in range(2):
        asyncio.run(client.get_profiles(user_id="u"))  # pyright: ignore[reportArgumentType]
    assert box.count("POST", "/api/get_profiles") == 1


def test_what_is_known_of_a_rate_limit_stays(box: Sandbox, client: AsyncReflexioClient) -> None:
    box.faults.add(faults.status(429, {"error": "Rate limit exceeded: 1 per 1 minute"}), path="/api/whoami")
    view = client.with_options(timeout=0.2)
    for _ in range(2):
        with pytest.raises(RateLimited):
            asyncio.run(view.whoami())  # pyright: ignore[reportArgumentType]
    assert box.count("GET", "/api/whoami") == 1


# --- what ends


def test_a_start_that_was_not_sent_fails_as_client_closed_and_is_named_in_one_record(
    box: Sandbox, client: AsyncReflexioClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def queue_one() -> Job[Any]:
        await started(client)
        queued = await client.rerun_profile_generation(user_id="later")
        assert queued.status.state == "queued"
        return queued

    queued = asyncio.run(queue_one())
    asyncio.run(client.whoami())  # pyright: ignore[reportArgumentType]
    with pytest.raises(
        ClientClosed, match=r"user_id=later.*: its event loop ended before its start was sent"
    ):
        asyncio.run(awaited(queued))
    [record] = [record for record in caplog.records if record.name == "reflexio_async"]
    assert record.levelno == logging.ERROR
    assert "not closed before its event loop ended" in record.getMessage()
    assert "user_id=later" in record.getMessage()
    assert "jobs at the server" not in record.getMessage()  # they are not lost
    assert box.count("POST", "/api/rerun_profile_generation") == 1


def test_a_background_call_that_was_cut_off_says_so_and_is_named(
    box: Sandbox, client: AsyncReflexioClient, caplog: pytest.LogCaptureFixture
) -> None:
    box.faults.add(faults.freeze(), path=DELETE)

    async def send() -> BackgroundCall[Any]:
        call = await client.delete_profile("u", "p")
        await until(lambda: box.count("DELETE", DELETE))
        assert isinstance(call, BackgroundCall)
        return call

    async def wait_for(call: BackgroundCall[Any]) -> None:
        await call

    call = asyncio.run(send())
    with pytest.raises(ClientClosed, match=r"delete_profile: its event loop ended before the response came"):
        asyncio.run(wait_for(call))
    asyncio.run(client.whoami())  # pyright: ignore[reportArgumentType]
    [record] = [record for record in caplog.records if record.name == "reflexio_async"]
    assert "delete_profile" in record.getMessage()


def test_nothing_is_logged_when_nothing_was_under_way(
    client: AsyncReflexioClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        await (await client.delete_profile("u", "p", wait_for_response=False))
        await (await started(client))

    asyncio.run(main())
    asyncio.run(main())
    assert caplog.messages == []


def test_a_start_whose_answer_was_cut_off_may_have_begun(
    box: Sandbox, client: AsyncReflexioClient, caplog: pytest.LogCaptureFixture
) -> None:
    box.faults.add(faults.freeze(), path="/api/rerun_profile_generation")

    async def leave_a_start() -> None:
        starting = asyncio.create_task(started(client))
        await until(lambda: box.count("POST", "/api/rerun_profile_generation"))
        assert not starting.done()

    asyncio.run(leave_a_start())
    assert "user_id=u) (sent, not answered)" in caplog.text


def test_what_is_awaited_while_a_loop_shuts_down_fails_as_client_closed(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    box.faults.add(faults.freeze(), path="/api/whoami")
    box.faults.add(faults.freeze(), path=DELETE)

    async def background() -> None:
        await (await client.delete_profile("u", "p"))

    async def job() -> None:
        await (await started(client))

    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(work) for work in (client.whoami(), background(), job())]
    loop.run_until_complete(asyncio.sleep(0.2))
    assert not any(task.done() for task in tasks)
    loop.run_until_complete(loop.shutdown_asyncgens())
    for task in tasks:
        with pytest.raises(ClientClosed, match="its event loop ended"):
            loop.run_until_complete(task)
    loop.close()


# --- what is refused


def test_a_client_that_was_closed_stays_closed(box: Sandbox) -> None:
    client = AsyncReflexioClient(url_endpoint=box.url)

    async def in_a_block() -> None:
        async with client:
            await client.whoami()

    asyncio.run(in_a_block())
    with pytest.raises(ClientClosed, match="make a new one"):
        asyncio.run(in_a_block())


def test_a_loop_that_is_open_and_does_not_run_keeps_the_client(client: AsyncReflexioClient) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.whoami())
    with pytest.raises(ConfigurationError, match="one client per thread"):
        asyncio.run(client.whoami())  # pyright: ignore[reportArgumentType]
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    asyncio.run(client.whoami())  # pyright: ignore[reportArgumentType]


def test_a_call_of_a_loop_that_is_gone_ends_without_an_error(box: Sandbox) -> None:
    async def main() -> None:
        box.faults.add(faults.freeze(), path="/api/whoami")
        async with AsyncReflexioClient(url_endpoint=box.url, drain_timeout=0.0) as client:
            call = client.whoami()
            task = asyncio.create_task(call)  # in a context of its own
            await until(lambda: box.requests)
            call.close()  # as the garbage collector does it
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(main())


def test_a_session_of_the_callers_is_not_taken_to_another_loop(box: Sandbox) -> None:
    async def use(made: dict[str, Any]) -> None:
        if not made:
            made["session"] = aiohttp.ClientSession()
            made["client"] = AsyncReflexioClient(url_endpoint=box.url, session=made["session"])
        await made["client"].whoami()

    made: dict[str, Any] = {}

    async def first() -> None:
        await use(made)
        await made["session"].connector.close()

    asyncio.run(first())
    with pytest.raises(ConfigurationError, match=r"the event loop of the session .* has ended"):
        asyncio.run(use(made))
    asyncio.run(made["session"].close())


# --- whole programs

TWICE = """
import asyncio, sys
from reflexio_async import AsyncReflexioClient

client = AsyncReflexioClient(url_endpoint=sys.argv[1])

async def main():
    assert (await client.whoami()).success
    job = await client.rerun_profile_generation(user_id="u")
    return (await job).profiles_generated

{run}
{run}
"""


@pytest.mark.slow
@pytest.mark.parametrize("run", ["asyncio.run(main())", "import uvloop; uvloop.run(main())"])
def test_a_client_of_a_module_under_two_loops_is_clean_with_every_warning_an_error(
    box: Sandbox, program: Program, run: str
) -> None:
    assert program(TWICE.format(run=run), box.url) == ""


@pytest.mark.slow
def test_the_session_is_closed_when_the_loop_shuts_down_its_generators(
    box: Sandbox, program: Program
) -> None:
    source = TWICE.format(
        run="loop = asyncio.new_event_loop(); loop.run_until_complete(main());"
        "loop.run_until_complete(loop.shutdown_asyncgens()); loop.close()"
    )
    assert program(source, box.url) == ""


# --- a loop that is closed while tasks are pending, without the care of ``asyncio.run``

ABANDONED = """
import asyncio, logging, sys
from reflexio_async import AsyncReflexioClient, ClientClosed

client = AsyncReflexioClient(url_endpoint=sys.argv[1])
messages = []
handler = logging.Handler()
handler.emit = lambda record: messages.append(record.getMessage())
logging.getLogger("reflexio_async").addHandler(handler)

async def finish(handle):
    return await asyncio.wait_for(handle, 60)

loops = []  # held, and with them what they know

def leave(work):
    loop = asyncio.new_event_loop()
    loops.append(loop)
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()

def cut_off(handle, text):
    try:
        asyncio.run(finish(handle))
    except ClientClosed as error:
        assert text in str(error), error
    else:
        raise AssertionError("it was not cut off")
"""


@pytest.mark.slow
def test_jobs_that_were_awaited_on_an_abandoned_loop_are_awaited_on_the_next(
    box: Sandbox, program: Program
) -> None:
    box.faults.add(faults.freeze(), path="/api/learning_status")
    box.faults.add(faults.status(200, {"status": "done"}), path="/api/learning_status", times=None)
    source = """
async def wait_a_moment():
    jobs = [await client.rerun_profile_generation(user_id="u"), client.learning("r")]
    waiting = [asyncio.create_task(job.result()) for job in jobs]
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in waiting)
    return jobs, waiting

(rerun, learning), tasks = leave(wait_a_moment())
assert asyncio.run(finish(rerun)).profiles_generated == 1
assert asyncio.run(finish(learning)).status == "done"
"""
    program(ABANDONED + source, box.url, warnings="default")


@pytest.mark.slow
def test_what_was_under_way_on_an_abandoned_loop_is_cut_off_and_named(box: Sandbox, program: Program) -> None:
    box.faults.add(faults.freeze(), path=DELETE)
    source = """
async def leave_work():
    await client.rerun_profile_generation(user_id="u")
    queued = await client.rerun_profile_generation(user_id="later")
    call = await client.delete_profile("u", "p")
    await asyncio.sleep(0.1)
    return queued, call

queued, call = leave(leave_work())
cut_off(call, "delete_profile: its event loop ended before the response came")
asyncio.run(client.whoami())
cut_off(queued, "user_id=later): its event loop ended before its start was sent")
[message] = messages
assert "user_id=later" in message and "delete_profile" in message, message
"""
    program(ABANDONED + source, box.url, warnings="default")


@pytest.mark.slow
def test_a_stream_of_an_abandoned_loop_cannot_be_read_on_the_next(box: Sandbox, program: Program) -> None:
    source = """
async def begin():
    batch = client.rerun_profiles_many(["u"])
    await batch.__aenter__()
    return batch

cut_off(anext(leave(begin())), "its event loop ended while it was being read")
"""
    program(ABANDONED + source, box.url, warnings="default")


@pytest.mark.slow
def test_calls_that_an_abandoned_loop_left_do_not_close_their_limit_for_ever(
    box: Sandbox, program: Program
) -> None:
    limit = faults.status(429, {"error": "Rate limit exceeded: 1 per 1 second"})
    box.faults.add(limit, path="/api/whoami")
    box.faults.add(faults.freeze(), path="/api/whoami")
    source = """
async def leave_calls():
    calls = [asyncio.create_task(client.whoami())]
    await asyncio.sleep(0.2)
    calls += [asyncio.create_task(client.whoami()) for _ in range(2)]
    await asyncio.sleep(1.5)
    assert not any(call.done() for call in calls)
    return calls

calls = leave(leave_calls())
assert asyncio.run(finish(client.whoami())).success
"""
    program(ABANDONED + source, box.url, warnings="default")
