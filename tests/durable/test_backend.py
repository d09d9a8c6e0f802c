"""Two workers of one web backend share a file: every token resolves in both."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from reflexio_async.sandbox import Sandbox
from tests.durable.windows import refused, shorten_windows
from tests.hang import A_HANG

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.mark.parametrize("limited", [False, True], ids=["unlimited", "limited"])
async def test_every_token_resolves_in_both_workers(
    *, limited: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_windows(monkeypatch)
    async with Sandbox(rerun_seconds=0.02, rate_limits=limited) as box:
        users = [f"u{number}" for number in range(10)]
        for user in users:
            box.seed(user)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", "tests.durable.backend:app", "--workers", "2", "--port", "0"),
            env={**os.environ, "REFLEXIO_URL": box.url, "STORE": str(tmp_path / "r.db")},
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        url = ""
        async for line in process.stderr:
            if match := re.search(rb"running on (http://[\d.:]+)", line):
                url = match[1].decode()
            if url and b"startup complete" in line:
                break
        drain = asyncio.create_task(process.stderr.read())
        try:
            # A new connection for each request, so that both workers get some.
            limits = httpx.Limits(max_keepalive_connections=0)
            async with (
                asyncio.timeout(2 * A_HANG),
                httpx.AsyncClient(base_url=url, limits=limits, timeout=A_HANG) as http,
            ):
                answers = await asyncio.gather(*(http.post(f"/reruns/{user}") for user in users))
                tokens = [answer.json()["token"] for answer in answers]
                workers = {answer.json()["worker"] for answer in answers}
                reads = 0
                while reads < 4 or len(workers) < 2:  # the second one may start later
                    reads += 1
                    read = await asyncio.gather(*(http.get("/reruns", params={"token": t}) for t in tokens))
                    assert [answer.json()["generated"] for answer in read] == [1] * 10
                    workers |= {answer.json()["worker"] for answer in read}
            assert len(box.operations()) == 10
            assert refused(box) == int(limited)  # the one by which the limit is learned
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()
            await drain
