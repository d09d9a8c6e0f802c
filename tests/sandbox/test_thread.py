"""A sandbox in a thread, for code that is not asynchronous."""

from __future__ import annotations

import asyncio
import threading

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.testing import Sandbox, SandboxThread, VirtualClock


def publish(url: str, user_id: str) -> None:
    """Publish from an event loop of its own, as a web application does under a test client."""

    async def work() -> None:
        async with AsyncReflexioClient(url_endpoint=url) as client:
            turn = {"role": "user", "content": "I like tea"}
            await client.publish_interaction(user_id=user_id, session_id="s", interactions=[turn])

    asyncio.run(work())


def test_it_serves_clients_of_other_event_loops() -> None:
    with SandboxThread() as box:
        for user in ("ana", "bob"):
            publish(box.url, user)
        assert box.call(Sandbox.count, "POST", "/api/publish_interaction", 200) == 2
        assert box.call(lambda sandbox: {row.user_id for row in sandbox.stored_requests.values()}) == {
            "ana",
            "bob",
        }


def test_functions_run_on_its_event_loop() -> None:
    with SandboxThread() as box:
        assert box.call(lambda _sandbox: threading.get_ident()) != threading.get_ident()
        assert box.call(lambda _sandbox: asyncio.get_running_loop().is_running())


def test_methods_take_their_arguments() -> None:
    with SandboxThread() as box:
        box.call(Sandbox.seed, "ana", "I like sushi", session_id="s1")
        assert len(box.call(Sandbox.seed_profile, "ana", "likes tea", source="chat")) == 1
        assert [row["content"] for row in box.call(Sandbox.snapshot)["profiles"]] == ["likes tea"]


def test_coroutine_functions_are_awaited() -> None:
    with SandboxThread() as box:
        publish(box.url, "ana")
        url = box.url
        box.call(Sandbox.restart, keep_data=False)
        assert box.url == url
        assert box.call(lambda sandbox: dict(sandbox.stored_requests)) == {}
        publish(box.url, "bob")


def test_errors_are_raised_in_the_caller() -> None:
    with SandboxThread() as box, pytest.raises(ValueError, match="profile_generation"):
        box.call(Sandbox.operations, "nothing")


def test_it_has_both_servers_and_the_options_of_its_sandbox() -> None:
    sandbox = Sandbox(api_key="k")
    with SandboxThread(sandbox) as box:
        assert (box.url, box.reflect_url, box.reflect_key) == (
            sandbox.url,
            sandbox.reflect_url,
            sandbox.reflect_key,
        )


def test_nothing_is_left_after_it() -> None:
    before = threading.active_count()
    with SandboxThread() as box:
        publish(box.url, "ana")
    assert threading.active_count() == before


def test_a_sandbox_that_cannot_start_leaves_no_thread() -> None:
    before = threading.active_count()
    with SandboxThread() as box, pytest.raises(OSError, match="address already in use"):
        SandboxThread(Sandbox(port=int(box.url.rpartition(":")[2]))).__enter__()
    assert threading.active_count() == before


def test_a_virtual_clock_is_refused() -> None:
    with pytest.raises(ValueError, match="make it without a VirtualClock"):
        SandboxThread(Sandbox(clock=VirtualClock()))
