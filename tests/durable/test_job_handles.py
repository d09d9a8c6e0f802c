"""Handles of jobs of a store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reflexio_async import AsyncReflexioClient
from reflexio_async.testing import Sandbox

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_job_may_end_while_its_status_is_refreshed(tmp_path: Path) -> None:
    async with Sandbox(rerun_seconds=0.2) as box:
        box.seed("ana", "I like sushi")
        async with AsyncReflexioClient(url_endpoint=box.url, store=tmp_path / "r.db") as client:
            job = await client.rerun_profile_generation(user_id="ana")
            while not job.status.done:
                await asyncio.gather(*(job.refresh() for _ in range(8)))
            assert (await job).profiles_generated == 1
