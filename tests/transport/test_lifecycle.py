"""Making, using and closing a client, its views and its event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import (
    AsyncReflexioClient,
    ClientClosed,
    ConfigurationError,
    RequestEvent,
    RequestRefused,
    RetryPolicy,
)
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.hang import A_HANG
from tests.transport.servers import TURNS, WHOAMI, raw_server, reply_with, sequence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def test_making_a_client_needs_no_loop_and_does_no_io() -> None:
    client = AsyncReflexioClient(url_endpoint="http://127.0.0.1:1")
    assert repr(client) == "AsyncReflexioClient('http://127.0.0.1:1')"


async def test_a_client_that_was_never_used_can_be_closed() -> None:
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:1"):
        pass


async def test_a_client_may_be_used_without_a_block(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box:
        client = AsyncReflexioClient(url_endpoint=box.url, clock=clock)
        assert (await client.whoami()).success
        summary = await client.aclose()
        assert summary.complete


async def test_a_client_may_be_closed_twice(clock: VirtualClock) -> None:
    client = AsyncReflexioClient(url_endpoint="http://127.0.0.1:1", clock=clock)
    await client.aclose()
    assert (await client.aclose()).complete


CALLS: dict[str, Callable[[AsyncReflexioClient], Awaitable[Any]]] = {
    "whoami": lambda client: client.whoami(),
    "publish": lambda client: client.publish_interaction(user_id="u", session_id="s", interactions=TURNS),
    "rerun": lambda client: client.rerun_profile_generation(user_id="u", wait_for_response=True),
    "manual": lambda client: client.manual_profile_generation(user_id="u", wait_for_response=True),
    "login": lambda client: client.login("a@b.c", "p"),
    "delete in the background": lambda client: client.delete_profile("u", "p"),
    "manual in the background": lambda client: client.manual_profile_generation(user_id="u"),
}


@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
@pytest.mark.parametrize("name", CALLS)
async def test_calls_of_a_closed_client_raise_client_closed(
    clock: VirtualClock, name: str, *, used: bool
) -> None:
    async with Sandbox(clock=clock) as box:
        async with AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
            if used:
                await client.whoami()
        with pytest.raises(ClientClosed, match="make a new one"):
            async with asyncio.timeout(A_HANG):  # no call may wait forever
                await CALLS[name](client)
        assert len(box.requests) == used


async def test_a_view_of_a_closed_client_is_closed(clock: VirtualClock) -> None:
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:1", clock=clock) as client:
        view = client.with_options(timeout=3)
    with pytest.raises(ClientClosed):
        await view.whoami()


def test_a_client_used_from_two_loops_is_a_configuration_error() -> None:
    async def main() -> None:
        async with Sandbox() as box:
            client = AsyncReflexioClient(url_endpoint=box.url)
            await client.whoami()

            def use_in_another_loop() -> None:
                with pytest.raises(ConfigurationError, match="one client per thread and event loop"):
                    asyncio.run(client.whoami())  # pyright: ignore[reportArgumentType]

            await asyncio.to_thread(use_in_another_loop)
            assert (await client.whoami()).success
            await client.aclose()

    asyncio.run(main())


# --- views


async def test_a_view_shares_the_connections(clock: VirtualClock) -> None:
    async with (
        raw_server(sequence(then=reply_with(WHOAMI))) as server,
        AsyncReflexioClient(url_endpoint=server.url, clock=clock) as client,
    ):
        for timeout in (10, 20, 30):
            await client.with_options(timeout=timeout).whoami()
        await client.whoami()
    assert server.connections == 1


async def test_a_view_has_its_own_settings(clock: VirtualClock) -> None:
    events: list[RequestEvent] = []
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        view = client.with_options(
            timeout=7,
            poll_interval=0.5,
            wait_timeout=9,
            retry=RetryPolicy(max_attempts=1),
            raise_on_refusal=False,
            on_request=events.append,
        )
        await client.whoami()
        assert events == []
        await view.whoami()
        assert len(events) == 1
        settings = view._engine.settings
        assert (settings.timeout, settings.poll_interval, settings.wait_timeout) == (7, 0.5, 9)
        assert client._engine.settings.timeout == 300


async def test_a_view_of_a_view_has_the_options_of_both(clock: VirtualClock) -> None:
    client = AsyncReflexioClient(url_endpoint="http://127.0.0.1:1", clock=clock)
    view = client.with_options(timeout=7, poll_interval=2).with_options(timeout=8)
    assert (view._engine.settings.timeout, view._engine.settings.poll_interval) == (8, 2)


async def test_an_option_can_be_set_back_to_none(clock: VirtualClock) -> None:
    client = AsyncReflexioClient(url_endpoint="http://127.0.0.1:1", clock=clock, poll_interval=2)
    assert client.with_options(poll_interval=None)._engine.settings.poll_interval is None


async def test_a_view_has_the_class_of_the_client(clock: VirtualClock) -> None:
    class Mine(AsyncReflexioClient):
        async def mine(self) -> str:
            return (await self.whoami()).org_id

    async with Sandbox(clock=clock) as box, Mine(url_endpoint=box.url, clock=clock) as client:
        assert await client.with_options(timeout=5).mine() == "self-host-org"


@pytest.mark.parametrize(
    "options",
    [{"timeout": 0}, {"timeout": -1}, {"poll_interval": 0}, {"wait_timeout": float("nan")}],
    ids=repr,
)
async def test_the_options_of_a_view_are_checked(clock: VirtualClock, options: dict[str, Any]) -> None:
    client = AsyncReflexioClient(url_endpoint="http://127.0.0.1:1", clock=clock)
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        client.with_options(**options)


async def test_refusals_are_raised_or_returned_by_view(clock: VirtualClock) -> None:
    refusal = faults.status(200, {"success": False, "user_profiles": [], "msg": "no"})
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        box.faults.add(refusal, times=2)
        assert not (await client.with_options(raise_on_refusal=False).get_profiles(user_id="u")).success
        with pytest.raises(RequestRefused):
            await client.get_profiles(user_id="u")


# --- closing


async def test_closing_during_calls_leaves_no_task(clock: VirtualClock) -> None:
    before = asyncio.all_tasks()
    async with Sandbox(clock=clock) as box:
        box.faults.add(faults.freeze(), times=None)
        async with AsyncReflexioClient(url_endpoint=box.url, clock=clock, drain_timeout=0) as client:
            call = asyncio.create_task(client.whoami())
            slow = await client.manual_profile_generation(user_id="u")
            await box.arrived("GET", "/api/whoami")
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            del slow
    assert asyncio.all_tasks() == before


async def test_an_exception_in_the_block_is_raised(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012  # the block is what is tested
            async with AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
                await client.whoami()
                raise ZeroDivisionError


async def test_two_clients_share_no_token(clock: VirtualClock) -> None:
    async with (
        Sandbox(clock=clock, api_key="t") as box,
        AsyncReflexioClient("t", box.url, clock=clock) as first,
        AsyncReflexioClient("x", box.url, clock=clock) as second,
    ):
        assert (await first.whoami()).success
        with pytest.raises(Exception, match="401"):
            await second.whoami()
