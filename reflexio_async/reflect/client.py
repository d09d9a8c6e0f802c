"""``AsyncReflectClient``: the calls of a Reflect server, assembled."""

from __future__ import annotations

import copy
from typing import Any, Self, Unpack

from reflexio_async._engine.auth import Credentials
from reflexio_async._engine.base_client import BaseClient, DrainSummary
from reflexio_async._engine.cache import Cache
from reflexio_async._engine.call import Caller
from reflexio_async._engine.clock import Clock, clock_from
from reflexio_async._engine.engine import Engine
from reflexio_async._engine.http import ConnectionPool, HttpClient
from reflexio_async._engine.jobs.manager import JobManager
from reflexio_async._engine.models import build_request
from reflexio_async._engine.rate_limits import RateLimiters
from reflexio_async._engine.settings import ClientOptions, Settings, check_names
from reflexio_async._engine.tasks import TaskTracker
from reflexio_async._engine.wire import Endpoint
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.batches import ReflectBatches
from reflexio_async.reflect.jobs import TraceJob, TraceStatus, trace_id_of, trace_kinds
from reflexio_async.reflect.models import BootstrapRequest, BootstrapResponse, ByTrace, Trace
from reflexio_async.reflect.service import REFLECT, ReflectServer, check_project, reflect_server
from reflexio_async.reflect.tracing import TracingAPI

BOOTSTRAP = Endpoint("POST", "/v1/bootstrap", BootstrapResponse, public=True)


