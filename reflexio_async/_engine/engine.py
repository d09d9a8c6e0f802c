"""The parts that one client is made of, and the base of every group of calls."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.wire import encode
from reflexio_async.errors import InvalidRequest, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pydantic import BaseModel

    from reflexio_async._engine.cache import Cache
    from reflexio_async._engine.call import Caller
    from reflexio_async._engine.jobs.kinds import PolledKind, SlotKind
    from reflexio_async._engine.jobs.manager import JobManager
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.tasks import BackgroundCall, TaskTracker
    from reflexio_async._engine.wire import Endpoint

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts of one client. Views made by ``with_options`` share all but ``settings``."""

    caller: Caller
    jobs: JobManager
    tasks: TaskTracker
    cache: Cache
    settings: Settings

    def with_settings(self, settings: Settings) -> Engine:
        """The same parts under other settings."""
        return replace(self, settings=settings)


class API:
    """The base of every group of calls: the ways in which a call uses the engine."""

    _engine: Engine

    def _with_settings(self, settings: Settings) -> Self:
        """A view of the same parts under other settings."""
        view = copy.copy(self)
        view._engine = self._engine.with_settings(settings)  # noqa: SLF001  # a copy of self
        return view

    async def _send(self, endpoint: Endpoint[T], request: BaseModel, *, repeatable: bool | None = None) -> T:
        """Send ``request`` and return the response; ``repeatable`` overrules the endpoint's."""
        engine = self._engine
        response = engine.caller.send(
            endpoint, encode(endpoint, request), engine.settings, repeatable=repeatable
        )
        if endpoint.invalidates:
            return await self._invalidating(endpoint, response)
        return await response

    async def _invalidating(self, endpoint: Endpoint[T], response: Awaitable[T]) -> T:
        """Await ``response`` and drop the cached responses that its effect makes stale."""
        cache = self._engine.cache
        try:
            value = await response
        except RequestRefused:
            raise
        except BaseException:
            cache.invalidate(*endpoint.invalidates)  # the call may have had its effect
            raise
        if getattr(value, "success", True) is not False:
            cache.invalidate(*endpoint.invalidates)
        return value

    async def _cached(self, endpoint: Endpoint[T], request: BaseModel, *, refresh: bool) -> T:
        """Return the cached response of the same request, or send it; ``refresh`` always sends it."""
        engine = self._engine
        cache = engine.cache
        if not cache.ttl:
            return await self._send(endpoint, request)
        sent: list[T] = []

        async def load() -> tuple[bytes, bool]:
            response: Any = await self._send(endpoint, request)
            sent.append(response)
            return response.model_dump_json().encode(), getattr(response, "success", True) is not False

        encoded = encode(endpoint, request)
        key = (encoded.target, encoded.body, engine.caller.credentials.header)
        body = await cache.fetch(endpoint.path, key, engine.settings, load, refresh=refresh)
        # Every caller gets models of its own, so that what it changes in them stays its own.
        return sent[0] if sent else endpoint.read(body)

    async def _in_background(
        self,
        endpoint: Endpoint[T],
        request: BaseModel,
        wait_for_response: bool = False,  # noqa: FBT001, FBT002
    ) -> T | BackgroundCall[T]:
        """Send ``request`` in a task and return its handle; or wait here and return the response."""
        if not isinstance(wait_for_response, bool):
            message = (
                f"{_name(endpoint)}: wait_for_response must be True or False, not {wait_for_response!r:.40}"
            )
            raise InvalidRequest(message)
        if wait_for_response:
            return await self._send(endpoint, request)
        return self._send_in_background(endpoint, request)

    def _send_in_background(self, endpoint: Endpoint[T], request: BaseModel) -> BackgroundCall[T]:
        """Send ``request`` in a task and return its handle."""
        # From now on a read must not return what was cached before the call.
        self._engine.cache.invalidate(*endpoint.invalidates)
        return self._engine.tasks.call(self._send(endpoint, request), what=_name(endpoint))

    async def _start(self, endpoint: Endpoint[T], request: BaseModel, kind: SlotKind[T]) -> Job[T]:
        """Start a job through the lane of its service; raises the error of a start that was refused."""
        job = await self._submit(endpoint, request, kind)
        job.check_start()
        return job

    async def _submit(
        self, endpoint: Endpoint[T], request: BaseModel, kind: SlotKind[T], *, width: int = 1
    ) -> Job[T]:
        """As ``_start``, but a refused start is the job's error; ``width`` starts may run at once."""
        engine = self._engine
        # The lane waits for the rate limit itself, so that it can look at the slot afterwards.
        send = partial(engine.caller.send, endpoint, settings=engine.settings, limit_wait=0.0)
        record = await engine.jobs.start(
            kind,
            engine.settings,
            request=encode(endpoint, request),
            params=kind.params(request.model_dump(mode="json", include=set(kind.echoed))),
            send=send,
            limiter=engine.caller.rate_limiter(endpoint.path),
            width=width,
        )
        return Job(record)

    def _run_in_lane(self, endpoint: Endpoint[T], request: BaseModel, kind: SlotKind[T]) -> BackgroundCall[T]:
        """Run a job whose start is answered when it is done, in a task, and return its handle."""
        options = {name: getattr(request, name, None) for name in ("poll_interval", "wait_timeout")}

        async def run() -> T:
            job = await self._submit(endpoint, request, kind)
            return await job.result(**options)

        return self._engine.tasks.call(run(), what=_name(endpoint))

    def _follow(self, kind: PolledKind[T], job_id: str) -> Job[T]:
        """The job that the server knows by ``job_id``; no I/O."""
        return Job(self._engine.jobs.follow(kind, job_id, self._engine.settings))


def _name(endpoint: Endpoint[Any]) -> str:
    """The name of the call, for logs and handles."""
    return endpoint.path.rpartition("/")[2]
