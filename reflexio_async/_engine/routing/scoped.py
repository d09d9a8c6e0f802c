"""``Scoped``: a row within one session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from pydantic import BaseModel

from reflexio_async._engine.routing.requests import request_from
from reflexio_async._engine.routing.route import BoundRow, Row, named, shown_by_help
from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reflexio_async._engine.engine import HasEngine

P = ParamSpec("P")
Req = TypeVar("Req", bound=BaseModel)
Res = TypeVar("Res")


class OneSession(Protocol):
    """A view of a client, to the rows declared on it."""

    @property
    def session_id(self) -> str:
        """The session it is of."""
        ...

    @property
    def client(self) -> HasEngine:
        """The client it is a view of."""
        ...


class ScopedCall(BoundRow[P, BaseModel, Res], Generic[P, Res]):
    __doc__ = shown_by_help

    def __init__(self, row: Scoped[P, Res], view: OneSession) -> None:
        super().__init__(row, view.client.engine)
        self._scoped = row
        self._view = view

    @overload
    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Res: ...
    @overload
    async def __call__(self, request: BaseModel | Mapping[str, Any]) -> Res: ...
    @named
    async def __call__(self, *args: Any, **kwargs: Any) -> Res:
        """The answer to the row's call within this session."""
        row, view = self._scoped, self._view
        if args and isinstance(args[0], row.whole.model):
            args = (_given(args[0]), *args[1:])
        elif isinstance(kwargs.get("request"), row.whole.model):
            kwargs["request"] = _given(kwargs["request"])
        fields = _given(request_from(row.name, row.make, row.model, args, kwargs))
        # The row itself, bound to the client: caches and handles work as they do there.
        whole: Any = row.whole
        call: Any = whole.__get__(view.client, type(view.client))
        answer: Res = await call(row.within(view.session_id, fields))
        return answer


class Scoped(Row[P, BaseModel, Res], Generic[P, Res]):
    """``row`` within one session: ``fields`` makes its request, without the session or with the same one.

    ``several`` says that the row takes a list of sessions.
    """

    def __init__(
        self,
        row: Row[..., Req, Res],
        fields: Callable[P, BaseModel],
        *,
        model: type[BaseModel] | None = None,
        several: bool = False,
    ) -> None:
        if model is None:
            if not isinstance(fields, type):
                message = f"{row.name}: a request made by a function needs model="
                raise TypeError(message)
            model = fields
        super().__init__(row.endpoint, fields, model, row.answer)
        self.repeats = row.repeats
        self.whole: Row[..., Any, Res] = row
        self._name = "session_ids" if several else "session_id"
        self._several = several

    def within(self, session_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """``fields`` with the session; InvalidRequest when they name another one."""
        bound: Any = [session_id] if self._several else session_id
        named = fields.pop(self._name, None)
        if named is not None and (list(named) if self._several else named.strip()) != bound:
            message = f"{self.name}: {self._name}: this view is of session {session_id!r} alone"
            raise InvalidRequest(message)
        return {**fields, self._name: bound}

    @overload
    def __get__(self, obj: None, owner: type) -> Self: ...
    @overload
    def __get__(self, obj: OneSession, owner: type) -> ScopedCall[P, Res]: ...
    def __get__(self, obj: OneSession | None, owner: type) -> Self | ScopedCall[P, Res]:
        return self if obj is None else ScopedCall(self, obj)


def _given(request: BaseModel) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.model_fields_set}
