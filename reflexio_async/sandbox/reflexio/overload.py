"""A server with too much to do: few requests of a kind run at once, and its patience has an end."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from reflexio_async.sandbox.http.responses import Reply, late, problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async._engine.clock import Clock, Timer
    from reflexio_async.sandbox.http.context import Call

PUBLISH_DEADLINE: Final = 240.0
"""Seconds from its arrival."""

_PUBLISH: Final = "/api/publish_interaction"
_SEARCH: Final = "/api/search"
_SEARCHES: Final = frozenset(
    {
        *("/api/search", "/api/search_profiles", "/api/search_interactions", "/api/search_user_playbooks"),
        *("/api/search_agent_playbooks", "/api/rerank_user_profiles"),
    }
)
_SLOW: Final = frozenset(
    {
        *("/api/review_user_playbooks", "/api/run_playbook_aggregation"),
        "/api/evaluations/grade_on_demand",
    }
)
_ROOM: Final = {"search": 8, "publish": 4}
"""How many of a kind run at once."""
_SEARCH_PATIENCE: Final = 2.0
"""Seconds for which a search waits for room; a publish waits until its deadline."""


@dataclass(slots=True)
class Crowd:
    """The requests of one kind that are worked on, and those that wait for that."""

    room: int
    inside: int = 0
    queue: deque[asyncio.Future[None]] = field(default_factory=deque[asyncio.Future[None]])
    leaving: list[Timer] = field(default_factory=list["Timer"])

    async def enter(self, call: Call, patience: float) -> bool:
        """Whether there was room before the patience ran out."""
        if self.inside < self.room:
            self.inside += 1
            return True
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.queue.append(place)
        try:
            await call.wait(patience, place)
        finally:
            if not place.done():
                self.queue.remove(place)
        return place.done()

    def leave(self) -> None:
        """Give the room to whoever has waited longest."""
        if self.queue:
            self.queue.popleft().set_result(None)
        else:
            self.inside -= 1

    def leave_after(self, seconds: float, clock: Clock) -> None:
        """The same, later: work that was answered too late goes on."""
        if seconds > 0:
            self.leaving.append(clock.call_at(clock.now() + seconds, self.leave))
        else:
            self.leave()

    def close(self) -> None:
        """Nobody leaves any more."""
        for timer in self.leaving:
            timer.cancel()


@dataclass(frozen=True, slots=True)
class Overwork:
    """Takes ``seconds`` over a request, within the server's limits; see ``faults.overwork``."""

    seconds: float

    async def play(self, call: Call, serve: Callable[[], Awaitable[Reply]]) -> Reply:
        """Wait for room, then work: to the end, or until the deadline."""
        path = call.record.path
        kind = "publish" if path == _PUBLISH else "search" if path in _SEARCHES else None
        began, deadline = call.waiting.clock.now(), _deadline(call)
        if kind is None:
            await call.wait(min(self.seconds, deadline))
            return await self._answer(call, serve, deadline)
        crowd = call.waiting.crowds.setdefault(kind, Crowd(_ROOM[kind]))
        if not await crowd.enter(call, deadline if kind == "publish" else _SEARCH_PATIENCE):
            return _full(kind, call)
        left = deadline - (call.waiting.clock.now() - began)
        try:
            await call.wait(min(self.seconds, left))
        finally:
            crowd.leave_after(self.seconds - left, call.waiting.clock)
        return await self._answer(call, serve, left)

    async def _answer(self, call: Call, serve: Callable[[], Awaitable[Reply]], left: float) -> Reply:
        if self.seconds >= left and call.record.path == _PUBLISH:
            return _unconfirmed(call)
        reply = await serve()
        return reply if self.seconds < left else _late(call)


def _deadline(call: Call) -> float:
    path = call.record.path
    if path == _PUBLISH:
        return PUBLISH_DEADLINE
    if path == _SEARCH:
        return 5.0
    return 600.0 if call.waits or path in _SLOW else 60.0


def _full(kind: str, call: Call) -> Reply:
    if kind == "search":
        return problem(429, "search concurrency limit reached", {"Retry-After": "2"})
    return no_capacity(_request_id(call))


def _late(call: Call) -> Reply:
    if call.record.path == _SEARCH:
        return Reply({**late(call.correlation_id).body, "reason": "search_deadline"}, 504)
    return late(call.correlation_id)


def _unconfirmed(call: Call) -> Reply:
    detail = {
        "reason": "admission_timeout",
        "request_id": _request_id(call),
        "message": (
            "Admission was not confirmed before the deadline; check this request ID before retrying."
        ),
    }
    return problem(504, detail)


def no_capacity(request_id: str) -> Reply:
    """Publishing had no room for it: nothing is stored."""
    message = (
        "Publish capacity deadline exceeded; nothing was admitted, so this publish can be retried safely."
    )
    detail = {"reason": "capacity_deadline_exceeded", "request_id": request_id, "message": message}
    return problem(503, detail)


def _request_id(call: Call) -> str:
    body = call.record.body
    given = cast("dict[str, Any]", body).get("request_id") if isinstance(body, dict) else None
    return str(given or uuid.uuid4())
