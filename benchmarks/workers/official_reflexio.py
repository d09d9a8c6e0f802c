"""The official ``reflexio-client`` 0.2.2: ``(async|threads|decode) URL IN_FLIGHT``."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from types import ModuleType

from benchmarks.workers import protocol

# As published it imports a module that its wheel lacks; the client's own code stays as it is.
defaults = ModuleType("reflexio.defaults")
defaults.__dict__["DEFAULT_AGENT_VERSION"] = "agent-v0"
sys.modules["reflexio.defaults"] = defaults


def main(how: str, url: str, in_flight: str) -> None:
    official = import_module("reflexio.client.client")
    models = import_module("reflexio.models.api_schema.retriever_schema")
    client = official.ReflexioClient(api_key="key-1", url_endpoint=url)

    async def asynchronous() -> int:
        """Its own asynchronous path, with its own models; publicly it offers none for reads."""
        request = models.GetUserProfilesRequest(user_id="user-1", top_k=20)
        answer = await client._make_async_request("POST", "/api/get_profiles", json=request.model_dump())
        return len(models.GetProfilesViewResponse(**answer).user_profiles)

    def blocking() -> int:
        return len(client.get_profiles(user_id="user-1", top_k=20, force_refresh=True).user_profiles)

    if how == "async":
        protocol.answer(protocol.on_one_loop(asynchronous, int(in_flight)))
    elif how == "threads":
        protocol.answer(protocol.in_threads(blocking, int(in_flight)))
    else:
        body = sys.stdin.readline().encode()

        def decode(calls: int) -> int:
            """What it does with the bytes of an answer."""
            read = models.GetProfilesViewResponse
            return sum(len(read(**json.loads(body)).user_profiles) for _ in range(calls))

        protocol.answer(decode)


main(*sys.argv[1:])
