"""``SingleJobRoute``: a row that starts a job with a status route of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, overload

from pydantic import BaseModel

from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.routing.job_route import HandleRow, JobCall
from reflexio_async._engine.wire import Answer, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async._engine.engine import Engine, HasEngine
    from reflexio_async._engine.jobs.kinds import PolledKind

P = ParamSpec("P")
W = ParamSpec("W")
Req = TypeVar("Req", bound=BaseModel)
Res = TypeVar("Res")


class SingleJobRoute(HandleRow[P, W, Req, Res], Generic[P, W, Req, Res]):
    """A row that starts a job which the server finds again by its id.

    ``started`` is what the start is answered with, ``job_id`` finds the id in it, ``answer`` is the last
    status. ``prepare`` completes a request before it is sent.
    """

    def __init__(
        self,
        path: str,
        model: type[Req],
        answer: type[Res],
        *,
        start: Callable[P, Req],
        wait: Callable[W, Req],
        kind: PolledKind[Res],
        started: type[BaseModel],
        job_id: Callable[[Any], str],
        per_minute: int,
        repeatable: bool = False,
        prepare: Callable[[Req], Req] | None = None,
    ) -> None:
        endpoint = Endpoint("POST", path, repeatable=repeatable, per_minute=per_minute)
        super().__init__(endpoint, start, wait, model, Answer(answer))
        self.kind = kind
        self._started: Answer[Any] = Answer(started)
        self._job_id = job_id
        self._prepare = prepare

    async def start(self, engine: Engine, request: Req) -> Job[Res]:
        """Start the work; returns when its start was answered."""
        if self._prepare is not None:
            request = self._prepare(request)
        settings = engine.settings
        answer = await engine.caller.call(self.endpoint, request, self._started, settings)
        return Job(engine.jobs.follow(self.kind, self._job_id(answer), settings))

    @overload
    def __get__(self, obj: None, owner: type) -> Self: ...
    @overload
    def __get__(self, obj: HasEngine, owner: type) -> JobCall[P, W, Req, Res]: ...
    def __get__(self, obj: HasEngine | None, owner: type) -> Self | JobCall[P, W, Req, Res]:
        return self if obj is None else JobCall(self, obj.engine)
