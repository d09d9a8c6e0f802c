"""A sandbox's Reflect server on virtual time, spoken to without a client."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from reflexio_async.sandbox import ReflectSettings
from tests.sandbox.reflect.wire import ReflectWire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from reflexio_async.sandbox import VirtualClock
    from tests.sandbox.conftest import Opens


class Reflects(Protocol):
    """Opens a sandbox with these Reflect settings."""

    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[ReflectWire]: ...


@pytest.fixture
def reflecting(opened: Opens, clock: VirtualClock) -> Reflects:
    @asynccontextmanager
    async def opens(**settings: Any) -> AsyncGenerator[ReflectWire]:
        async with opened(reflect=ReflectSettings(**settings)) as (box, wire):
            yield ReflectWire(box, wire.session, clock)

    return opens
