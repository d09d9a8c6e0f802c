"""This repository's client: ``(reflexio|reflect|decode) URL IN_FLIGHT``."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.workers import protocol
from reflexio_async import AsyncReflexioClient
from reflexio_async.reflexio.models.profiles import GetProfilesViewResponse


def main(how: str, url: str, in_flight: str) -> None:
    if how == "decode":
        body = sys.stdin.readline().encode()
        read = GetProfilesViewResponse.model_validate_json
        protocol.answer(lambda calls: sum(len(read(body).user_profiles) for _ in range(calls)))
        return
    # Made on the loop, at the first call; closed by the end of the process, like the peers' own.
    clients: list[Any] = []

    async def reflexio() -> int:
        if not clients:
            clients.append(AsyncReflexioClient("key-1", url, cache_ttl=0))
        answer = await clients[0].get_profiles(user_id="user-1", top_k=20)
        return len(answer.user_profiles)

    async def reflect() -> int:
        if not clients:
            from reflexio_async import AsyncReflectClient  # noqa: PLC0415  # loads its own models

            clients.append(AsyncReflectClient(base_url=url, api_key="key-1"))
        return len(await clients[0].query_memories(task="Rename a column", limit=20))

    call = reflexio if how == "reflexio" else reflect
    protocol.answer(protocol.on_one_loop(call, int(in_flight)))


main(*sys.argv[1:])
