"""A callback that is a coroutine function would never be awaited: it is refused by name, before any I/O."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest

from reflexio_async import (
    AsyncReflectClient,
    AsyncReflexioClient,
    ConfigurationError,
    InvalidRequest,
    reflect_trace,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

URL = "http://127.0.0.1:9"
HOOKS = ["on_request", "on_retry", "on_background_error"]


async def function(_: object) -> None:
    """A coroutine function."""


async def generator(_: object) -> AsyncGenerator[None]:
    yield


class Hook:
    async def method(self, _: object) -> None: ...

    async def __call__(self, _: object) -> None: ...


ASYNC = {
    "a function": function,
    "a method": Hook().method,
    "an object": Hook(),
    "a partial": functools.partial(function),
    "a generator": generator,
    "a mock": AsyncMock(),
}
asynchronous = pytest.mark.parametrize("hook", ASYNC.values(), ids=ASYNC)


@asynchronous
@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("client", [AsyncReflexioClient, AsyncReflectClient])
def test_a_hook_of_a_client_is_no_coroutine_function(client: Any, name: str, hook: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be an ordinary function"):
        client(**{name: hook})


@asynchronous
@pytest.mark.parametrize("name", ["on_request", "on_retry"])
def test_a_hook_of_a_view_is_no_coroutine_function(name: str, hook: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be an ordinary function"):
        AsyncReflexioClient(url_endpoint=URL).with_options(**{name: hook})


@asynchronous
@pytest.mark.parametrize("call", ["rerun_profiles_many", "rerun_playbooks_many", "publish_many"])
def test_on_progress_of_a_batch_is_no_coroutine_function(call: str, hook: Any) -> None:
    client = AsyncReflexioClient(url_endpoint=URL)
    with pytest.raises(InvalidRequest, match="on_progress must be a plain function"):
        getattr(client, call)([], on_progress=hook)


@asynchronous
def test_the_callbacks_of_a_batch_of_traces_are_no_coroutine_functions(hook: Any) -> None:
    reflect = AsyncReflexioClient(url_endpoint=URL).reflect
    with pytest.raises(InvalidRequest, match="on_progress must be a plain function"):
        reflect.create_traces_many([], on_progress=hook)
    with pytest.raises(InvalidRequest, match=r"key must be a function .* not a coroutine function"):
        reflect.create_traces_many([], key=hook)


@asynchronous
def test_the_task_of_a_traced_function_is_made_by_no_coroutine_function(hook: Any) -> None:
    reflect = AsyncReflexioClient(url_endpoint=URL).reflect
    with pytest.raises(ConfigurationError, match="task must be an ordinary function"):
        reflect_trace(reflect, task=hook)


def test_an_ordinary_function_is_a_hook() -> None:
    assert AsyncReflexioClient(url_endpoint=URL, on_request=print).base_url == URL
    assert AsyncReflexioClient(url_endpoint=URL, on_retry=functools.partial(print, "again")).base_url == URL
