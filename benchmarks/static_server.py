"""A server that is never the bottleneck: it answers every POST with bytes made beforehand.

``POST /<n>/…`` is answered with n profiles, ``GET /count`` with how many POSTs there were. The port is
printed on the first line of output; the process ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Generator

SIZES = (20, 1)


@contextmanager
def running() -> Generator[str]:
    """Its address, while it runs in a process of its own."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def profiles(count: int) -> bytes:
    """The answer of ``POST /api/get_profiles``, as the server words it."""
    rows = [
        {
            "profile_id": f"697e71d1-e4bb-458e-971b-7c0cf1b7{number:04}",
            "user_id": "user-1",
            "content": f"User mentioned: I like sushi, most of all number {number} of the usual place",
            "last_modified_timestamp": 1795325020 + number,
            "generated_from_request_id": f"rerun_097e1f{number:02}",
            "profile_time_to_live": "one_month",
            "expiration_timestamp": 1797917020 + number,
            "status": "pending",
            "source": "",
            "source_interaction_ids": [number, number + 1],
            "tags": [],
        }
        for number in range(count)
    ]
    answer = {"success": True, "user_profiles": rows, "msg": f"Found {count} profile(s)"}
    return json.dumps(answer, separators=(",", ":")).encode()


def response(body: bytes) -> bytes:
    head = (
        "HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 05:00:00 GMT\r\nserver: uvicorn\r\n"
        f"content-length: {len(body)}\r\ncontent-type: application/json\r\n"
        "x-correlation-id: 0123456789abcdef\r\n\r\n"
    )
    return head.encode() + body


ANSWERS = {str(size).encode(): response(profiles(size)) for size in SIZES}


class Connection(asyncio.Protocol):
    """One connection; requests come one after another on it."""

    posts = 0

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is not a subclass of it

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            _, _, length = head.partition(b"content-length: ")
            total = end + 4 + int(length.partition(b"\r\n")[0] or 0)
            if len(self._received) < total:
                return
            self._received = self._received[total:]
            self._transport.write(self._answer(head))

    def _answer(self, head: bytes) -> bytes:
        if head.startswith(b"get /count"):
            return response(str(Connection.posts).encode())
        Connection.posts += 1
        return ANSWERS[head.partition(b"/")[2].partition(b"/")[0]]


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
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
