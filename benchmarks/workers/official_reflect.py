"""The official ``reflect-sdk``, its asynchronous path: ``URL IN_FLIGHT``."""

from __future__ import annotations

import sys
from importlib import import_module

from benchmarks.workers import protocol


def main(url: str, in_flight: str) -> None:
    client = import_module("reflect_sdk").ReflectClient(base_url=url, api_key="key-1")

    async def query() -> int:
        return len(await client.query_memories_async("Rename a column", limit=20))

    protocol.answer(protocol.on_one_loop(query, int(in_flight)))


main(*sys.argv[1:])
