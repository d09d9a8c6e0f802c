"""How long tests wait in real time for what must happen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

A_HANG = 60.0
"""Seconds after which something hangs.

It tells a hang from a result, and nothing else: a machine that is busy may stop any process for seconds, at
any moment. A shorter wait in real time belongs to what is tested.
"""

A_HANGING_TEST = 300.0
"""Seconds after which a test on the real server is ended. None takes half of that."""


async def until(holds: Callable[[], object]) -> None:
    """Wait until ``holds()`` is true."""
    async with asyncio.timeout(A_HANG):
        while not holds():  # noqa: ASYNC110  # conditions of any objects
            await asyncio.sleep(0.01)
