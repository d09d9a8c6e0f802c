"""``AsyncReflexioClient``: the parts, wired together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from reflexio_async._engine.auth import Credentials
from reflexio_async._engine.base_client import BaseClient
from reflexio_async._engine.cache import Cache
from reflexio_async._engine.call import Caller
from reflexio_async._engine.clock import Clock, clock_from
from reflexio_async._engine.engine import Engine, ServerKnowledge
from reflexio_async._engine.http import ConnectionPool, HttpClient
from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.jobs.manager import JobManager
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async._engine.rate_limits import RateLimiters
from reflexio_async._engine.settings import (
    DEFAULT_USER_AGENT,
    UNSET,
    RetryPolicy,
    Secret,
    Settings,
    Unset,
    api_key_from,
    base_url_from,
    reflect_target,
)
from reflexio_async._engine.tasks import TaskTracker
from reflexio_async._engine.wire import build_request
from reflexio_async.errors import CLOSED, InvalidRequest, NotFound
from reflexio_async.legacy.jobs import FEEDBACK_RERUN
from reflexio_async.reflect.kinds import REVIEWED, STORED
from reflexio_async.reflexio.api.batches import BatchesAPI
from reflexio_async.reflexio.api.late import LateAPI
from reflexio_async.reflexio.jobs import LEARNING, POLLED_KINDS, SLOT_KINDS
from reflexio_async.reflexio.status import ReflexioStatus

if TYPE_CHECKING:
    from reflexio_async._engine.events import BackgroundErrorHook, RequestHook, RetryHook
    from reflexio_async.legacy.api import LegacyAPI
    from reflexio_async.reflect.client import AsyncReflectClient
    from reflexio_async.reflexio.api.session_scoped import SessionView
    from reflexio_async.reflexio.models.interactions import LearningStatusResponse


_SLOT_KINDS = {**SLOT_KINDS, FEEDBACK_RERUN.name: FEEDBACK_RERUN}


class AsyncReflexioClient(BatchesAPI, LateAPI, BaseClient):
    """The asyncio client of a Reflexio server.

    Use it as ``async with AsyncReflexioClient(…) as client``. Leaving the block sends queued starts and
    finishes background calls within ``drain_timeout``; jobs already admitted run on at the server.
    Leaving it by an exception starts nothing more.

    Args:
        api_key: Bearer token; else ``REFLEXIO_API_KEY``; else none (or ``await client.login(…)``).
        url_endpoint: The server; else ``REFLEXIO_API_URL``, ``REFLEXIO_URL``, then the hosted service.
        timeout: Seconds one call may take, retries and pacing included.
        poll_interval: Seconds between status requests; None: each kind of job has its own.
        wait_timeout: Seconds to wait for a job after its admission; None: each kind has its own.
        retry: How calls that may be repeated are repeated.
        raise_on_refusal: Raise RequestRefused for HTTP 200 with ``success: false``; False returns it.
        max_connections: The size of the connection pool.
        cache_ttl: Seconds that answers of get_profiles and get_agent_playbooks are kept; 0: not at all.
        drain_timeout: Seconds that leaving the block may take.
        concurrency: How many reruns run at once on a server that answers a rerun when it is done.
        max_response_bytes: Answers larger than this are refused.
        user_agent: Must not look like a crawler's; the server refuses those.
        on_request: Hears of every HTTP exchange.
        on_retry: Hears of every repetition.
        on_background_error: Hears of failures that no caller awaited.
        clock: Time itself; tests pass the sandbox's.
        reflect_url: The server of ``client.reflect``; else ``REFLECT_API_URL``, then
            ``http://localhost:8000``.
        reflect_api_key: Its bearer token; else ``REFLECT_API_KEY``; else none.
        project_id: Its project; else ``REFLECT_PROJECT_ID``, then ``default``.
        polls_per_second: How often it is asked at most for all traces that are waited for.
        adaptive_polling: Learn how long jobs take that are asked for one by one (traces, learning,
            aggregations, regenerations), and ask when an answer is likely.

    Raises:
        ConfigurationError: Something above is unusable; the message names it.
    """

    def __init__(
        self,
        api_key: str = "",
        url_endpoint: str = "",
        timeout: float = 300.0,
        *,
        poll_interval: float | None = None,
        wait_timeout: float | None = None,
        retry: RetryPolicy | None = None,
        raise_on_refusal: bool = True,
        max_connections: int = 100,
        cache_ttl: float = 600.0,
        drain_timeout: float = 30.0,
        concurrency: int = 16,
        max_response_bytes: int = 256 * 1024 * 1024,
        user_agent: str = DEFAULT_USER_AGENT,
        on_request: RequestHook | None = None,
        on_retry: RetryHook | None = None,
        on_background_error: BackgroundErrorHook | None = None,
        clock: Clock | None = None,
        reflect_url: str = "",
        reflect_api_key: str = "",
        project_id: str | None = None,
        polls_per_second: float = 200.0,
        adaptive_polling: bool = False,
    ) -> None:
        self._reflect_target = reflect_target(reflect_url, reflect_api_key, project_id, prefix="reflect_")
        settings = Settings(
            base_url=base_url_from(url_endpoint),
            timeout=timeout,
            poll_interval=poll_interval,
            wait_timeout=wait_timeout,
            retry=retry or RetryPolicy(),
            raise_on_refusal=raise_on_refusal,
            max_connections=max_connections,
            cache_ttl=cache_ttl,
            drain_timeout=drain_timeout,
            concurrency=concurrency,
            max_response_bytes=max_response_bytes,
            user_agent=user_agent,
            on_request=on_request,
            on_retry=on_retry,
            on_background_error=on_background_error,
            polls_per_second=polls_per_second,
            adaptive_polling=adaptive_polling,
        )
        clock = clock_from(clock)
        tasks = TaskTracker(on_background_error)
        pool = ConnectionPool(settings)
        transport = HttpClient(settings, clock, pool)
        caller = Caller(transport, Credentials(api_key_from(api_key)), RateLimiters(clock), clock)
        status = ReflexioStatus(caller, settings)
        jobs = JobManager(
            status,
            clock,
            tasks,
            settings,
            polled_kinds=POLLED_KINDS,
            slots=status,
            slot_kinds=_SLOT_KINDS,
        )
        cache = Cache(clock, tasks, settings.cache_ttl)
        super().__init__(Engine(caller, jobs, tasks, ServerKnowledge(), settings, cache), pool)
        self._reflect_made: list[AsyncReflectClient] = []
        """The one Reflect client of all views, once one of them asked for it."""
        self._reflect: AsyncReflectClient | None = None
        """This view's view of it."""

    def with_options(
        self,
        *,
        timeout: float | Unset = UNSET,
        poll_interval: float | Unset | None = UNSET,
        wait_timeout: float | Unset | None = UNSET,
        retry: RetryPolicy | Unset = UNSET,
        raise_on_refusal: bool | Unset = UNSET,
        on_request: RequestHook | Unset | None = UNSET,
        on_retry: RetryHook | Unset | None = UNSET,
    ) -> Self:
        """A view with other settings that shares everything else: connections, login, lanes, limits."""
        return self._view(
            self._engine.settings.with_options(
                timeout=timeout,
                poll_interval=poll_interval,
                wait_timeout=wait_timeout,
                retry=retry,
                raise_on_refusal=raise_on_refusal,
                on_request=on_request,
                on_retry=on_retry,
            )
        )

    def _view(self, settings: Settings) -> Self:
        view = super()._view(settings)
        view._reflect = None  # noqa: SLF001  # its settings are others
        return view

    @property
    def reflect(self) -> AsyncReflectClient:
        """The client of a Reflect server: shares connections, clock and options, and closes with this one."""
        if self._reflect is None:
            from reflexio_async.reflect.client import AsyncReflectClient  # noqa: PLC0415  # loads its models

            engine, target = self._engine, self._reflect_target
            settings = replace(engine.settings, base_url=target.base_url, project_id=target.project_id)
            if not self._reflect_made:
                clock, tasks = engine.caller.clock, engine.tasks
                made = AsyncReflectClient.sharing(settings, target.api_key, self._pool, clock, tasks)
                self._reflect_made.append(made)
                self._managers.append(made.engine.jobs)
                if tasks.closed:
                    made.engine.jobs.abandon(CLOSED)
            self._reflect = self._reflect_made[0].under(settings)
        return self._reflect

    async def login(self, email: str, password: str, *, remember: bool = True) -> None:
        """Sign in and use the bearer token for every later call.

        With ``remember`` the credentials are kept in memory, to sign in again once when the token is
        refused; calls refused together share that one login.

        Raises:
            AuthenticationError: The server does not know this pair.
            NotFound: This server has no login; pass ``api_key`` instead.
        """
        from reflexio_async.reflexio.api.identity import LOGIN, TOKEN, LoginForm  # noqa: PLC0415  # as above

        form = build_request(LoginForm, {"username": email, "password": password})

        async def sign_in() -> Secret:
            try:
                token = await self._engine.caller.call(LOGIN, form, TOKEN, self._engine.settings)
            except NotFound as error:
                message = f"{self._engine.settings.base_url} has no login (POST /token); pass api_key instead"
                raise NotFound(
                    message, status=404, method="POST", path="/token", headers=error.headers
                ) from None
            return Secret(token.api_key)

        self._engine.caller.credentials.accept(await sign_in(), sign_in if remember else None)

    def learning(self, request_id: str) -> Job[LearningStatusResponse]:
        """The learning that follows a publish, as a job; no I/O until it is awaited or refreshed.

        ``not_tracked`` counts as completed: nothing will be learnt, and nothing is left to wait for.
        """
        from reflexio_async.reflexio.models.interactions import ByRequest  # noqa: PLC0415  # as above

        request = build_request(ByRequest, {"request_id": request_id})
        return Job(self._engine.jobs.follow(LEARNING, request.request_id, self._engine.settings))

    def for_session(self, session_id: str) -> SessionView:
        """A view whose calls are of one session: publish, search, outcome, requests, and the others.

        Raises:
            InvalidRequest: ``session_id`` is empty or not text.
        """
        from reflexio_async.reflexio.api.session_scoped import SessionView  # noqa: PLC0415  # as above

        if not isinstance(session_id, str) or not session_id.strip():
            message = f"for_session: session_id must be text, not {session_id!r:.40}"
            raise InvalidRequest(message)
        return SessionView(self, session_id.strip())

    @property
    def legacy(self) -> LegacyAPI:
        """The six calls whose paths January 2026 servers answer in another shape."""
        from reflexio_async.legacy.api import LegacyAPI  # noqa: PLC0415  # as above

        return LegacyAPI(self._engine)

    def resume_job(self, token: str) -> Job[Any]:
        """The job that ``token`` (the text of ``job.token``) stands for, from this or another process.

        Raises:
            InvalidRequest: It is no token, of a newer release, or of another server.
        """
        if Token.from_text(token).kind in (STORED, REVIEWED):
            return self.reflect.resume_job(token)
        return Job(self._engine.jobs.resume(token, self._engine.settings))

    def __repr__(self) -> str:
        return f"AsyncReflexioClient({self._engine.settings.base_url!r})"
