"""Writes that are safe on the disk, one row each: ``(ours|persist-queue|huey) PATH CALLERS SECONDS``.

It prints "ready", waits for a line, writes for so many seconds and prints what that cost.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from reflexio_async._engine.clock import SystemClock
from reflexio_async._engine.wire import EncodedRequest
from reflexio_async.durable.outbox_rows import OutboxRows
from reflexio_async.durable.rows import OutboxRow
from reflexio_async.durable.sqlite import SQLiteDatabase
from reflexio_async.durable.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = json.dumps({"user_id": "ana", "interaction_data_list": [{"role": "user", "content": "x" * 300}]})
URL = "http://127.0.0.1:8061"
START: list[float] = []
"""The CPU time that the start of the program took."""


def ours(path: str, callers: int, seconds: float) -> list[float]:
    request = EncodedRequest("POST", "/api/publish", "/api/publish", BODY.encode(), "application/json")
    tag = uuid4().hex

    async def main() -> list[float]:
        store = Store(SQLiteDatabase(path), SystemClock())
        await store.open()
        times: list[float] = []
        ends_at = begin() + seconds

        async def caller(number: int) -> None:
            began, count = time.perf_counter(), 0
            while began < ends_at:
                row_id = f"{tag}-{number}-{count}"
                row = OutboxRow(
                    0, row_id, "a", URL, "publish", "s", request, len(BODY), "waiting", 0, None, 0.0
                )
                await OutboxRows(store).accept([row])
                now = time.perf_counter()
                times.append(now - began)
                began, count = now, count + 1

        async with asyncio.TaskGroup() as group:
            for number in range(callers):
                group.create_task(caller(number))
        await store.aclose()
        return times

    return asyncio.run(main())


def blocking(write: Callable[[], object], callers: int, seconds: float) -> list[float]:
    """Call ``write`` in as many threads as there are callers."""
    times: list[float] = []
    ends_at = begin() + seconds

    def caller() -> None:
        began = time.perf_counter()
        while began < ends_at:
            write()
            now = time.perf_counter()
            times.append(now - began)
            began = now

    threads = [Thread(target=caller) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def begin() -> float:
    """Wait for the line. Return the time."""
    print("ready", flush=True)
    sys.stdin.readline()
    START.append(time.process_time())
    return time.perf_counter()


def persist_queue(path: str, callers: int, seconds: float) -> list[float]:
    library: Any = import_module("persistqueue")
    queue = library.SQLiteAckQueue(path, auto_commit=True, multithreading=True)
    return blocking(lambda: queue.put(BODY), callers, seconds)


def huey(path: str, callers: int, seconds: float) -> list[float]:
    library: Any = import_module("huey")
    queue = library.SqliteHuey(filename=path, fsync=True)

    @queue.task()  # type: ignore[untyped-decorator]
    def publish(body: str) -> None:
        raise NotImplementedError(body)

    return blocking(lambda: publish(BODY), callers, seconds)


def main(who: str, path: str, callers: str, seconds: str) -> None:
    write = {"ours": ours, "persist-queue": persist_queue, "huey": huey}[who]
    times = write(path, int(callers), float(seconds))
    times.sort()
    found = {
        "writes": len(times) / float(seconds),
        "p99": times[int(len(times) * 0.99)],
        "cpu": (time.process_time() - START[0]) / len(times),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
