"""A call that is forgotten or stuck is named by Python as the user named it."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async.reflect.client import AsyncReflectClient

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient


def _forget(call: Any, *args: Any, **kwargs: Any) -> None:
    call(*args, **kwargs)
    gc.collect()


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("whoami", {}),
        ("get_profiles", {"user_id": "u"}),
        ("publish_interaction", {"user_id": "u", "interactions": []}),
        ("rerun_profile_generation", {"user_id": "u"}),
    ],
)
async def test_a_call_that_nobody_awaits(
    client: AsyncReflexioClient, call: str, arguments: dict[str, Any]
) -> None:
    with pytest.warns(RuntimeWarning, match=rf"'\w+API\.{call}' was never awaited"):
        _forget(getattr(client, call), **arguments)


async def test_a_call_of_a_session(client: AsyncReflexioClient) -> None:
    with pytest.warns(RuntimeWarning, match=r"'\w+\.search' was never awaited"):
        _forget(client.for_session("s").search, query="q")


async def test_a_call_of_reflect() -> None:
    client = AsyncReflectClient(base_url="http://127.0.0.1:1")
    with pytest.warns(RuntimeWarning, match=r"'\w+\.create_trace' was never awaited"):
        _forget(client.create_trace, task="t")


async def test_a_task_that_makes_a_call(client: AsyncReflexioClient) -> None:
    task = asyncio.create_task(client.whoami())
    assert "API.whoami()" in repr(task)
    await task
