"""``AsyncReflectClient``: all calls of a Reflect server, and the parts that they need."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self, Unpack

from reflexio_async._engine.auth import Credentials, Secrets
from reflexio_async._engine.base_client import BaseClient
from reflexio_async._engine.cache import Cache
from reflexio_async._engine.call import Caller
from reflexio_async._engine.clock import Clock, clock_from
from reflexio_async._engine.engine import Engine
from reflexio_async._engine.http import ConnectionPool, HttpClient
from reflexio_async._engine.ignored_errors import IgnoredErrors
from reflexio_async._engine.jobs.manager import JobManager
from reflexio_async._engine.loops import Lifetime, LoopBinding
from reflexio_async._engine.models import build_request
from reflexio_async._engine.observer import observer_for
from reflexio_async._engine.option_checks import true_or_false
from reflexio_async._engine.rate_limits import RateLimiters
from reflexio_async._engine.settings import ClientOptions, Settings, TimeoutPhases, check_names, seconds_of
from reflexio_async._engine.tasks import TaskTracker
from reflexio_async._engine.wire import Endpoint
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflect.batches import ReflectBatches
from reflexio_async.reflect.jobs import TraceJob, TraceStatus, split_job_id, trace_kinds
from reflexio_async.reflect.learning_report import MAX_QUERIES
from reflexio_async.reflect.models.projects import BootstrapRequest, BootstrapResponse
from reflexio_async.reflect.models.traces import ByTrace, Trace
from reflexio_async.reflect.outbox import TraceOutboxAPI
from reflexio_async.reflect.service import REFLECT, ReflectServer, check_project, reflect_server
from reflexio_async.reflect.tracing import TracingAPI

if TYPE_CHECKING:
    from reflexio_async.durable.view import StoreView

BOOTSTRAP = Endpoint("POST", "/v1/bootstrap", BootstrapResponse, public=True)

_OTHER_NAMES = {
    **dict.fromkeys(("url_endpoint", "url", "endpoint", "reflect_url", "api_url", "host"), "base_url"),
    **dict.fromkeys(("token", "key", "reflect_api_key"), "api_key"),
    "project": "project_id",
    "max_retries": "retry",
}
"""Names that other clients have for an option, for the error's hint."""


