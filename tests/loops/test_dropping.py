"""A client that is never closed says so, and names what was not sent."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflectClient, AsyncReflexioClient
from reflexio_async.sandbox import Sandbox, faults
from tests.hang import until

if TYPE_CHECKING:
    from tests.loops.conftest import Program

START = """
import asyncio, gc, sys
from reflexio_async import AsyncReflexioClient

def make():
    return AsyncReflexioClient(url_endpoint=sys.argv[1])

async def forget(client):
    for user in ("u", "second", "third"):
        await client.rerun_profile_generation(user_id=user)
    for number in range(2):
        await client.delete_profile("u", str(number))
"""
DELETE = "/api/delete_profile"
LOST = ("user_id=second", "user_id=third", "delete_profile, delete_profile", "await client.aclose()")


def assert_named(written: str) -> None:
    """Everything that was lost is named, once, and nothing else is written."""
    lines = [line for line in written.splitlines() if "was not closed" in line]
    assert len(lines) == 1, written
    for name in LOST:
        assert name in lines[0]


# --- the loop or the program ends first

FORGETS = {
    "of a function": """
async def main():
    client = make()
    await forget(client)
asyncio.run(main())
""",
    "of a module": """
client = make()
asyncio.run(forget(client))
""",
    "a view": """
client = make()
asyncio.run(forget(client.with_options(timeout=3)))
""",
    "a view that is left": """
async def main():
    async with make().with_options(timeout=3) as view:
        await forget(view)
asyncio.run(main())
""",
    "a loop that is never closed": """
client = make()
loop = asyncio.new_event_loop()
loop.run_until_complete(forget(client))
""",
    "a loop that is only closed": """
client = make()
loop = asyncio.new_event_loop()
loop.run_until_complete(forget(client))
loop.close()
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORGETS)
def test_what_was_lost_is_written_to_standard_error(box: Sandbox, program: Program, name: str) -> None:
    box.faults.add(faults.freeze(), path=DELETE, times=None)
    assert_named(program(START + FORGETS[name], box.url, warnings="default::DeprecationWarning"))


@pytest.mark.slow
def test_what_is_lost_with_the_loop_of_a_daemon_thread_is_written_to_standard_error(
    box: Sandbox, program: Program
) -> None:
    box.faults.add(faults.freeze(), path=DELETE, times=None)
    source = """
import threading
client = make()
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(forget(client), loop).result()
"""
    written = program(START + source, box.url, warnings="default::DeprecationWarning")
    [line] = written.splitlines()
    assert "dropped without being closed" in line
    for name in LOST:
        assert name in line


@pytest.mark.slow
def test_what_was_lost_is_a_resource_warning_too(box: Sandbox, program: Program) -> None:
    box.faults.add(faults.freeze(), path=DELETE, times=None)
    written = program(START + "asyncio.run(forget(make()))", box.url, warnings="default::ResourceWarning")
    [line] = [line for line in written.splitlines() if "ResourceWarning: AsyncReflexioClient" in line]
    assert "user_id=second" in line


# --- nothing was lost


