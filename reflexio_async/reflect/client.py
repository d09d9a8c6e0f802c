"""``AsyncReflectClient``: the Reflect rows, wired together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from reflexio_async._engine.auth import Credentials
from reflexio_async._engine.base_client import BaseClient, DrainSummary
from reflexio_async._engine.cache import Cache
from reflexio_async._engine.call import Caller
from reflexio_async._engine.clock import Clock, clock_from
from reflexio_async._engine.engine import Engine, ServerKnowledge
from reflexio_async._engine.http import ConnectionPool, HttpClient
from reflexio_async._engine.jobs.manager import JobManager
from reflexio_async._engine.rate_limits import RateLimiters
from reflexio_async._engine.settings import (
    DEFAULT_USER_AGENT,
    UNSET,
    RetryPolicy,
    Secret,
    Settings,
    Unset,
    reflect_target,
)
from reflexio_async._engine.tasks import TaskTracker
from reflexio_async._engine.wire import Endpoint, build_request, model
from reflexio_async.reflect.api import ReflectAPI
from reflexio_async.reflect.batches import ReflectBatches
from reflexio_async.reflect.jobs import TraceJob, TraceStatus, follow, resume
from reflexio_async.reflect.kinds import trace_kinds
from reflexio_async.reflect.models import BootstrapResponse, Trace
from reflexio_async.reflect.requests import BootstrapRequest, ByTrace
from reflexio_async.reflect.rows import of_reflect
from reflexio_async.reflect.tracing import TracingAPI

if TYPE_CHECKING:
    from reflexio_async._engine.events import BackgroundErrorHook, RequestHook, RetryHook

_BOOTSTRAP = of_reflect(Endpoint("POST", "/v1/bootstrap", public=True))


class AsyncReflectClient(ReflectAPI, ReflectBatches, TracingAPI, BaseClient):
    """The asyncio client of a Reflect server: what an agent did becomes what it knows next time.

    Use it as ``async with AsyncReflectClient(…) as client``, or as ``client.reflect`` of an
    ``AsyncReflexioClient``, whose connections it then shares and with which it closes.

    Args:
        base_url: The server; else ``REFLECT_API_URL``, then ``http://localhost:8000``.
        api_key: Bearer token; else ``REFLECT_API_KEY``; else none.
        project_id: The project that every call is in; else ``REFLECT_PROJECT_ID``, then ``default``. A
            master key creates it when it does not exist.
        timeout: Seconds one call may take, retries and pacing included.
        poll_interval: Seconds between status requests for a trace; None: soon, then 0.25.
        wait_timeout: Seconds to wait for a trace after it was sent; None: 60.
        retry: How calls that may be repeated are repeated.
        max_connections: The size of the connection pool.
        polls_per_second: How often the server is asked at most for all traces that are waited for.
        adaptive_polling: Learn how long traces take, and ask when an answer is likely.
        drain_timeout: Seconds that leaving the block may take.
        max_response_bytes: Answers larger than this are refused.
        user_agent: Names the program to the server.
        on_request: Hears of every HTTP exchange.
        on_retry: Hears of every repetition.
        on_background_error: Hears of failures that no caller awaited.
        clock: Time itself; tests pass the sandbox's.

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
        poll_interval: float | None = None,
        wait_timeout: float | None = None,
        retry: RetryPolicy | None = None,
        max_connections: int = 100,
        polls_per_second: float = 200.0,
        adaptive_polling: bool = False,
        drain_timeout: float = 30.0,
        max_response_bytes: int = 256 * 1024 * 1024,
        user_agent: str = DEFAULT_USER_AGENT,
        on_request: RequestHook | None = None,
        on_retry: RetryHook | None = None,
        on_background_error: BackgroundErrorHook | None = None,
        clock: Clock | None = None,
    ) -> None:
        target = reflect_target(base_url, api_key, project_id)
        settings = Settings(
            base_url=target.base_url,
            timeout=timeout,
            poll_interval=poll_interval,
            wait_timeout=wait_timeout,
            retry=retry or RetryPolicy(),
            max_connections=max_connections,
            drain_timeout=drain_timeout,
            max_response_bytes=max_response_bytes,
            user_agent=user_agent,
            on_request=on_request,
            on_retry=on_retry,
            on_background_error=on_background_error,
            project_id=target.project_id,
            polls_per_second=polls_per_second,
            adaptive_polling=adaptive_polling,
        )
        pool = ConnectionPool(settings)
        tasks = TaskTracker(on_background_error)
        super().__init__(_encoded(settings, target.api_key, pool, clock_from(clock), tasks), pool)
        self._shares = False

    @classmethod
    def sharing(
        cls, settings: Settings, api_key: Secret, pool: ConnectionPool, clock: Clock, tasks: TaskTracker
    ) -> Self:
        """A client that lives on another one's pool and tasks, and is closed by it."""
        client = cls.__new__(cls)
        BaseClient.__init__(client, _encoded(settings, api_key, pool, clock, tasks), pool)
        client._shares = True  # noqa: SLF001  # its own
        return client

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
        # The token stands in for the key, which this call does not send, so that no error shows it.
        async with cls(base_url=base_url, api_key=bootstrap_token, timeout=timeout, clock=clock) as client:
            engine = client.engine
            return await engine.caller.call(_BOOTSTRAP, request, model(BootstrapResponse), engine.settings)

    def with_options(
        self,
        *,
        timeout: float | Unset = UNSET,
        poll_interval: float | Unset | None = UNSET,
        wait_timeout: float | Unset | None = UNSET,
        retry: RetryPolicy | Unset = UNSET,
        on_request: RequestHook | Unset | None = UNSET,
        on_retry: RetryHook | Unset | None = UNSET,
    ) -> Self:
        """A view with other settings that shares everything else: connections, limits, polling."""
        return self._view(
            self._engine.settings.with_options(
                timeout=timeout,
                poll_interval=poll_interval,
                wait_timeout=wait_timeout,
                retry=retry,
                on_request=on_request,
                on_retry=on_retry,
            )
        )

    def with_project(self, project_id: str) -> Self:
        """A view of another project that shares everything else."""
        return self._view(self._engine.settings.with_options(project_id=project_id))

    def under(self, settings: Settings) -> Self:
        """A view under ``settings``: for the client that this one lives with."""
        return self._view(settings)

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
        project_id = self._engine.settings.project_id
        job = follow(self._engine, project_id, request.trace_id, reviewed=require_reviewed)
        return await job.result(poll_interval=poll_interval, wait_timeout=wait_timeout)

    wait_for_trace_async = wait_for_trace

    def resume_job(self, token: str) -> TraceJob:
        """The trace that ``token`` (the text of ``job.token``) stands for, from this or another process.

        Raises:
            InvalidRequest: It is no token, of a newer release, or of another server.
        """
        return resume(self._engine, token)

    async def aclose(self, *, drain: bool = True) -> DrainSummary:
        """Close the client; views share its end. ``client.reflect`` is closed by its client, not by this.

        Unless ``drain`` is False, calls under way in the background are finished first, within
        ``drain_timeout`` seconds. What did not finish is logged, and named in the summary.
        """
        return DrainSummary() if self._shares else await super().aclose(drain=drain)

    def __repr__(self) -> str:
        settings = self._engine.settings
        return f"AsyncReflectClient({settings.base_url!r}, project_id={settings.project_id!r})"


def _encoded(
    settings: Settings, api_key: Secret, pool: ConnectionPool, clock: Clock, tasks: TaskTracker
) -> Engine:
    caller = Caller(HttpClient(settings, clock, pool), Credentials(api_key), RateLimiters(clock), clock)
    kinds = trace_kinds(settings.polls_per_second)
    jobs = JobManager(TraceStatus(caller, settings), clock, tasks, settings, polled_kinds=kinds)
    return Engine(caller, jobs, tasks, ServerKnowledge(), settings, Cache(clock, tasks, 0.0))
