"""The parts of one client, and the base of every group of calls."""

from __future__ import annotations

import asyncio
import copy
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar, cast

from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.jobs.slot_job import Start
from reflexio_async._engine.jobs.status import RUNNING
from reflexio_async._engine.loops import call_name
from reflexio_async._engine.wire import EncodedRequest, encode
from reflexio_async.errors import InvalidRequest, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pydantic import BaseModel

    from reflexio_async._engine.cache import Cache
    from reflexio_async._engine.call import Caller
    from reflexio_async._engine.jobs.kinds import PolledKind, SlotKind
    from reflexio_async._engine.jobs.manager import JobManager
    from reflexio_async._engine.jobs.record import JobRecord
    from reflexio_async._engine.jobs.status import JobStatus
    from reflexio_async._engine.loops import Lifetime, LoopBinding
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.tasks import BackgroundCall, TaskTracker
    from reflexio_async._engine.wire import Endpoint
    from reflexio_async.durable.jobs import DurableJobs

T = TypeVar("T")


class Engine(NamedTuple):
    """The parts of one client. Views made by ``with_options`` share all but ``settings``.

    ``durable`` starts the jobs that occupy slots, if the client has a store.
    """

    caller: Caller
    jobs: JobManager
    tasks: TaskTracker
    cache: Cache
    settings: Settings
    loops: LoopBinding
    lifetime: Lifetime | None
    durable: DurableJobs | None = None

    def with_settings(self, settings: Settings) -> Engine:
        """The same parts with other settings."""
        return self._replace(settings=settings)