FORGETS_NOTHING = {
    "unused": """
client = make()
""",
    "an unused view": """
make().with_options(timeout=3)
""",
    "of a module": """
client = make()
asyncio.run(client.whoami())
asyncio.run(client.whoami())
""",
    "left": """
async def main():
    async with make() as client:
        await forget(client)
asyncio.run(main())
""",
    "closed": """
async def main():
    client = make()
    await client.whoami()
    await client.aclose()
asyncio.run(main())
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORGETS_NOTHING)
def test_nothing_is_written_with_every_warning_an_error(box: Sandbox, program: Program, name: str) -> None:
    assert program(START + FORGETS_NOTHING[name], box.url) == ""


# --- the loop goes on


async def test_a_client_that_is_dropped_warns() -> None:
    async with Sandbox() as box:
        client: AsyncReflexioClient | None = AsyncReflexioClient(url_endpoint=box.url)
        assert client is not None
        await client.whoami()
        with pytest.warns(
            ResourceWarning, match=r"AsyncReflexioClient\('http.* dropped without being closed"
        ):
            client = None
        del client
        gc.collect()
        await asyncio.sleep(0.05)  # the connections are closed by the loop


LOGIN = ("ana@example.com", "secret of ana")


async def test_a_client_that_has_logged_in_warns_too_when_it_is_dropped() -> None:
    async with Sandbox(logins=dict([LOGIN])) as box:
        client: AsyncReflexioClient | None = AsyncReflexioClient(url_endpoint=box.url)
        assert client is not None
        await client.login(*LOGIN)
        with pytest.warns(ResourceWarning, match="dropped without being closed"):
            client = None
        gc.collect()
        await asyncio.sleep(0.05)


async def test_nothing_is_kept_of_a_client_that_was_closed() -> None:
    async with Sandbox(logins=dict([LOGIN])) as box:
        box.seed("u")
        async with AsyncReflexioClient(url_endpoint=box.url) as client:
            await client.login(*LOGIN)
            await client.whoami()
            await client.rerun_profile_generation(user_id="u", wait_for_response=True)
            kept = weakref.ref(client._engine.loops)
        client._refers_to_itself = client  # type: ignore[attr-defined]
        del client
        gc.collect()
        assert kept() is None


async def test_the_warning_names_what_is_under_way() -> None:
    async with Sandbox(rerun_seconds=60.0) as box:
        client: AsyncReflexioClient | None = AsyncReflexioClient(url_endpoint=box.url)
        assert client is not None
        await client.rerun_profile_generation(user_id="u")
        queued = await client.rerun_profile_generation(user_id="later")
        with pytest.warns(ResourceWarning, match="under way: starts not sent: .*user_id=later"):
            client = None
        await queued.cancel()


async def test_a_reflect_client_that_is_dropped_warns() -> None:
    async with Sandbox() as box:
        client: AsyncReflectClient | None = AsyncReflectClient(
            base_url=box.reflect_url, api_key=box.reflect_key
        )
        assert client is not None
        await client.list_traces()
        with pytest.warns(ResourceWarning, match="AsyncReflectClient.* dropped without being closed"):
            client = None
        del client
        gc.collect()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["a view", "a session", "reflect", "legacy"])
async def test_a_client_is_not_dropped_while_a_view_is_held(
    name: str, recwarn: pytest.WarningsRecorder
) -> None:
    async with Sandbox() as box:
        client = AsyncReflexioClient(
            url_endpoint=box.url, reflect_url=box.reflect_url, reflect_api_key=box.reflect_key
        )
        await client.whoami()
        views = {
            "a view": client.with_options(timeout=3),
            "a session": client.for_session("s"),
            "reflect": client.reflect,
            "legacy": client.legacy,
        }
        held = views.pop(name)
        close = client._engine.loops.close
        views.clear()
        del client
        gc.collect()
        assert [str(warning.message) for warning in recwarn.list] == []
        scope, _ = close()
        await scope.aclose()
        del held


async def test_the_connections_of_a_client_that_was_dropped_are_closed() -> None:
    async with Sandbox() as box:
        client: AsyncReflexioClient | None = AsyncReflexioClient(url_endpoint=box.url)
        assert client is not None
        await client.whoami()
        session = client._pool.connections().session
        with pytest.warns(ResourceWarning):
            client = None
        gc.collect()
        await until(lambda: session.closed)


@pytest.mark.slow
def test_a_forked_child_says_nothing_of_what_is_the_parents(box: Sandbox, program: Program) -> None:
    source = """
import os

async def main():
    client = make()
    call = asyncio.create_task(client.whoami())
    await client.rerun_profile_generation(user_id="u")
    await client.rerun_profile_generation(user_id="u")
    await call
    child = os.fork()
    if not child:
        client._engine.loops.dropped()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    await client.aclose()

asyncio.run(main())
"""
    assert program(START + source, box.url) == ""
