"""A server that is fast enough never to be the limit: it responds from memory and reads only request lines.

The first part of the path selects the behaviour:

- ``/<n>/…`` returns n profiles, or n memories if the path ends in ``/memory/query``. ``/api/…`` returns 20
  profiles: the official client drops the path of its base URL.
- ``/synchronous/…`` is a server of the synchronous dialect: a rerun is done in the response to its start.
- ``/admitting…/…`` is a server of today: a rerun is admitted, and its operation never ends. Every name that
  begins so has a slot of its own.
- ``/traces/…`` is a Reflect server. Its traces are pending until ``POST /release``.
- ``/counts`` returns how many requests of each route were answered, so that a benchmark can check that the
  work was done.

The process prints its port as the first line, and ends when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from collections import Counter
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from benchmarks import answers, fresh

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

SIZES = (1, 20, 5000)
_WITHOUT_SIZE = 20  # profiles of ``/api/…``
RERUN = "/api/rerun_profile_generation"
STATUS = "/api/get_operation_status"
PUBLISH = "/api/publish_interaction"


class Server:
    """A running static server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def counts(self) -> Counter[str]:
        """Return the number of responses so far, by ``METHOD /first-part/route``. Blocks."""
        with urllib.request.urlopen(f"{self.url}/counts") as response:  # noqa: S310  # our own address
            return Counter(json.load(response))

    def release(self) -> None:
        """From now on every trace is reviewed."""
        with urllib.request.urlopen(f"{self.url}/release", data=b""):  # noqa: S310
            pass

    @contextmanager
    def expects(self, wanted: dict[str, int]) -> Generator[None]:
        """Check that the block makes exactly these requests."""
        before = self.counts()
        yield
        made = self.counts() - before
        if made != Counter(wanted):
            message = f"the server answered {dict(made)}, not {wanted}"
            raise AssertionError(message)


@contextmanager
def running() -> Generator[Server]:
    """Run a static server in a process of its own."""
    with fresh.server(__name__) as line:
        yield Server(f"http://127.0.0.1:{int(line)}")


def response(body: bytes, status: str = "200 OK") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\ndate: Sun, 22 Nov 2026 05:00:00 GMT\r\nserver: uvicorn\r\n"
        f"content-length: {len(body)}\r\ncontent-type: application/json\r\n"
        "x-correlation-id: 0123456789abcdef\r\n\r\n"
    )
    return head.encode() + body


class State:
    """The state of the server, and its responses."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._ids = count()
        self._released = False
        self._operations: dict[str, str] = {}
        self._routes: dict[bytes, tuple[str, Callable[[], bytes]]] = {}
        self._profiles = {size: response(answers.profiles(size)) for size in SIZES}
        self._memories = {size: response(answers.memories(size)) for size in SIZES}

    def respond(self, request_line: bytes) -> bytes:
        """Return the response to the request line ``METHOD /path?query``."""
        route = self._routes.get(request_line)
        if route is None:
            method, _, target = request_line.decode().partition(" ")
            path = target.partition("?")[0]
            route = self._route(method, path)
            if len(self._routes) < 1024:
                self._routes[request_line] = route
        name, handler = route
        self.counts[name] += 1
        return handler()

    def _route(self, method: str, path: str) -> tuple[str, Callable[[], bytes]]:
        """Return the name under which the request is counted, and its handler."""
        _, first, *rest = path.split("/")
        route = "/" + "/".join(rest)
        name = f"{method} {path}"
        if not route.removeprefix("/"):
            return name, self._counted if first == "counts" else self._release
        if first == "traces":
            handler = self._submitted if method == "POST" else partial(self._trace, rest[-1])
            return f"{method} /traces/", handler
        if first == "api" or first.isdecimal():
            size = _WITHOUT_SIZE if first == "api" else int(first)
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
        # ``/counts`` and ``/release`` themselves, which have no second part, are not counted.
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
    """One connection. A client sends its next request when it has the response."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop has a class of its own

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            _, _, length = head.lower().partition(b"content-length: ")
            total = end + 4 + int(length.partition(b"\r\n")[0] or 0)
            if len(self._received) < total:
                return
            self._received = self._received[total:]
            self._transport.write(self._state.respond(head.partition(b" HTTP/")[0]))


async def serve() -> None:
    state = State()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(state), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())
