"""``JobRoute`` and ``SlowRoute``: rows whose work outlives the HTTP call, and that return a handle."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Self, TypeVar, overload

from pydantic import BaseModel

from reflexio_async._engine.jobs.job import Job, check_waiting
from reflexio_async._engine.routing.requests import request_from
from reflexio_async._engine.routing.route import BoundRow, Row, named, shown_by_help
from reflexio_async._engine.wire import Answer, Endpoint, encode
from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reflexio_async._engine.engine import Engine, HasEngine
    from reflexio_async._engine.jobs.kinds import SlotKind
    from reflexio_async._engine.tasks import BackgroundCall
    from reflexio_async._engine.wire import EncodedRequest

P = ParamSpec("P")
W = ParamSpec("W")
Req = TypeVar("Req", bound=BaseModel)
Res = TypeVar("Res")

_OPTIONS = ("wait_for_response", "poll_interval", "wait_timeout")


class _Options:
    """How a starting call was asked to wait."""

    def __init__(self, given: Mapping[str, Any], name: str) -> None:
        self.wait_for_response = given.get("wait_for_response", False)
        self.poll_interval: float | None = given.get("poll_interval")
        self.wait_timeout: float | None = given.get("wait_timeout")
        if not isinstance(self.wait_for_response, bool):
            message = f"{name}: wait_for_response must be True or False, not {self.wait_for_response!r}"
            raise InvalidRequest(message)
        if not self.wait_for_response and (self.poll_interval, self.wait_timeout) != (None, None):
            message = f"{name}: poll_interval and wait_timeout go with wait_for_response=True or job.result()"
            raise InvalidRequest(message)
        check_waiting(self.poll_interval, self.wait_timeout)


class HandleRow(Row[P, Req, Res], Generic[P, W, Req, Res]):
    """What every row that returns a handle shares.

    ``start`` and ``wait`` are only there for the keywords of the two ways to call: with a handle, and
    with ``wait_for_response=True``.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        start: Callable[P, Req],
        wait: Callable[W, Req],
        model: type[Req],
        answer: Answer[Res],
    ) -> None:
        super().__init__(endpoint, start, model, answer)
        self.shown = wait

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Req, _Options]:
        """The request and the waiting options of one call."""
        options = _Options(kwargs, self.name)
        fields = {name: value for name, value in kwargs.items() if name not in _OPTIONS}
        return request_from(self.name, self.model, self.model, args, fields), options

    async def start(self, engine: Engine, request: Req) -> Job[Res]:
        """Start the work."""
        raise NotImplementedError


class StartingRow(HandleRow[P, W, Req, Res]):
    """What ``JobRoute`` and ``SlowRoute`` share: they pass the lane of their service."""

    def __init__(
        self,
        path: str,
        model: type[Req],
        answer: type[Res],
        *,
        start: Callable[P, Req],
        wait: Callable[W, Req],
        kind: SlotKind[Res],
        per_minute: int,
        deadline: float | None = None,
        query: tuple[tuple[str, str], ...] = (),
    ) -> None:
        endpoint = Endpoint("POST", path, deadline=deadline, per_minute=per_minute, query=query)
        super().__init__(endpoint, start, wait, model, Answer(answer))
        self.kind = kind

    async def post(self, engine: Engine, encoded: EncodedRequest) -> Res:
        """Send the start, once it is its turn."""
        # The lane waits for the rate limit itself, so that it can look at the slot afterwards.
        return await engine.caller.send(self.endpoint, encoded, self.answer, engine.settings, limit_wait=0)

    async def start(self, engine: Engine, request: Req, *, width: int = 1) -> Job[Res]:
        """Start the work through its lane, ``width`` at once where the server allows it."""
        echoed = request.model_dump(mode="json", include=set(self.kind.echoed), exclude_unset=True)
        record = await engine.jobs.start(
            self.kind,
            engine.settings,
            request=encode(self.endpoint, request),
            params=self.kind.params(echoed),
            send=partial(self.post, engine),
            limiter=engine.caller.rate_limiter(self.endpoint.path),
            width=width,
        )
        return Job(record)


class JobCall(BoundRow[P, Req, Res], Generic[P, W, Req, Res]):
    __doc__ = shown_by_help

    def __init__(self, row: HandleRow[P, W, Req, Res], engine: Engine) -> None:
        super().__init__(row, engine)
        self._route = row

    @overload
    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Job[Res]: ...
    @overload
    async def __call__(self, *args: W.args, **kwargs: W.kwargs) -> Res: ...
    @overload
    async def __call__(
        self, request: Req | Mapping[str, Any], *, wait_for_response: Literal[False] = False
    ) -> Job[Res]: ...
    @overload
    async def __call__(
        self,
        request: Req | Mapping[str, Any],
        *,
        wait_for_response: Literal[True],
        poll_interval: float | None = None,
        wait_timeout: float | None = None,
    ) -> Res: ...
    @named
    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A Job, or the response with ``wait_for_response=True``."""
        request, options = self._route.read(args, kwargs)
        job = await self._route.start(self._engine, request)
        if not options.wait_for_response:
            job.check_start()
            return job
        return await job.result(poll_interval=options.poll_interval, wait_timeout=options.wait_timeout)


class JobRoute(StartingRow[P, W, Req, Res]):
    """A row that starts a server-side job."""

    @overload
    def __get__(self, obj: None, owner: type) -> Self: ...
    @overload
    def __get__(self, obj: HasEngine, owner: type) -> JobCall[P, W, Req, Res]: ...
    def __get__(self, obj: HasEngine | None, owner: type) -> Self | JobCall[P, W, Req, Res]:
        return self if obj is None else JobCall(self, obj.engine)


class SlowCall(BoundRow[P, Req, Res], Generic[P, W, Req, Res]):
    __doc__ = shown_by_help

    def __init__(self, row: SlowRoute[P, W, Req, Res], engine: Engine) -> None:
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
        self,
        request: Req | Mapping[str, Any],
        *,
        wait_for_response: Literal[True],
        poll_interval: float | None = None,
        wait_timeout: float | None = None,
    ) -> Res: ...
    @named
    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A BackgroundCall, or the response with ``wait_for_response=True``."""
        row, engine = self._route, self._engine
        request, options = row.read(args, kwargs)

        async def work() -> Res:
            job = await row.start(engine, request)
            return await job.result(poll_interval=options.poll_interval, wait_timeout=options.wait_timeout)

        if options.wait_for_response:
            return await work()
        return engine.tasks.call(work(), what=row.name)


class SlowRoute(StartingRow[P, W, Req, Res]):
    """A row that is answered only when its work is done, and that passes its service's lane."""

    @overload
    def __get__(self, obj: None, owner: type) -> Self: ...
    @overload
    def __get__(self, obj: HasEngine, owner: type) -> SlowCall[P, W, Req, Res]: ...
    def __get__(self, obj: HasEngine | None, owner: type) -> Self | SlowCall[P, W, Req, Res]:
        return self if obj is None else SlowCall(self, obj.engine)
