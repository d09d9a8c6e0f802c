"""A call has its own name, and Python names it so when it is forgotten or stuck."""

from __future__ import annotations

import asyncio
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.endpoints.calls import Call, every_call

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient


@every_call
def test_a_call_is_named_as_it_is_written(call: Call) -> None:
    function = call.function
    written = call.name.removesuffix("_async")
    assert function.__name__ == written
    assert function.__qualname__.endswith(f".{written}")
    found: Any = sys.modules[function.__module__]
    for part in function.__qualname__.split("."):
        found = getattr(found, part)
    assert found == function


@every_call
def test_a_call_is_pickled_by_its_name(call: Call) -> None:
    assert pickle.loads(pickle.dumps(call.function)) == call.function  # noqa: S301  # our own bytes


@every_call
def test_a_forgotten_await_is_named_after_the_call(call: Call) -> None:
    with pytest.warns(RuntimeWarning, match=rf"'\w+\.{call.function.__name__}' was never awaited"):
        call.bound(**call.required(None))


@every_call
def test_a_call_on_a_client_is_shown_as_a_method(call: Call) -> None:
    assert repr(call.bound).startswith(f"<bound method {call.function.__qualname__} of ")


async def test_a_task_that_makes_a_call_is_named_after_it(client: AsyncReflexioClient) -> None:
    task = asyncio.create_task(client.whoami())
    assert "API.whoami()" in repr(task)
    await task
