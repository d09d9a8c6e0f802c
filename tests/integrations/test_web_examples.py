"""The programs in ``examples/web``: run as they stand, and with two workers under signals and restarts."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from reflexio_async.testing import Sandbox, VirtualClock
from tests.hang import A_HANG, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.slow  # each program imports the package and a framework

EXAMPLES = Path(__file__).parents[2] / "examples" / "web"
TURNS = 200
SENDERS = 8


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Backend:
    """A web backend in processes of its own."""

    def __init__(self, *command: str, port: int, folder: Path, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = (sys.executable, "-W", "error", *command)
        self._folder = folder
        self._environment = {
            **os.environ,
            "PORT": str(port),
            "REFLEXIO_STORE": str(folder / "r.db"),
            **environment,
        }

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self._command, cwd=self._folder, env=self._environment
        )
        async with asyncio.timeout(A_HANG), httpx.AsyncClient() as browser:
            while True:
                try:
                    await browser.get(self.url)
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                else:
                    return

    async def stop(self) -> None:
        """End it as platforms do."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(A_HANG):
            await self.process.wait()


@asynccontextmanager
async def serving(backend: Backend) -> AsyncGenerator[httpx.AsyncClient]:
    await backend.start()
    try:
        async with httpx.AsyncClient(base_url=backend.url, timeout=A_HANG) as browser:
            yield browser
    finally:
        if backend.process.returncode is None:
            await backend.stop()


def uvicorn(port: int, folder: Path, url: str, *, workers: int = 1) -> Backend:
    command = ("-m", "uvicorn", "--app-dir", str(EXAMPLES), "fastapi_app:app", "--log-level", "warning")
    options = ("--port", str(port), "--workers", str(workers))
    return Backend(*command, *options, port=port, folder=folder, REFLEXIO_API_URL=url)


@pytest.mark.parametrize("name", ["fastapi_app", "starlette_app", "aiohttp_app"])
async def test_a_program_remembers_a_turn_and_runs_a_rerun(name: str, tmp_path: Path) -> None:
    program = str(EXAMPLES / f"{name}.py")
    async with (
        Sandbox(rerun_seconds=0.1) as box,
        serving(Backend(program, port=free_port(), folder=tmp_path, REFLEXIO_API_URL=box.url)) as browser,
    ):
        box.seed("ana", "I like sushi")
        answer = await browser.post("/users/ana/chats/s", json={"text": "Where is sushi"})
        assert answer.json()["answer"].startswith("Where is sushi? I know ")
        await until(lambda: "s" in {each.session_id for each in box.stored_requests.values()})
        job = (await browser.post("/users/ana/rerun")).json()
        if name == "aiohttp_app":
            async with asyncio.timeout(A_HANG):
                while (await browser.get("/jobs", params=job)).json()["state"] != "completed":  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        else:
            events = (await browser.get("/jobs/events", params=job)).text
            assert "event: end\n" in events
            assert '"state": "completed"' in events


def test_every_program_is_tested() -> None:
    programs = {path.stem for path in EXAMPLES.glob("*.py")}
    assert programs == {"fastapi_app", "starlette_app", "aiohttp_app", "__main__"}


async def test_the_folder_is_a_program_that_chats_follows_a_rerun_and_stops(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(EXAMPLES)),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    lines = out.decode().splitlines()
    assert lines[:2] == ["monday: Where is sushi", "  Where is sushi? I know 1 things about you."]
    assert "  event: end" in lines
    assert lines[-1] == "The backend has stopped. The Reflexio server has stored 4 turns."


async def test_a_rerun_is_asked_for_from_the_other_worker(tmp_path: Path) -> None:
    async with Sandbox(clock=VirtualClock(auto_advance=False), rerun_seconds=2.0) as box:
        box.seed("ana", "I like sushi")
        backend = uvicorn(free_port(), tmp_path, box.url, workers=2)
        async with serving(backend) as browser:
            job = (await browser.post("/users/ana/rerun")).json()

            async def ask() -> dict[str, Any]:
                async with httpx.AsyncClient(base_url=backend.url, timeout=A_HANG) as another:
                    # On a new connection, which any worker may take.
                    answer: dict[str, Any] = (await another.get("/jobs", params=job)).json()
                    return answer

            async with asyncio.timeout(A_HANG):
                while (await ask())["state"] != "running":  # its admission is in the store in a moment  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await box.advance(2.0)
            workers: set[int] = set()
            async with asyncio.timeout(A_HANG):
                while len(workers) < 2:
                    answers = await asyncio.gather(*(ask() for _ in range(8)))
                    workers |= {answer["worker"] for answer in answers if answer["state"] == "completed"}
            assert box.count("POST", "/api/rerun_profile_generation", 200) == 1
            assert (await browser.get("/jobs", params={"token": "nonsense"})).status_code == 404


async def test_open_events_do_not_hold_up_a_shutdown(tmp_path: Path) -> None:
    async with Sandbox(rerun_seconds=60.0) as box:
        box.seed("ana", "I like sushi")
        backend = uvicorn(free_port(), tmp_path, box.url)
        async with serving(backend) as browser:
            job = (await browser.post("/users/ana/rerun")).json()
            async with browser.stream("GET", "/jobs/events", params=job) as events:
                chunks = events.aiter_text()
                assert "event: status" in await anext(chunks)
                async with asyncio.timeout(A_HANG):
                    await backend.stop()
                    assert "event: end" not in "".join([chunk async for chunk in chunks])


async def test_each_acknowledged_turn_is_stored_once_whatever_is_restarted(tmp_path: Path) -> None:
    numbers = iter(range(100 * TURNS))
    acknowledged: set[str] = set()

    async def send(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=A_HANG) as browser:
            while len(acknowledged) < TURNS:
                number = next(numbers)
                text = f"turn {number}"
                path = f"/users/u{number % 5}/chats/s{number % 20}"
                try:
                    answer = await browser.post(path, json={"text": text})
                except httpx.TransportError:
                    await asyncio.sleep(0.2)
                    continue
                if answer.status_code == 200:
                    acknowledged.add(text)

    async with Sandbox() as box:
        backend = uvicorn(free_port(), tmp_path, box.url, workers=2)
        async with serving(backend), asyncio.timeout(4 * A_HANG):
            sending = asyncio.gather(*(send(backend.url) for _ in range(SENDERS)))
            await until(lambda: len(acknowledged) >= TURNS // 4)
            await box.restart()
            await until(lambda: len(acknowledged) >= TURNS // 2)
            await asyncio.gather(backend.stop(), box.restart())
            await backend.start()
            await sending
            stored: Counter[str] = Counter()
            while not acknowledged <= stored.keys():
                await asyncio.sleep(0.1)
                requests = list(box.stored_requests.values())
                stored = Counter(turn.content for each in requests for turn in each.interactions[::2])
        requests = list(box.stored_requests.values())
        stored = Counter(turn.content for each in requests for turn in each.interactions[::2])
    assert len(acknowledged) >= TURNS
    assert acknowledged <= stored.keys()
    assert set(stored.values()) == {1}
