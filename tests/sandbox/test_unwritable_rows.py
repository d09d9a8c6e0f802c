"""Rows that cannot be written are reported every time, and no other row is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from reflexio_async.sandbox import Sandbox
from reflexio_async.sandbox.storage.data_file import NotStored
from tests.behaviour.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path

UNWRITABLE: Any = object()


def spoil(box: Sandbox) -> None:
    """Let a row hold an object that JSON cannot encode, as a test's code may."""
    box.seed_profile("u", "tea")
    box.stored_profiles[0].content = UNWRITABLE


def mend(box: Sandbox) -> None:
    """Make the row writable again."""
    box.stored_profiles[0].content = "coffee"


async def left(box: Sandbox) -> None:
    """Stop, which reports the row again."""
    with pytest.raises(NotStored):
        await box.stop()


async def test_an_unwritable_row_is_reported_every_time(tmp_path: Path) -> None:
    box = Sandbox(data=tmp_path / "sandbox.db")
    await box.start()
    spoil(box)
    for _ in range(2):
        reported = r"sandbox\.db: profile '.+' cannot be written: Unable to serialize"
        with pytest.raises(NotStored, match=reported):
            await box.settled()
    await left(box)


async def test_the_rows_besides_an_unwritable_one_are_written(tmp_path: Path) -> None:
    box = Sandbox(data=tmp_path / "sandbox.db")
    await box.start()
    box.seed("before", "tea")
    spoil(box)
    box.seed("after", "tea")
    await left(box)
    async with Sandbox(data=tmp_path / "sandbox.db") as again:
        assert [row.user_id for row in again.stored_requests.values()] == ["before", "after"]
        assert not again.stored_profiles


async def test_requests_get_500_while_a_row_is_unwritable(tmp_path: Path) -> None:
    box = Sandbox(data=tmp_path / "sandbox.db")
    await box.start()
    async with aiohttp.ClientSession() as session:
        wire = Wire(box.url, session)
        spoil(box)
        assert (await wire.get("/api/whoami")).status == 500
        mend(box)
        assert (await wire.get("/api/whoami")).status == 200
    await box.stop()


async def test_a_row_that_becomes_writable_is_written(tmp_path: Path) -> None:
    async with Sandbox(data=tmp_path / "sandbox.db") as box:
        spoil(box)
        with pytest.raises(NotStored):
            await box.settled()
        mend(box)
        await box.settled()
    async with Sandbox(data=tmp_path / "sandbox.db") as again:
        assert [row.content for row in again.stored_profiles] == ["coffee"]


@pytest.mark.parametrize("passes", [1, 2, 3], ids=["before it begins", "at the first rows", "later"])
async def test_a_cancelled_write_is_repeated(tmp_path: Path, passes: int) -> None:
    async with Sandbox(data=tmp_path / "sandbox.db") as box:
        before = asyncio.all_tasks()
        box.seed_profile("u", *(f"tea {number}" for number in range(1200)))
        for _ in range(passes):
            await asyncio.sleep(0)
        [writing] = asyncio.all_tasks() - before
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await box.settled()
    async with Sandbox(data=tmp_path / "sandbox.db") as again:
        assert len(again.stored_profiles) == 1200
