"""``BackgroundRoute``: a row that is only slow to answer, sent at once by a task of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Self, TypeVar, overload

from pydantic import BaseModel

from reflexio_async._engine.routing.requests import request_from
from reflexio_async._engine.routing.route import BoundRow, SendingRow, named, shown_by_help
from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reflexio_async._engine.engine import Engine, HasEngine
    from reflexio_async._engine.tasks import BackgroundCall

P = ParamSpec("P")
W = ParamSpec("W")
Req = TypeVar("Req", bound=BaseModel)
Res = TypeVar("Res")


class BackgroundRowCall(BoundRow[P, Req, Res], Generic[P, W, Req, Res]):
    __doc__ = shown_by_help

    def __init__(self, row: BackgroundRoute[P, W, Req, Res], engine: Engine) -> None:
        super().__init__(row, engine)
        self._route = row

    @overload
    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> BackgroundCall[Res]: ...
    @overload
    async def __call__(self, *args: W.args, **kwargs: W.kwargs) -> Res: ...
    @overload
    async def __call__(
        self, request: Req | Mapping[str, Any], *, wait_for_response: Literal[False] = False
    ) -> BackgroundCall[Res]: ...
    @overload
    async def __call__(
        self, request: Req | Mapping[str, Any], *, wait_for_response: Literal[True]
    ) -> Res: ...
    @named
    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A BackgroundCall, or the response with ``wait_for_response=True``."""
        row, engine = self._route, self._engine
        wait = kwargs.pop("wait_for_response", None)
        if not isinstance(wait, bool | None):
            message = f"{row.name}: wait_for_response must be True or False, not {wait!r:.40}"
            raise InvalidRequest(message)
        request = request_from(row.name, row.make, row.model, args, kwargs)
        if wait is None:
            wait = getattr(request, "wait_for_response", False)
        if wait:
            return await row.send(engine, request)
        # What is read from now on must not come from before the call.
        row.forget(engine)
        return engine.tasks.call(row.send(engine, request), what=row.name)


class BackgroundRoute(SendingRow[P, Req, Res], Generic[P, W, Req, Res]):
    """A row answered with a BackgroundCall, or with the response for ``wait_for_response=True``.

    ``start`` and ``wait`` make the request in the two ways to call, for their keywords; both may be
    functions with positional ids. ``options`` are those of ``SendingRow``.
    """

    def __init__(
        self,
        method: str,
        path: str,
        model: type[Req],
        answer: type[Res],
        *,
        start: Callable[P, Req],
        wait: Callable[W, Req],
        **options: Any,
    ) -> None:
        super().__init__(method, path, start, answer, model=model, **options)
        self.shown = wait
        if isinstance(start, type):
            self.make = model

    @overload
    def __get__(self, obj: None, owner: type) -> Self: ...
    @overload
    def __get__(self, obj: HasEngine, owner: type) -> BackgroundRowCall[P, W, Req, Res]: ...
    def __get__(self, obj: HasEngine | None, owner: type) -> Self | BackgroundRowCall[P, W, Req, Res]:
        return self if obj is None else BackgroundRowCall(self, obj.engine)
