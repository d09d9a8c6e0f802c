"""``AsyncReflexioClient``: the parts, wired together."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from reflexio_async.api.batches import BatchesAPI
from reflexio_async.api.late import LateAPI
from reflexio_async.core.auth import Credentials
from reflexio_async.core.background import Background
from reflexio_async.core.cache import Cache
from reflexio_async.core.clock import Clock, SystemClock
from reflexio_async.core.pacing import Pacer
from reflexio_async.core.wire import build_request
from reflexio_async.errors import InvalidRequest, NotFound
from reflexio_async.jobs.desk import JobDesk
from reflexio_async.jobs.job import Job
from reflexio_async.jobs.kinds import LEARNING
from reflexio_async.pipeline import Pipeline
from reflexio_async.routing.runtime import Runtime, ServerKnowledge
from reflexio_async.settings import (
    DEFAULT_USER_AGENT,
    UNSET,
    RetryPolicy,
    Secret,
    Settings,
    Unset,
    api_key_from,
    base_url_from,
)
from reflexio_async.transport import Pool, Transport

if TYPE_CHECKING:
    from types import TracebackType

    from reflexio_async.api.legacy import LegacyAPI
    from reflexio_async.api.session_view import SessionView
    from reflexio_async.events import BackgroundErrorHook, RequestHook, RetryHook
    from reflexio_async.models.interactions import LearningStatusResponse

logger = logging.getLogger("reflexio_async")


@dataclass(frozen=True, slots=True)
class DrainSummary:
    """What closing a client left undone: names of starts that were not sent and of calls not answered."""

    unsent_starts: tuple[str, ...] = ()
    unfinished_calls: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing was left undone."""
        return not self.unsent_starts and not self.unfinished_calls


class AsyncReflexioClient(BatchesAPI, LateAPI):
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
    ) -> None:
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
        )
        # Models take long to load: importing the package loads none.
        from reflexio_async.api.operations import StatusQuestions  # noqa: PLC0415

        clock = clock or SystemClock()
        background = Background(on_background_error)
        self._pool = Pool(settings)
        transport = Transport(settings, clock, self._pool)
        pipeline = Pipeline(transport, Credentials(api_key_from(api_key)), Pacer(clock), clock)
        questions = StatusQuestions(pipeline, settings)
        desk = JobDesk(questions, clock, background, settings, slots=questions)
        cache = Cache(clock, background, settings.cache_ttl)
        self._runtime = Runtime(pipeline, desk, background, ServerKnowledge(), settings, cache)

    @property
    def runtime(self) -> Runtime:
        """The parts this client is made of: for the rows declared on it, not part of the API."""
        return self._runtime

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
        view = copy.copy(self)
        settings = self._runtime.settings.with_options(
            timeout=timeout,
            poll_interval=poll_interval,
            wait_timeout=wait_timeout,
            retry=retry,
            raise_on_refusal=raise_on_refusal,
            on_request=on_request,
            on_retry=on_retry,
        )
        view._runtime = self._runtime.with_settings(settings)  # noqa: SLF001  # a copy of self
        return view

    async def login(self, email: str, password: str, *, remember: bool = True) -> None:
        """Sign in and use the bearer token for every later call.

        With ``remember`` the credentials are kept in memory, to sign in again once when the token is
        refused; calls refused together share that one login.

        Raises:
            AuthenticationError: The server does not know this pair.
            NotFound: This server has no login; pass ``api_key`` instead.
        """
        from reflexio_async.api.identity import LOGIN, TOKEN, LoginForm  # noqa: PLC0415  # as above

        form = build_request(LoginForm, {"username": email, "password": password})

        async def sign_in() -> Secret:
            try:
                token = await self._runtime.pipeline.call(LOGIN, form, TOKEN, self._runtime.settings)
            except NotFound as error:
                message = (
                    f"{self._runtime.settings.base_url} has no login (POST /token); pass api_key instead"
                )
                raise NotFound(
                    message, status=404, method="POST", path="/token", headers=error.headers
                ) from None
            return Secret(token.api_key)

        self._runtime.pipeline.credentials.accept(await sign_in(), sign_in if remember else None)

    def learning(self, request_id: str) -> Job[LearningStatusResponse]:
        """The learning that follows a publish, as a job; no I/O until it is awaited or refreshed.

        ``not_tracked`` counts as completed: nothing will be learnt, and nothing is left to wait for.
        """
        from reflexio_async.models.interactions import ByRequest  # noqa: PLC0415  # as above

        request = build_request(ByRequest, {"request_id": request_id})
        return Job(self._runtime.desk.follow(LEARNING, request.request_id, self._runtime.settings))

    def for_session(self, session_id: str) -> SessionView:
        """A view whose calls are of one session: publish, search, outcome, requests, and the others.

        Raises:
            InvalidRequest: ``session_id`` is empty or not text.
        """
        from reflexio_async.api.session_view import SessionView  # noqa: PLC0415  # as above

        if not isinstance(session_id, str) or not session_id.strip():
            message = f"for_session: session_id must be text, not {session_id!r:.40}"
            raise InvalidRequest(message)
        return SessionView(self, session_id.strip())

    @property
    def legacy(self) -> LegacyAPI:
        """The six calls whose paths January 2026 servers answer in another shape."""
        from reflexio_async.api.legacy import LegacyAPI  # noqa: PLC0415  # as above

        return LegacyAPI(self._runtime)

    def resume_job(self, token: str) -> Job[Any]:
        """The job that ``token`` (the text of ``job.token``) stands for, from this or another process.

        Raises:
            InvalidRequest: It is no token, of a newer release, or of another server.
        """
        return Job(self._runtime.desk.resume(token, self._runtime.settings))

    async def aclose(self, *, drain: bool = True) -> DrainSummary:
        """Close the client; views share its end.

        Unless ``drain`` is False, queued starts are sent and background calls finished first, within
        ``drain_timeout`` seconds. What did not finish is logged, and named in the summary.
        """
        runtime = self._runtime
        desk, background = runtime.desk, runtime.background
        try:
            if drain and (desk.busy or background.unfinished_calls):
                await self._drain(runtime.settings.drain_timeout)
        finally:
            summary = DrainSummary(
                tuple(desk.abandon("the client was closed")), tuple(background.unfinished_calls)
            )
            if not summary.complete:
                logger.warning(
                    "closed with work undone: starts not sent: %s; calls not answered: %s",
                    ", ".join(summary.unsent_starts) or "none",
                    ", ".join(summary.unfinished_calls) or "none",
                )
            await background.aclose()
            await self._pool.aclose()
        return summary

    async def _drain(self, seconds: float) -> None:
        runtime = self._runtime
        try:
            async with runtime.pipeline.clock.timeout(seconds):
                while runtime.desk.busy or runtime.background.unfinished_calls:
                    await runtime.desk.drained()
                    await runtime.background.calls_finished()
        except TimeoutError:
            pass  # the summary names what was left

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose(drain=kind is None)

    def __repr__(self) -> str:
        return f"AsyncReflexioClient({self._runtime.settings.base_url!r})"
