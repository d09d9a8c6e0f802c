"""A client that was used is refused in a forked child, whose connections it would share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from reflexio_async.sandbox import Sandbox
    from tests.loops.conftest import Program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on this system"),
]

FORK = """
import asyncio, os, sys
from reflexio_async import AsyncReflexioClient, ConfigurationError

client = AsyncReflexioClient(url_endpoint=sys.argv[1])

async def use():
    assert (await client.whoami()).success

def in_child(work):
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)  # as multiprocessing does
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

def refused(run):
    def work():
        try:
            run()
        except ConfigurationError as error:
            assert "AsyncReflexioClient" in str(error)
            assert "used before this process was forked" in str(error)
        else:
            raise AssertionError("it was not refused")
    return work
"""


def test_a_used_client_is_refused_and_the_parent_goes_on(box: Sandbox, program: Program) -> None:
    source = """
asyncio.run(use())
in_child(refused(lambda: asyncio.run(use())))
asyncio.run(use())
"""
    assert program(FORK + source, box.url) == ""


def test_a_client_is_refused_on_a_loop_that_the_child_has_inherited(box: Sandbox, program: Program) -> None:
    source = """
loop = asyncio.new_event_loop()
loop.run_until_complete(use())
in_child(refused(lambda: loop.run_until_complete(use())))
loop.run_until_complete(use())
loop.run_until_complete(client.aclose())
loop.close()
"""
    assert program(FORK + source, box.url) == ""


def test_a_client_is_refused_in_a_child_that_is_forked_by_its_running_loop(
    box: Sandbox, program: Program
) -> None:
    source = """
async def main():
    await use()
    in_child(refused(lambda: asyncio.run(use())))
    await use()

asyncio.run(main())
"""
    assert program(FORK + source, box.url) == ""


def test_a_client_is_refused_in_the_coroutine_that_forked(box: Sandbox, program: Program) -> None:
    source = """
def go_on():
    coroutine = client.whoami()
    try:
        coroutine.send(None)
    finally:
        coroutine.close()

async def main():
    await use()
    in_child(refused(go_on))
    await use()

asyncio.run(main())
"""
    assert program(FORK + source, box.url) == ""


def test_an_unused_client_may_be_used_in_the_child(box: Sandbox, program: Program) -> None:
    source = """
in_child(lambda: asyncio.run(use()))
asyncio.run(use())
"""
    assert program(FORK + source, box.url) == ""


def test_a_client_that_another_thread_was_binding_may_be_used_in_the_child(
    box: Sandbox, program: Program
) -> None:
    source = """
import threading

held, go_on = threading.Event(), threading.Event()

def bind():
    with client._engine.loops._lock:
        held.set()
        go_on.wait()

thread = threading.Thread(target=bind)
thread.start()
held.wait()
in_child(lambda: asyncio.run(asyncio.wait_for(use(), 60)))
go_on.set()
thread.join()
"""
    assert program(FORK + source, box.url, warnings="ignore::DeprecationWarning") == ""
