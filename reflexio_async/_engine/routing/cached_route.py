"""``CachedRoute``: a row whose answers are kept for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, overload

from pydantic import BaseModel

from reflexio_async._engine import wire
from reflexio_async._engine.routing.requests import request_from
from reflexio_async._engine.routing.route import BoundRow, SendingRow, named, shown_by_help
from reflexio_async._engine.wire import Answer
from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.engine import Engine, HasEngine

P = ParamSpec("P")
Req = TypeVar("Req", bound=BaseModel)
Res = TypeVar("Res")


class _Keeping(Answer[Res]):
    """An answer that remembers the bytes it was made of."""

    __slots__ = ("_answer", "body")

    def __init__(self, answer: Answer[Res]) -> None:
        super().__init__(None)
        self._answer = answer
        self.body = b""

    def decode(self, body: bytes) -> Res:
        self.body = body
        return self._answer.decode(body)


class CachedCall(BoundRow[P, Req, Res]):
    __doc__ = shown_by_help

    def __init__(self, row: CachedRoute[P, Req, Res], engine: Engine) -> None:
        super().__init__(row, engine)
        self._route = row

    @overload
    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Res: ...
    @overload
    async def __call__(self, request: Req | Mapping[str, Any], force_refresh: bool = False) -> Res: ...  # noqa: FBT001, FBT002  # as the official client has it
    @named
    async def __call__(self, *args: Any, **kwargs: Any) -> Res:
        """The answer, from the cache where it has it; ``force_refresh`` asks the server."""
        row = self._route
        by_position = args[1:]
        if len(by_position) == 1 and isinstance(by_position[0], bool):
            args, kwargs = args[:1], {"force_refresh": by_position[0], **kwargs}
        refresh = kwargs.pop("force_refresh", False)
        if not isinstance(refresh, bool):
            message = f"{row.name}: force_refresh must be True or False, not {refresh!r:.40}"
            raise InvalidRequest(message)
        request = request_from(row.name, row.make, row.model, args, kwargs)
        return await row.fetch(self._engine, request, refresh=refresh)


class CachedRoute(SendingRow[P, Req, Res]):
    """A row whose answers are kept; its request model has a ``force_refresh`` that is not sent."""

    async def send(self, engine: Engine, request: Req) -> Res:
        """The answer, from the cache where it has it."""
        return await self.fetch(engine, request)

    async def fetch(self, engine: Engine, request: Req, *, refresh: bool = False) -> Res:
        """The answer, from the server with ``refresh``."""
        cache, settings, caller = engine.cache, engine.settings, engine.caller
        if not cache.ttl:
            return await super().send(engine, request)
        fresh: list[Res] = []

        async def load() -> tuple[bytes, bool]:
            keeping = _Keeping(self.answer)
            answer = await caller.call(self.endpoint, request, keeping, settings)
            fresh.append(answer)
            return keeping.body, getattr(answer, "success", True) is not False

        encoded = wire.encode(self.endpoint, request)
        body = await cache.fetch(
            self.endpoint.path,
            (encoded.target, encoded.body, caller.credentials.header),
            settings,
            load,
            refresh=refresh or getattr(request, "force_refresh", False),
        )
        # Whoever sent the request has its models already; everybody else gets models of their own.
        return fresh[0] if fresh else self.answer.decode(body)

    @overload
    def __get__(self, obj: None, owner: type) -> Self: ...
    @overload
    def __get__(self, obj: HasEngine, owner: type) -> CachedCall[P, Req, Res]: ...
    def __get__(self, obj: HasEngine | None, owner: type) -> Self | CachedCall[P, Req, Res]:
        return self if obj is None else CachedCall(self, obj.engine)
