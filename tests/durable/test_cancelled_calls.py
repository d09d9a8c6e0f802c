"""A call that puts a row into a store may be cancelled at any moment."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.testing import Sandbox
from tests.hang import A_HANG
from tests.scene import PUBLISH, RERUN, scene

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from pathlib import Path
    from typing import Any

TURN = {"role": "user", "content": "I like tea"}


@contextmanager
def locked(store: Path) -> Generator[None]:
    """Another program keeps ``store`` locked."""
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("begin immediate")
        yield
        other.rollback()


async def cancel_while_written(store: Path, call: Coroutine[Any, Any, object]) -> None:
    """Cancel ``call`` when the thread of ``store`` has its row already."""
    with locked(store):
        task = asyncio.ensure_future(call)
        await asyncio.sleep(0.1)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_rerun_that_is_cancelled_while_its_row_is_written_is_not_started(tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url, store=store) as client:
        box.seed("ana", "I like sushi")
        box.seed("ben", "I like tea")
        await cancel_while_written(store, client.rerun_profile_generation(user_id="ana"))
        job = await client.rerun_profile_generation(user_id="ben")
        await job
        assert box.count("POST", RERUN) == 1


async def test_a_publish_that_is_cancelled_while_its_row_is_written_is_delivered(tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    async with Sandbox() as box, AsyncReflexioClient(url_endpoint=box.url, store=store) as client:
        await (await client.publish_later("u", [TURN], session_id="s"))
        await cancel_while_written(store, client.publish_later("u", [TURN], session_id="s"))
        await asyncio.wait_for(box.arrived("POST", PUBLISH, 2), A_HANG)


@pytest.mark.parametrize("steps", range(4))
async def test_a_cancelled_publish_is_delivered_or_not_named_as_lost(steps: int) -> None:
    async with scene() as play:
        await (await play.client.publish_later("u", [TURN], session_id="s"))
        task = asyncio.ensure_future(play.client.publish_later("u", [TURN], session_id="s"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert (await play.client.aclose()).complete
