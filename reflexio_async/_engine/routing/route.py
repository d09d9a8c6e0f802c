"""``Route``: one endpoint, declared once, called with the keywords of its request model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from copy import copy
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Self, TypeAlias, TypeVar, cast, overload

from pydantic import BaseModel

from reflexio_async._engine.engine import Engine, HasEngine
from reflexio_async._engine.routing.help import document, signature
from reflexio_async._engine.routing.requests import request_from
from reflexio_async._engine.wire import Answer, Endpoint
from reflexio_async.errors import RequestRefused

if TYPE_CHECKING:
    import inspect

P = ParamSpec("P")
Req = TypeVar("Req", bound=BaseModel)
Res = TypeVar("Res")
Called = TypeVar("Called", bound=Callable[..., Coroutine[Any, Any, Any]])

Via: TypeAlias = Callable[[Engine, Endpoint, Req, Answer[Res]], Awaitable[Res]]
"""How a row is carried out when one plain call is not enough."""


class Row(Generic[P, Req, Res]):
    """What every kind of row has: an endpoint, a request model and an answer."""

    name: str = ""
    owner: type = object
    called: str = ""
    """Both together."""

    def __init__(
        self, endpoint: Endpoint, make: Callable[P, Req], model: type[Req], answer: Answer[Res]
    ) -> None:
        self.endpoint = endpoint
        self.make = make
        self.shown: Callable[..., Req] = make
        """Whose keywords ``help()`` shows."""
        self.repeats: bool | None = endpoint.repeatable
        """What ``help()`` says of repeating; None where the row's own words say it."""
        self.model = model
        self.answer = answer
        self.forgets: tuple[str, ...] = ()
        """Paths whose cached answers a call of this row makes stale."""

    def forget(self, engine: Engine) -> None:
        """Drop the cached answers that this row's effect makes stale."""
        if self.forgets:
            engine.cache.forget(*self.forgets)

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name, self.called = owner, name, f"{owner.__name__}.{name}"

    def alias(self) -> Self:
        """The same row, to be declared under another name."""
        return copy(self)


class BoundRow(Generic[P, Req, Res]):
    """A row on a client, ready to be called."""

    def __init__(self, row: Row[P, Req, Res], engine: Engine) -> None:
        self._row = row
        self._engine = engine

    @property
    def __name__(self) -> str:
        return self._row.name

    @property
    def __signature__(self) -> inspect.Signature:
        return signature(self._row.shown)

    def help_text(self) -> str:
        """What ``help()`` shows of this call."""
        return document(self._row)

    def __repr__(self) -> str:
        row = self._row
        return f"<{row.called}: {row.endpoint.method} {row.endpoint.path}>"


def named(call: Called) -> Called:
    """``call``, a ``__call__`` of bound rows, under the row's own name in Python's warnings and tasks."""

    @wraps(call)
    def under_its_name(self: BoundRow[..., Any, Any], *args: Any, **kwargs: Any) -> Any:
        coroutine: Any = call(self, *args, **kwargs)
        coroutine.__qualname__ = self._row.called
        return coroutine

    return cast("Called", under_its_name)


shown_by_help: Any = property(BoundRow[..., Any, Any].help_text)
"""Each class of bound rows takes it as its ``__doc__``: a class body without one sets it to None."""


class SendingRow(Row[P, Req, Res]):
    """A row whose call is one exchange.

    ``request`` is the request model, or a function with positional ids that returns one (then ``model``
    names it). ``repeatable`` says that sending it twice does no harm, ``refusal`` whether
    ``success: false`` is an error, ``deadline`` how many seconds the server may take, ``per_minute`` the
    contract's rate limit (a hint, never a brake), ``via`` how it is carried out when one call is not enough;
    ``resolves`` that it then finds out what became of a lost answer. ``query`` is sent with every call,
    ``public`` means without a token, ``forgets`` names the paths whose cached answers it makes stale.
    """

    def __init__(
        self,
        method: str,
        path: str,
        request: Callable[P, Req],
        answer: type[Res] | Answer[Res],
        *,
        model: type[Req] | None = None,
        repeatable: bool | None = None,
        refusal: Literal["raise", "return"] = "raise",
        deadline: float | None = None,
        per_minute: int | None = None,
        via: Via[Req, Res] | None = None,
        resolves: bool = False,
        query: tuple[tuple[str, str], ...] = (),
        public: bool = False,
        forgets: tuple[str, ...] = (),
    ) -> None:
        endpoint = Endpoint(
            method,
            path,
            repeatable=method == "GET" if repeatable is None else repeatable,
            refusal=refusal,
            deadline=deadline,
            per_minute=per_minute,
            query=query,
            public=public,
        )
        if model is None:
            if not isinstance(request, type):
                message = f"{path}: a request made by a function needs model="
                raise TypeError(message)
            model = cast("type[Req]", request)
        super().__init__(endpoint, request, model, answer if isinstance(answer, Answer) else Answer(answer))
        self._via = via
        self.forgets = forgets
        if resolves:
            self.repeats = None

    async def send(self, engine: Engine, request: Req) -> Res:
        """Carry out one call of this row."""
        if not self.forgets:
            return await self._carry_out(engine, request)
        try:
            answer = await self._carry_out(engine, request)
        except RequestRefused:
            raise
        except BaseException:
            self.forget(engine)  # it may have had its effect
            raise
        if getattr(answer, "success", True) is not False:
            self.forget(engine)
        return answer

    def _carry_out(self, engine: Engine, request: Req) -> Awaitable[Res]:
        if self._via is not None:
            return self._via(engine, self.endpoint, request, self.answer)
        return engine.caller.call(self.endpoint, request, self.answer, engine.settings)


class Call(BoundRow[P, Req, Res]):
    __doc__ = shown_by_help

    def __init__(self, row: Route[P, Req, Res], engine: Engine) -> None:
        super().__init__(row, engine)
        self._route = row

    @overload
    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Res: ...
    @overload
    async def __call__(self, request: Req | Mapping[str, Any]) -> Res: ...
    @named
    async def __call__(self, *args: Any, **kwargs: Any) -> Res:
        """The answer to the request's keywords, or to one ``request``."""
        row = self._route
        request = request_from(row.name, row.make, row.model, args, kwargs)
        return await row.send(self._engine, request)


class Route(SendingRow[P, Req, Res]):
    """One endpoint, answered in the call."""

    @overload
    def __get__(self, obj: None, owner: type) -> Self: ...
    @overload
    def __get__(self, obj: HasEngine, owner: type) -> Call[P, Req, Res]: ...
    def __get__(self, obj: HasEngine | None, owner: type) -> Self | Call[P, Req, Res]:
        return self if obj is None else Call(self, obj.engine)
