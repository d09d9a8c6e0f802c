"""A server that is never the bottleneck: it hardly reads what it is asked, and answers from memory.

The first part of a path says how it answers:

- ``/<n>/…`` with n profiles, or n memories where the path ends so; ``/api/…`` with as many profiles as it
  was started with, for the official client, which drops the path of its base URL;
- ``/synchronous/…`` as the January dialect does: a rerun is done at once, under an id of its own;
- ``/admitting…/…`` as today's: a rerun is admitted and its operation never ends; each such first part,
  however it goes on, is a slot of its own;
- ``/traces/…`` as Reflect: traces are being processed until ``POST /release``;
- ``/counts`` with how many of each route were answered, so that nobody can skip the work.

The port is printed on the first line of output; the process ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections import Counter
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from benchmarks import answers
from benchmarks.fresh import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

SIZES = (1, 20, 5000)
RERUN = "/api/rerun_profile_generation"
STATUS = "/api/get_operation_status"
PUBLISH = "/api/publish_interaction"


class Server:
    """The address of one, and what it has counted."""

    def __init__(self, url: str) -> None:
        self.url = url

    def counts(self) -> Counter[str]:
        """Answers so far, by ``METHOD /first-part/route``; blocks, so not for an event loop at work."""
        with urllib.request.urlopen(f"{self.url}/counts") as response:  # noqa: S310  # our own address
            return Counter(json.load(response))

    def release(self) -> None:
        """Every trace is reviewed from now on."""
        with urllib.request.urlopen(f"{self.url}/release", data=b""):  # noqa: S310
            pass

    @contextmanager
    def expects(self, wanted: dict[str, int]) -> Generator[None]:
        """The block makes exactly these requests and no other."""
        before = self.counts()
        yield
        made = self.counts() - before
        if made != Counter(wanted):
            message = f"the server answered {dict(made)}, not {wanted}"
            raise AssertionError(message)


@contextmanager
def running(*, bare: int = 20) -> Generator[Server]:
    """One, while it runs in a process of its own; ``bare`` is how many profiles ``/api/…`` brings."""
    command = [sys.executable, "-m", __name__, str(bare)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Server(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.stdin.close()


def response(body: bytes, status: str = "200 OK") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\ndate: Sun, 22 Nov 2026 05:00:00 GMT\r\nserver: uvicorn\r\n"
        f"content-length: {len(body)}\r\ncontent-type: application/json\r\n"
        "x-correlation-id: 0123456789abcdef\r\n\r\n"
    )
    return head.encode() + body


class Scene:
    """What the server remembers."""

    def __init__(self, bare: int) -> None:
        self.counts: Counter[str] = Counter()
        self._ids = count()
        self._bare = bare
        self._released = False
        self._operations: dict[str, str] = {}
        self._made: dict[bytes, tuple[str, Callable[[], bytes]]] = {}
        self._profiles = {size: response(answers.profiles(size)) for size in SIZES}
        self._memories = {size: response(answers.memories(size)) for size in SIZES}

    def answer(self, line: bytes) -> bytes:
        """To the request line ``METHOD /path?query``."""
        known = self._made.get(line)
        if known is None:
            method, _, target = line.decode().partition(" ")
            path = target.partition("?")[0]
            known = self._route(method, path)
            if len(self._made) < 1024:
                self._made[line] = known
        name, make = known
        self.counts[name] += 1
        return make()

    def _route(self, method: str, path: str) -> tuple[str, Callable[[], bytes]]:
        _, first, *rest = path.split("/")
        route = "/" + "/".join(rest)
        name = f"{method} {path}"
        if not route.removeprefix("/"):
            return name, self._counted if first == "counts" else self._release
        if first == "traces":
            make = self._submitted if method == "POST" else partial(self._trace, rest[-1])
            return f"{method} /traces/", make
        if first == "api" or first.isdecimal():
            size = self._bare if first == "api" else int(first)
            body = (self._memories if route.endswith("/memory/query") else self._profiles)[size]
            return name, lambda: body
        return name, self._reflexio(first, route)

    def _reflexio(self, dialect: str, route: str) -> Callable[[], bytes]:
        if route == STATUS:
            return partial(self._status, dialect)
        if route == PUBLISH:
            return self._published
        if route == RERUN:
            return self._done_at_once if dialect == "synchronous" else partial(self._admitted, dialect)
        return lambda: response(b'{"detail":"Not Found"}', "404 Not Found")

    def _counted(self) -> bytes:
        # Asking and releasing are no work; they have no second part.
        return response(answers.encoded({name: n for name, n in self.counts.items() if name.count("/") > 1}))

    def _trace(self, trace_id: str) -> bytes:
        return response(answers.trace(trace_id, reviewed=self._released))

    def _release(self) -> bytes:
        self._released = True
        return response(b"{}")

    def _done_at_once(self) -> bytes:
        body = b'{"success":true,"msg":"Completed for 1 user(s)","operation_id":"%d","profiles_generated":3}'
        return response(body % next(self._ids))

    def _admitted(self, slot: str) -> bytes:
        operation = self._operations[slot] = f"697e71d1-e4bb-458e-971b-7c0cf1b7{next(self._ids):04}"
        body = {"success": True, "msg": "Profile generation started", "operation_id": operation}
        return response(answers.encoded(body))

    def _published(self) -> bytes:
        body = (
            b'{"success":true,"message":"Interaction published successfully","warnings":[],"request_id":"%d"}'
        )
        return response(body % next(self._ids))

    def _submitted(self) -> bytes:
        return response(b'{"trace_id":"trace-%d","ingest_status":"queued"}' % next(self._ids))

    def _status(self, slot: str) -> bytes:
        if slot not in self._operations:
            missing = "No operation found for service: profile_generation"
            return response(answers.encoded({"success": False, "msg": missing}))
        operation: dict[str, Any] = {
            "service_name": "profile_generation",
            "status": "in_progress",
            "started_at": 1795334465,
            "total_users": 1,
            "processed_users": 0,
            "failed_users": 0,
            "current_user_id": "user-1",
            "processed_user_ids": [],
            "failed_user_ids": [],
            "request_params": {"user_id": "user-1", "source": None, "operation_id": self._operations[slot]},
            "stats": {"total_interactions_processed": 0, "total_generated": 0},
            "progress_percentage": 0.0,
        }
        return response(answers.encoded({"success": True, "operation_status": operation, "msg": "Retrieved"}))


class Connection(asyncio.Protocol):
    """One connection; requests come one after another on it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._http = cast("asyncio.Transport", transport)  # uvloop's own is not a subclass of it

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            _, _, length = head.lower().partition(b"content-length: ")
            total = end + 4 + int(length.partition(b"\r\n")[0] or 0)
            if len(self._received) < total:
                return
            self._received = self._received[total:]
            self._http.write(self._scene.answer(head.partition(b" HTTP/")[0]))


async def serve(bare: int) -> None:
    scene = Scene(bare)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(scene), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(int(sys.argv[1])))
    else:
        uvloop.run(serve(int(sys.argv[1])))
