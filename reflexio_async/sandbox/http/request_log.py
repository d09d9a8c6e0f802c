"""The requests that reached the sandbox, for tests to look at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

Service = Literal["reflexio", "reflect"]
"""One of the sandbox's two servers."""


@dataclass(slots=True)
class Record:
    """One request that reached the sandbox.

    Attributes:
        method: The HTTP method, in capitals.
        path: The path, without the query.
        query: The query parameters.
        headers: The request's headers.
        at: The clock's ``now()`` on arrival.
        connection: Address and port of the client. It identifies a client socket.
        body: The decoded JSON body; the text of a body that is not JSON; None without a body.
        status: The status of the response. None until the whole response is sent.
        service: The server that received it: ``reflexio`` or ``reflect``.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    at: float
    connection: str
    body: Any = None
    status: int | None = None
    service: Service = "reflexio"

    @property
    def user(self) -> str | None:
        """The ``user_id`` in the body or the query."""
        given = self.body
        body = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        user_id = body.get("user_id")
        return user_id if isinstance(user_id, str) else self.query.get("user_id")

    @property
    def user_agent(self) -> str:
        """The client's User-Agent, or an empty text."""
        return self.headers.get("User-Agent", "")


class RequestLog:
    """Every request that arrived whole, at either server, oldest first.

    Args:
        keep: How many of the latest requests to keep. None keeps all.
    """

    def __init__(self, keep: int | None = None) -> None:
        self.records: list[Record] = []
        self._keep = keep
        self._arrival = asyncio.Event()

    def add(self, record: Record) -> None:
        """Append a request and wake the tasks that wait for one."""
        self.records.append(record)
        if self._keep is not None:
            del self.records[: -self._keep or None]
        self._arrival.set()

    async def next_arrival(self) -> None:
        """Wait for the next request."""
        self._arrival.clear()
        await self._arrival.wait()
