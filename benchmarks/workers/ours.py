"""This repository's client: ``(reflexio|reflect) URL IN_FLIGHT``."""

from __future__ import annotations

import sys

from benchmarks.workers import protocol
from reflexio_async import AsyncReflectClient, AsyncReflexioClient


def main(how: str, url: str, in_flight: str) -> None:
    # The clients open their connections in the first call. They are closed by the end of the process.
    reflexio_client = AsyncReflexioClient("key-1", url, cache_ttl=0)
    reflect_client = AsyncReflectClient(base_url=url, api_key="key-1")

    async def reflexio() -> int:
        response = await reflexio_client.get_profiles(user_id="user-1", top_k=20)
        return len(response.user_profiles)

    async def reflect() -> int:
        return len(await reflect_client.query_memories(task="Rename a column", limit=20))

    call = reflexio if how == "reflexio" else reflect
    protocol.answer(protocol.on_one_loop(call, int(in_flight)))


main(*sys.argv[1:])
