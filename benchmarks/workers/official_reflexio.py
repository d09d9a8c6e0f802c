"""The official ``reflexio-client``: ``(async|threads) URL IN_FLIGHT``."""

from __future__ import annotations

import sys
from importlib import import_module

from benchmarks.workers import protocol


def main(how: str, url: str, in_flight: str) -> None:
    official = import_module("reflexio.client.client")
    models = import_module("reflexio.models.api_schema.retriever_schema")
    client = official.ReflexioClient(api_key="key-1", url_endpoint=url)

    async def asynchronous() -> int:
        """Its asynchronous path, which is not public for reads, with its own models."""
        request = models.GetUserProfilesRequest(user_id="user-1", top_k=20)
        answer = await client._make_async_request("POST", "/api/get_profiles", json=request.model_dump())
        return len(models.GetProfilesViewResponse(**answer).user_profiles)

    def blocking() -> int:
        return len(client.get_profiles(user_id="user-1", top_k=20, force_refresh=True).user_profiles)

    if how == "async":
        protocol.answer(protocol.on_one_loop(asynchronous, int(in_flight)))
    else:
        protocol.answer(protocol.in_threads(blocking, int(in_flight)))


main(*sys.argv[1:])
