"""A chat backend that remembers its users, and a browser that uses it.

    python examples/web

It starts the backend of ``fastapi_app.py`` on a sandbox, and talks to it over HTTP: two chats of one user, a
rerun whose progress comes as server-sent events, and a shutdown. It prints what a browser sees, and what the
Reflexio server has stored.

The same backend is also written for Starlette and for aiohttp.web. Each file runs by itself, as a server that
goes on until Ctrl-C:

    python examples/web/fastapi_app.py
    python examples/web/starlette_app.py
    python examples/web/aiohttp_app.py
"""

import asyncio
import os
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from reflexio_async.testing import Sandbox

FOLDER = str(Path(__file__).parent)
BACKEND = ("-m", "uvicorn", "--app-dir", FOLDER, "fastapi_app:app", "--log-level", "warning")


async def chat(browser: aiohttp.ClientSession, session_id: str, text: str) -> None:
    async with browser.post(f"/users/ana/chats/{session_id}", json={"text": text}) as response:
        print(f"{session_id}: {text}")
        print(f"  {(await response.json())['answer']}")


async def rerun(browser: aiohttp.ClientSession) -> None:
    """Start a rerun, and follow its events until they end."""
    async with browser.post("/users/ana/rerun") as response:
        job = await response.json()
    async with browser.get("/jobs/events", params=job) as events:
        async for line in events.content:
            if line.strip():
                print(f"  {line.decode().strip()}")


async def browse(url: str, backend: asyncio.subprocess.Process) -> None:
    async with aiohttp.ClientSession(url) as browser:
        while not await is_ready(browser):
            if backend.returncode is not None:
                sys.exit(
                    "the backend has ended; is it installed? pip install 'reflexio-async[fastapi]' uvicorn"
                )
            await asyncio.sleep(0.1)
        await chat(browser, "monday", "Where is sushi")
        print("A rerun:")
        await rerun(browser)
        await chat(browser, "tuesday", "And where is more sushi")


async def is_ready(browser: aiohttp.ClientSession) -> bool:
    try:
        async with browser.get("/ready") as response:
            return response.ok
    except aiohttp.ClientConnectionError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def main() -> None:
    port = free_port()
    with TemporaryDirectory() as folder:
        async with Sandbox(rerun_seconds=1.0) as box:
            box.seed_profile("ana", "likes sushi")
            variables = {"REFLEXIO_API_URL": box.url, "REFLEXIO_STORE": f"{folder}/reflexio.db"}
            backend = await asyncio.create_subprocess_exec(
                sys.executable, *BACKEND, "--port", str(port), env={**os.environ, **variables}
            )
            try:
                await browse(f"http://127.0.0.1:{port}", backend)
            finally:
                if backend.returncode is None:
                    backend.terminate()  # it ends in order, as in a container
                await backend.wait()
            turns = sum(len(request.interactions) for request in box.stored_requests.values())
            print(f"The backend has stopped. The Reflexio server has stored {turns} turns.")


if __name__ == "__main__":
    asyncio.run(main())
