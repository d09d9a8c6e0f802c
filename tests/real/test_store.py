"""A batch of a store on the real server: the client is killed, or the server."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.real.helpers import client_of, pending_of_each, publish_each, starts

if TYPE_CHECKING:
    from pathlib import Path

    from reflexio_async.testing import RealServer
    from tests.real_server import StartServer

pytestmark = pytest.mark.real

LEASE = 0.6  # seconds


@pytest.fixture
def server(real_server_factory: StartServer) -> RealServer:
    return real_server_factory(rate_limits=False)


async def rerunner(server: RealServer, store: Path, users: list[str]) -> asyncio.subprocess.Process:
    program = ("-m", "tests.durable.rerunner", server.url, str(store), "night", str(LEASE), ",".join(users))
    return await asyncio.create_subprocess_exec(sys.executable, *program, stdout=asyncio.subprocess.PIPE)


async def until_started(server: RealServer, count: int) -> None:
    while starts(server).total() < count:  # noqa: ASYNC110  # its log is a file
        await asyncio.sleep(0.01)


async def test_a_client_that_is_killed_three_times_starts_each_of_twelve_users_once(
    server: RealServer, names: list[str], tmp_path: Path
) -> None:
    store = tmp_path / "r.db"
    async with client_of(server) as client:
        await publish_each(client, names)
    for count in (3, 6, 9):
        process = await rerunner(server, store, names)
        await until_started(server, count)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    process = await rerunner(server, store, names)
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert output.count(b" completed ") == 12, output
    assert starts(server) == {200: 12}
    async with client_of(server) as client:
        assert await pending_of_each(client, names) == dict.fromkeys(names, 1)


async def test_a_server_that_is_killed_loses_no_user_and_starts_at_most_the_one_in_flight_twice(
    server: RealServer, names: list[str], tmp_path: Path
) -> None:
    async with client_of(server) as client:
        await publish_each(client, names)
    process = await rerunner(server, tmp_path / "r.db", names)
    await until_started(server, 5)
    server.kill()
    # As after ten minutes, or by a server that keeps its operations in memory.
    server.forget_operations()
    server.forget_leases()
    await asyncio.to_thread(server.restart)
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert output.count(b" completed ") == 12, output
    # A start whose answer was lost may be missing in the log.
    assert 11 <= starts(server)[200] <= 13
    async with client_of(server) as client:
        pending = await pending_of_each(client, names)
    assert all(pending.values())
    assert sum(pending.values()) <= 13