class AsyncReflectClient(ReflectBatches, TracingAPI, TraceOutboxAPI, BaseClient):
    """The asyncio client of a Reflect server, which makes memories of what agents did.

    Use it as ``async with AsyncReflectClient(…) as client``. Or use ``client.reflect`` of an
    ``AsyncReflexioClient``: it shares the connections of that client and is closed with it.

    Args:
        base_url: The address of the server. Without it, ``REFLECT_API_URL`` is used. The default is a server
            of your own, at ``http://localhost:8000``. The hosted server is
            ``https://api.starlight-search.com``.
        api_key: The bearer token. Without it, ``REFLECT_API_KEY`` is used. Without both, calls are sent
            without a token.
        project_id: The project of every call. Without it, ``REFLECT_PROJECT_ID`` is used. The default is
            ``default``. With a master key, the server makes a project that does not exist.
        timeout: Seconds that one call may take. Retries, signing in again and waiting for the rate limit are
            included. One try of a call that may be repeated takes at most 65 s, which is longer than a server
            works on it. Of an ``httpx.Timeout``, the longest phase counts.
        options: The options that both clients have: see ``ClientOptions``.

    Raises:
        ConfigurationError: One of the arguments is unusable. The message names it.
    """

    def __init__(
        self,
        *,
        base_url: str = "",
        api_key: str = "",
        project_id: str | None = None,
        timeout: float | TimeoutPhases = 60.0,
        **options: Unpack[ClientOptions],
    ) -> None:
        check_names(options, ClientOptions.__optional_keys__, _OTHER_NAMES)
        server = reflect_server(base_url, api_key, project_id)
        settings = Settings(base_url=server.base_url, timeout=seconds_of(timeout), **options)
        if settings.store is not None:
            from reflexio_async.durable.opening import check_store  # noqa: PLC0415  # loads sqlite3

            check_store(settings)
        loops = LoopBinding(f"{type(self).__name__}({settings.base_url!r})")
        tasks = TaskTracker(loops, settings.on_background_error, observer_for(settings))
        pool, clock = ConnectionPool(settings, loops), clock_from(settings.clock)
        self._assemble(settings, server, pool, clock, tasks, lifetime=Lifetime(loops), secrets=Secrets())

    def _assemble(
        self,
        settings: Settings,
        server: ReflectServer,
        pool: ConnectionPool,
        clock: Clock,
        tasks: TaskTracker,
        *,
        lifetime: Lifetime | None,
        secrets: Secrets,
    ) -> None:
        secrets.add_settings(settings)
        self._project_id = server.project_id
        self._pool = pool
        self._outboxes = []
        self._seen_queries = deque(maxlen=MAX_QUERIES)
        self._ignored_errors = IgnoredErrors(tasks.report)
        self._kinds = trace_kinds(settings.polls_per_second)
        http = HttpClient(settings, clock, pool, url_hint=server.url_hint)
        loops = tasks.loops
        credentials = Credentials(server.api_key, loops, secrets)
        limiters = RateLimiters(clock, loops)
        caller = Caller(
            REFLECT, http, credentials, limiters, clock=clock, loops=loops, observer=tasks.observer
        )
        status = TraceStatus(caller, settings)
        jobs = JobManager(
            status, clock, tasks, settings, polled_kinds=self._kinds.by_name(), redact=credentials.redact
        )
        cache = Cache(clock, tasks, 0.0)
        self._set_up(Engine(caller, jobs, tasks, cache, settings, loops, lifetime))

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        settings = self._engine.settings
        if settings.store is not None and not settings.has_workers:
            try:
                await self.outbox.wake()
            except BaseException:
                await self.aclose(drain=False)
                raise
        return self

    @property
    def store(self) -> StoreView:
        """What is in the store that the client was made with (``store=``)."""
        from reflexio_async.durable.view import StoreView  # noqa: PLC0415  # loads sqlite3

        engine = self._engine
        return StoreView(engine.settings, engine.loops, engine.caller.clock)

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
        timeout: float | TimeoutPhases = 60.0,
        clock: Clock | None = None,
    ) -> BootstrapResponse:
        """Make the first user, project and API key of a new server. No later response has the key.

        The call is not repeated. If its response is lost, the error has ``outcome_unknown``.

        Args:
            bootstrap_token: The token that the server was started with.
            user_id: The id of the new user.
            project_id: The id of the new project.
            base_url: The address of the server. Without it, ``REFLECT_API_URL`` is used. The default is
                ``http://localhost:8000``. The hosted server is ``https://api.starlight-search.com``.
            key_label: The name of the new API key.
            environment: The environment of the new API key.
            timeout: Seconds that the call may take.
            clock: The clock to use. Tests pass a VirtualClock.

        Raises:
            PermissionDenied: The token is wrong. (Some servers: AuthenticationError.)
        """
        fields: dict[str, Any] = {
            "bootstrap_token": bootstrap_token,
            "user_id": user_id,
            "project_id": project_id,
            "key_label": key_label,
            "environment": environment,
        }
        request = build_request(BootstrapRequest, fields, "bootstrap")
        # This call sends no key. The token is passed as one, so that no error shows it.
        client = cls(base_url=base_url, api_key=bootstrap_token, timeout=timeout, clock=clock)
        del bootstrap_token, fields  # tools show the variables of a traceback
        async with client:
            return await client._send(BOOTSTRAP, request)

    def with_project(self, project_id: str) -> Self:
        """Return a view of another project. It shares everything else with this client.

        Raises:
            ConfigurationError: ``project_id`` is unusable.
        """
        view = self._with_settings(self._engine.settings)
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
        """Wait until a trace is stored, or reviewed, and return it.

        Args:
            trace_id: The trace. If the server does not know it, it is not stored yet.
            require_reviewed: Wait until it is reviewed, and a memory is made of it.
            poll_interval: Seconds between status requests. None: the client's, or 0.25.
            wait_timeout: Seconds to wait. None: the client's, or 60.

        Raises:
            JobFailed: The server could not store the trace. The message has its reason.
            JobTimeout: The wait ended before the job. ``client.job(error.token)`` returns the job.
            JobLost: The trace was deleted during the wait.
        """
        request = build_request(ByTrace, {"trace_id": trace_id}, "wait_for_trace")
        true_or_false("require_reviewed", require_reviewed)
        job = self._trace_job(request.trace_id, reviewed=require_reviewed)
        return await job.result(poll_interval=poll_interval, wait_timeout=wait_timeout)

    wait_for_trace_async = wait_for_trace
    """The same call as ``wait_for_trace``: the official client has both names."""

    def job(self, token: str) -> TraceJob:
        """Return the job of ``token``. This sends nothing.

        Args:
            token: The text of ``job.token``. The trace may have been sent by another process.

        Raises:
            InvalidRequest: It is no token, or it comes from a newer release or from another server.
        """
        record = self._engine.jobs.resume(token, self._engine.settings)
        _, trace_id = split_job_id(record.id or "")
        if not trace_id:
            message = "token: it names no trace"
            raise InvalidRequest(message)
        return TraceJob(record)

    def __repr__(self) -> str:
        return f"AsyncReflectClient({self._engine.settings.base_url!r}, project_id={self._project_id!r})"


class SharedReflectClient(AsyncReflectClient):
    """``client.reflect`` of an AsyncReflexioClient: it uses the connections and tasks of that client."""

    def __init__(
        self, settings: Settings, server: ReflectServer, pool: ConnectionPool, owner: Engine
    ) -> None:
        clock, secrets = owner.caller.clock, owner.caller.credentials.secrets
        self._assemble(settings, server, pool, clock, owner.tasks, lifetime=owner.lifetime, secrets=secrets)

    def with_settings(self, settings: Settings) -> Self:
        """Return a view with other settings."""
        return self._with_settings(settings)