class API:
    """The base of every group of calls. Its methods are the ways to make a call."""

    _engine: Engine
    _is_view = False
    """A view shares everything with the client that it was made of, and cannot close it."""

    def _with_settings(self, settings: Settings) -> Self:
        """A view of this client with other settings."""
        view = copy.copy(self)
        view._is_view = True  # noqa: SLF001  # a copy of self
        view._engine = self._engine.with_settings(settings)  # noqa: SLF001  # a copy of self
        return view

    async def _send(
        self,
        endpoint: Endpoint[T],
        request: BaseModel | EncodedRequest,
        *,
        settings: Settings | None = None,
        **options: Any,
    ) -> T:
        """Send ``request`` and return the response. Drop the cached responses that it makes stale.

        Args:
            endpoint: The endpoint.
            request: The request, or how it is sent.
            settings: Replaces the settings of this client.
            options: Options of ``Caller.send``.
        """
        engine = self._engine
        scope = engine.loops.enter()
        encoded = request if isinstance(request, EncodedRequest) else encode(endpoint, request)
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        # When the client is closed, it waits for the calls. A call inside a call is a part of that one.
        is_counted = not (task in scope.calls or task in scope.background_calls or task in scope.sending)
        if is_counted:
            scope.calls[task] = endpoint.path
        try:
            response = await engine.caller.send(endpoint, encoded, settings or engine.settings, **options)
        except RequestRefused:
            raise
        except BaseException:
            self._invalidate(endpoint)  # the call may have had its effect
            raise
        finally:
            if is_counted:
                scope.calls.pop(task, None)
                scope.ended()
        if getattr(response, "success", True) is not False:
            self._invalidate(endpoint)
        return response

    def _invalidate(self, endpoint: Endpoint[Any]) -> None:
        if endpoint.invalidates:
            self._engine.cache.invalidate(*endpoint.invalidates)

    def _cached(self, endpoint: Endpoint[T], request: BaseModel, *, refresh: bool) -> Awaitable[T]:
        """Return the cached response of an equal request, or send it. ``refresh``: send it in any case."""
        if not self._engine.cache.ttl:
            return self._send(endpoint, request)
        return self._from_cache(endpoint, request, refresh=refresh)

    async def _from_cache(self, endpoint: Endpoint[T], request: BaseModel, *, refresh: bool) -> T:
        engine = self._engine
        cache = engine.cache
        engine.loops.enter()
        sent: list[T] = []

        async def load() -> tuple[bytes, bool]:
            response: Any = await self._send(endpoint, request)
            sent.append(response)
            return response.model_dump_json().encode(), getattr(response, "success", True) is not False

        encoded = encode(endpoint, request)
        key = (encoded.target, encoded.body, engine.caller.credentials.header)
        body = await cache.fetch(endpoint.path, key, engine.settings, load, refresh=refresh)
        # Every caller gets models of its own, so that no caller sees the changes of another.
        return sent[0] if sent else endpoint.read(body)

    async def _in_background(
        self,
        endpoint: Endpoint[T],
        request: BaseModel,
        wait_for_response: bool = False,  # noqa: FBT001, FBT002
    ) -> T | BackgroundCall[T]:
        """Send ``request`` in a task and return its handle. Or wait for the response and return it."""
        if not isinstance(wait_for_response, bool):
            message = (
                f"{call_name(endpoint.path)}: wait_for_response must be True or False, "
                f"not {wait_for_response!r:.40}"
            )
            raise InvalidRequest(message)
        if wait_for_response:
            return await self._send(endpoint, request)
        return self._send_in_background(endpoint, request)

    def _send_in_background(self, endpoint: Endpoint[T], request: BaseModel) -> BackgroundCall[T]:
        """Send ``request`` in a task and return its handle."""
        self._engine.loops.enter()
        # From now on, a read must not return what was cached before this call.
        self._invalidate(endpoint)
        return self._engine.tasks.call(self._send(endpoint, request), what=call_name(endpoint.path))

    async def _start(
        self, endpoint: Endpoint[T], request: BaseModel, kind: SlotKind[T], *, row: str | None = None
    ) -> Job[T]:
        """Start a job through the lane of its service. Raise the error of a start that was refused.

        ``row``: the id of its row in the client's store. If there is such a row, nothing is started again.

        Raises:
            APITimeout: The timeout of the call has passed, and the start was not sent.
        """
        settings = self._settings_within(request)
        fails = settings is self._engine.settings
        job = await self._submit(
            endpoint, request, kind, timeout=settings.timeout, fails_at_timeout=fails, row=row
        )
        job.check_start()
        return job

    def _deadline(self) -> float:
        """When a call of several exchanges that begins now must have ended, by the clock."""
        return self._engine.caller.clock.now() + self._engine.settings.timeout

    def _settings_within(self, request: Any) -> Settings:
        """The settings for the first exchange of a call that may wait: ``wait_timeout`` bounds that too."""
        settings = self._engine.settings
        wait_timeout = getattr(request, "wait_timeout", None)
        if not wait_timeout or wait_timeout >= settings.timeout:
            return settings
        return settings.with_options(timeout=wait_timeout)

    async def _submit(
        self,
        endpoint: Endpoint[T],
        request: BaseModel,
        kind: SlotKind[T],
        *,
        timeout: float | None = None,
        fails_at_timeout: bool = False,
        row: str | None = None,
    ) -> Job[T]:
        """Start a job as ``_start`` does, but leave the error of a refused start to the job.

        Args:
            endpoint: The endpoint that starts the job.
            request: The request.
            kind: The kind of the job.
            timeout: Seconds after which to return, though the start is not answered; None: there is no limit.
            fails_at_timeout: A start that was not sent by then fails, and is not sent later.
            row: As in ``_start``.
        """
        engine = self._engine
        params = {name: getattr(request, name) for name in kind.echoed}
        start, observer = self._start_of(endpoint, request), engine.tasks.observer
        if observer.is_on:
            start = start._replace(request=observer.stamped(start.request))
        engine.loops.enter()
        record: JobRecord[T] = await (engine.durable or engine.jobs).start(
            kind,
            engine.settings,
            start=start,
            params=params,
            timeout=timeout,
            fails_at_timeout=fails_at_timeout,
            row=row,
        )
        return Job(record)

    def _start_of(self, endpoint: Endpoint[Any], request: BaseModel, width: int = 1) -> Start:
        """The start of a job, as a lane sends it, but not stamped for tracing.

        ``width``: how many jobs may run at once on a server whose start responds when the job is done.
        """
        engine = self._engine
        # No waiting for the rate limit in here: the lane waits for it, and then looks at the slot again.
        limiter = engine.caller.rate_limiter(endpoint.path)
        send = partial(
            engine.caller.send, endpoint, settings=engine.settings, limit_wait=0.0, rate_limiter=limiter
        )
        return Start(encode(endpoint, request), send, limiter, max(width, engine.settings.concurrency))

    def _run_in_lane(self, endpoint: Endpoint[T], request: BaseModel, kind: SlotKind[T]) -> BackgroundCall[T]:
        """Run a job in a task and return its handle. The start of the job responds when the job is done."""
        poll_interval, wait_timeout = (
            getattr(request, name, None) for name in ("poll_interval", "wait_timeout")
        )

        async def run() -> T:
            job = await self._submit(endpoint, request, kind, timeout=wait_timeout or None)
            return await job.result_within(wait_timeout, poll_interval=poll_interval)

        return self._engine.tasks.call(run(), what=call_name(endpoint.path))

    def _follow(
        self, kind: PolledKind[T], job_id: str, status: JobStatus = RUNNING, *, began: float | None = None
    ) -> Job[T]:
        """The handle of the job that has the id ``job_id``. This sends nothing.

        Args:
            kind: The kind of the job.
            job_id: The id.
            status: What is known of it already.
            began: When the call that started it began, by the clock; None: now.
        """
        record = self._engine.jobs.follow(kind, job_id, self._engine.settings)
        if began is not None:
            record.created_at = began
        record.update(status)
        return Job(record)
