"""Plain HTTP for tests of a server, without a client."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from reflexio_async._engine.clock import Clock


@dataclass(frozen=True)
class Answer:
    """A whole response."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Wire:
    """Sends requests to one server; on a clock of its own, time stands still meanwhile."""

    def __init__(self, url: str, session: aiohttp.ClientSession, clock: Clock | None = None) -> None:
        self.url = url
        self.session = session
        self.clock = clock

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> Answer:
        with self.clock.busy() if self.clock else nullcontext() as hold:
            sent = {**(hold or {}), **(headers or {})}
            async with self.session.request(
                method, self.url + path, headers=sent, allow_redirects=False, **kwargs
            ) as response:
                return Answer(response.status, response.headers, await response.text())

    async def get(self, path: str, **query: str) -> Answer:
        return await self.send("GET", path, params=query)

    async def post(self, path: str, **body: Any) -> Answer:
        return await self.send("POST", path, json=body)

    async def put(self, path: str, **body: Any) -> Answer:
        return await self.send("PUT", path, json=body)

    async def delete(self, path: str, **body: Any) -> Answer:
        return await self.send("DELETE", path, json=body)

    async def publish(self, user_id: str, *texts: str, **fields: Any) -> Any:
        """The answer to a publish of ``texts`` as one request."""
        turns = [{"role": "user", "content": text} for text in texts or ("I like sushi",)]
        given = {"user_id": user_id, "session_id": f"s-{user_id}", "interaction_data_list": turns, **fields}
        return (await self.post("/api/publish_interaction", **given)).json

    async def operation(self, service: str = "profile_generation") -> Any:
        """The latest operation of a service."""
        answer = await self.get("/api/get_operation_status", service_name=service)
        return answer.json["operation_status"]

    async def ended(self, service: str = "profile_generation") -> Any:
        """The latest operation of a service, once it has ended."""
        for _ in range(1200):
            operation = await self.operation(service)
            if operation["status"] != "in_progress":
                return operation
            await (self.clock.sleep(0.025) if self.clock else asyncio.sleep(0.025))
        message = f"{service} did not end"
        raise AssertionError(message)

    async def profiles(self, user_id: str, *statuses: str | None, **fields: Any) -> list[Any]:
        """The profiles of a user in these states, newest first; of no states at all, the current ones."""
        wanted = {"status_filter": list(statuses)} if statuses else {}
        answer = await self.post("/api/get_profiles", user_id=user_id, **wanted, **fields)
        return list(answer.json["user_profiles"])