class AsyncReflectClient(ReflectBatches, TracingAPI, BaseClient):
    """The asyncio client of a Reflect server: what an agent did becomes what it knows next time.

    Use it as ``async with AsyncReflectClient(…) as client``, or as ``client.reflect`` of an
    ``AsyncReflexioClient``, whose connections it then shares and with which it closes.

    Args:
        base_url: The server; else ``REFLECT_API_URL``, then ``http://localhost:8000``.
        api_key: Bearer token; else ``REFLECT_API_KEY``; else none.
        project_id: The project that every call is in; else ``REFLECT_PROJECT_ID``, then ``default``. A
            master key creates it when it does not exist.
        timeout: Seconds one call may take, retries and waiting for the rate limit included.
        options: The options that both clients have: see ``ClientOptions``.

    Raises:
        ConfigurationError: Something above is unusable; the message names it.
    """

    def __init__(
        self,
        *,
        base_url: str = "",
        api_key: str = "",
        project_id: str | None = None,
        timeout: float = 60.0,
        **options: Unpack[ClientOptions],
    ) -> None:
        check_names(options, ClientOptions.__optional_keys__)
        server = reflect_server(base_url, api_key, project_id)
        settings = Settings(base_url=server.base_url, timeout=timeout, **options)
        clock = clock_from(settings.clock)
        self._assemble(
            settings, server, ConnectionPool(settings), clock, TaskTracker(settings.on_background_error)
        )
        self._shares = False

    @classmethod
    def sharing(
        cls, settings: Settings, server: ReflectServer, pool: ConnectionPool, clock: Clock, tasks: TaskTracker
    ) -> Self:
        """A client on another client's connections and tasks, which closes it."""
        client = cls.__new__(cls)
        client._assemble(settings, server, pool, clock, tasks)  # noqa: SLF001  # made here
        client._shares = True  # noqa: SLF001  # as above
        return client

    def _assemble(
        self,
        settings: Settings,
        server: ReflectServer,
        pool: ConnectionPool,
        clock: Clock,
        tasks: TaskTracker,
    ) -> None:
        self._project_id = server.project_id
        self._kinds = trace_kinds(settings.polls_per_second)
        http = HttpClient(settings, clock, pool)
        caller = Caller(REFLECT, http, Credentials(server.api_key), RateLimiters(clock), clock)
        status = TraceStatus(caller, settings)
        jobs = JobManager(status, clock, tasks, settings, polled_kinds=self._kinds.by_name())
        self._set_up(Engine(caller, jobs, tasks, Cache(clock, tasks, 0.0), settings), pool)

    @property
    def jobs(self) -> JobManager:
        """Its jobs: for the client that it shares connections with, not part of the API."""
        return self._engine.jobs

    def with_settings(self, settings: Settings) -> Self:
        """A view under ``settings``: for the client that it shares connections with, not part of the API."""
        return self._with_settings(settings)

    @classmethod
    async def bootstrap(
        cls,
        *,
        bootstrap_token: str,
        user_id: str,
        project_id: str,
        base_url: str = "",
        key_label: str = "Default Admin Key",
        environment: str = "live",
        timeout: float = 60.0,
        clock: Clock | None = None,
    ) -> BootstrapResponse:
        """The first user, project and key of a new server; ``api_key`` is told this once.

        ``bootstrap_token`` is the one that the server was started with; ``base_url`` is found as a
        client's is. It is not sent twice: after a lost answer ``outcome_unknown`` is True.

        Raises:
            PermissionDenied: The token is wrong (some servers say AuthenticationError).
        """
        fields: dict[str, Any] = {
            "bootstrap_token": bootstrap_token,
            "user_id": user_id,
            "project_id": project_id,
            "key_label": key_label,
            "environment": environment,
        }
        request = build_request(BootstrapRequest, fields, "bootstrap")
        # The token is the client's key only so that errors redact it; this call sends no key.
        async with cls(base_url=base_url, api_key=bootstrap_token, timeout=timeout, clock=clock) as client:
            return await client._send(BOOTSTRAP, request)

    def with_project(self, project_id: str) -> Self:
        """A view of another project that shares everything else."""
        view = copy.copy(self)
        view._project_id = check_project(project_id)  # noqa: SLF001  # a copy of self
        return view

    async def wait_for_trace(
        self,
        trace_id: str,
        *,
        require_reviewed: bool = False,
        poll_interval: float | None = None,
        wait_timeout: float | None = None,
    ) -> Trace:
        """The trace once it is stored, or with ``require_reviewed`` once it is reviewed.

        Args:
            trace_id: The trace. One that the server does not know counts as not stored yet.
            require_reviewed: Wait for its review, and the memory that it becomes.
            poll_interval: Seconds between status requests; None: the client's, else soon, then 0.25.
            wait_timeout: Seconds this may take; None: the client's, else 60.

        Raises:
            JobFailed: The server gave up taking it in; the message has its reason.
            JobTimeout: The wait ran out; ``token`` resumes it.
            NotFound: It was there, and was deleted.
        """
        request = build_request(ByTrace, {"trace_id": trace_id}, "wait_for_trace")
        job = self._trace_job(request.trace_id, reviewed=require_reviewed)
        return await job.result(poll_interval=poll_interval, wait_timeout=wait_timeout)

    wait_for_trace_async = wait_for_trace
    """The same call as ``wait_for_trace``: the official client has both names."""

    def job(self, token: str) -> TraceJob:
        """The trace that ``token`` (the text of ``job.token``) stands for, from this or another process.

        Raises:
            InvalidRequest: It is no token, of a newer release, or of another server.
        """
        record = self._engine.jobs.resume(token, self._engine.settings)
        if not trace_id_of(record.id or ""):
            message = "token: it names no trace"
            raise InvalidRequest(message)
        return TraceJob(record)

    async def aclose(self, *, drain: bool = True) -> DrainSummary:
        """Close the client; views share its end. ``client.reflect`` is closed by its client, not by this.

        Unless ``drain`` is False, calls under way in the background are finished first, within
        ``drain_timeout`` seconds. What did not finish is logged, and named in the summary.
        """
        return DrainSummary() if self._shares else await super().aclose(drain=drain)

    def __repr__(self) -> str:
        return f"AsyncReflectClient({self._engine.settings.base_url!r}, project_id={self._project_id!r})"
