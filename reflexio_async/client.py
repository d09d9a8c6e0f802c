"""``AsyncReflexioClient``: the parts, assembled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, Unpack

from reflexio_async._engine.auth import Credentials
from reflexio_async._engine.base_client import BaseClient
from reflexio_async._engine.cache import Cache
from reflexio_async._engine.call import Caller
from reflexio_async._engine.clock import clock_from
from reflexio_async._engine.engine import Engine
from reflexio_async._engine.http import ConnectionPool, HttpClient
from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.jobs.manager import JobManager
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async._engine.models import build_request
from reflexio_async._engine.rate_limits import RateLimiters
from reflexio_async._engine.settings import ClientOptions, Secret, Settings, check_names
from reflexio_async._engine.tasks import TaskTracker
from reflexio_async.errors import CLOSED, InvalidRequest, NotFound
from reflexio_async.legacy.feedback import FeedbackAPI
from reflexio_async.legacy.jobs import FEEDBACK_RERUN
from reflexio_async.reflect.service import reflect_server
from reflexio_async.reflexio.api.agent_playbooks import AgentPlaybooksAPI
from reflexio_async.reflexio.api.aggregation import AggregationAPI
from reflexio_async.reflexio.api.batches import BatchesAPI
from reflexio_async.reflexio.api.braintrust import BraintrustAPI
from reflexio_async.reflexio.api.config import ConfigAPI
from reflexio_async.reflexio.api.dashboard import DashboardAPI
from reflexio_async.reflexio.api.evaluation import EvaluationAPI
from reflexio_async.reflexio.api.experiments import ExperimentsAPI
from reflexio_async.reflexio.api.identity import LOGIN, IdentityAPI
from reflexio_async.reflexio.api.operations import OperationsAPI
from reflexio_async.reflexio.api.pending_tool_calls import PendingToolCallsAPI
from reflexio_async.reflexio.api.provenance import ProvenanceAPI
from reflexio_async.reflexio.api.search import SearchAPI
from reflexio_async.reflexio.api.session_scoped import SessionScopedClient
from reflexio_async.reflexio.api.sessions import SessionsAPI
from reflexio_async.reflexio.jobs import LEARNING, POLLED_KINDS, SLOT_KINDS
from reflexio_async.reflexio.models.identity import LoginForm
from reflexio_async.reflexio.models.interactions import ByRequest, LearningStatusResponse
from reflexio_async.reflexio.server_knowledge import ServerKnowledge
from reflexio_async.reflexio.service import REFLEXIO, api_key_from, base_url_from
from reflexio_async.reflexio.status import ReflexioStatus

if TYPE_CHECKING:
    from reflexio_async.legacy.api import LegacyAPI
    from reflexio_async.reflect.client import AsyncReflectClient

_SLOT_KINDS = {**SLOT_KINDS, FEEDBACK_RERUN.name: FEEDBACK_RERUN}


class AsyncReflexioClient(
    BatchesAPI,
    AgentPlaybooksAPI,
    AggregationAPI,
    BraintrustAPI,
    ConfigAPI,
    DashboardAPI,
    EvaluationAPI,
    ExperimentsAPI,
    FeedbackAPI,
    IdentityAPI,
    OperationsAPI,
    PendingToolCallsAPI,
    ProvenanceAPI,
    SearchAPI,
    SessionsAPI,
    BaseClient,
):
    """The asyncio client of a Reflexio server.

    Use it as ``async with AsyncReflexioClient(…) as client``. Leaving the block sends queued starts and
    finishes background calls within ``drain_timeout``; jobs already admitted run on at the server.
    Leaving it by an exception starts nothing more.

    Args:
        api_key: Bearer token; else ``REFLEXIO_API_KEY``; else none (or ``await client.login(…)``).
        url_endpoint: The server; else ``REFLEXIO_API_URL``, ``REFLEXIO_URL``, then the hosted service.
        timeout: Seconds one call may take, retries and waiting for the rate limit included.
        reflect_url: The server of ``client.reflect``; else ``REFLECT_API_URL``, then
            ``http://localhost:8000``.
        reflect_api_key: Its bearer token; else ``REFLECT_API_KEY``; else none.
        project_id: Its project; else ``REFLECT_PROJECT_ID``, then ``default``.
        options: The options that both clients have: see ``ClientOptions``.

    Raises:
        ConfigurationError: Something above is unusable; the message names it.
    """

    def __init__(
        self,
        api_key: str = "",
        url_endpoint: str = "",
        timeout: float = 300.0,
        *,
        reflect_url: str = "",
        reflect_api_key: str = "",
        project_id: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        check_names(options, ClientOptions.__optional_keys__)
        settings = Settings(base_url=base_url_from(url_endpoint), timeout=timeout, **options)
        clock = clock_from(settings.clock)
        tasks = TaskTracker(settings.on_background_error)
        pool = ConnectionPool(settings)
        http = HttpClient(settings, clock, pool)
        caller = Caller(REFLEXIO, http, Credentials(api_key_from(api_key)), RateLimiters(clock), clock)
        status = ReflexioStatus(caller, settings)
        jobs = JobManager(
            status, clock, tasks, settings, slots=status, polled_kinds=POLLED_KINDS, slot_kinds=_SLOT_KINDS
        )
        cache = Cache(clock, tasks, settings.cache_ttl)
        self._set_up(Engine(caller, jobs, tasks, cache, settings), pool)
        self._server = ServerKnowledge()
        self._reflect_server = reflect_server(reflect_url, reflect_api_key, project_id, prefix="reflect_")
        self._shared_reflect: list[AsyncReflectClient] = []
        """The one Reflect client of all views, once one of them asked for it."""
        self._reflect: AsyncReflectClient | None = None
        """This view's view of it."""

    def _with_settings(self, settings: Settings) -> Self:
        view = super()._with_settings(settings)
        view._reflect = None  # noqa: SLF001  # its view has other settings
        return view

    @property
    def reflect(self) -> AsyncReflectClient:
        """The client of a Reflect server: shares connections, clock and options, and closes with this one."""
        if self._reflect is None:
            from reflexio_async.reflect.client import AsyncReflectClient  # noqa: PLC0415  # loads its models

            engine, server = self._engine, self._reflect_server
            settings = replace(engine.settings, base_url=server.base_url)
            if not self._shared_reflect:
                made = AsyncReflectClient.sharing(
                    settings, server, self._pool, engine.caller.clock, engine.tasks
                )
                self._shared_reflect.append(made)
                self._managers.append(made.jobs)
                if engine.tasks.closed:
                    made.jobs.abandon(CLOSED)
            self._reflect = self._shared_reflect[0].with_settings(settings)
        return self._reflect

    async def login(self, email: str, password: str, *, remember: bool = True) -> None:
        """Sign in and use the bearer token for every later call.

        With ``remember`` the credentials are kept in memory, to sign in again once when the token is
        refused; calls refused together share that one login.

        Raises:
            AuthenticationError: The server does not know this pair.
            NotFound: This server has no login; pass ``api_key`` instead.
        """
        form = LoginForm(email=email, password=password)

        async def sign_in() -> Secret:
            try:
                token = await self._send(LOGIN, form)
            except NotFound as error:
                message = f"{self._engine.settings.base_url} has no login (POST /token); pass api_key instead"
                raise NotFound(
                    message, status=404, method="POST", path="/token", headers=error.headers
                ) from None
            return Secret(token.api_key)

        self._engine.caller.credentials.set_token(await sign_in(), sign_in if remember else None)

    def learning(self, request_id: str) -> Job[LearningStatusResponse]:
        """The learning that follows a publish, as a job; no I/O until it is awaited or refreshed.

        ``not_tracked`` counts as completed: nothing will be learnt, and nothing is left to wait for.
        """
        request = build_request(ByRequest, {"request_id": request_id}, "learning")
        return self._follow(LEARNING, request.request_id)

    def for_session(self, session_id: str) -> SessionScopedClient:
        """A view whose calls are of one session: publish, search, outcome, requests, and the others.

        Raises:
            InvalidRequest: ``session_id`` is empty or not text.
        """
        if not isinstance(session_id, str) or not session_id.strip():
            message = f"for_session: session_id must be text, not {session_id!r:.40}"
            raise InvalidRequest(message)
        return SessionScopedClient(self, session_id.strip())

    @property
    def legacy(self) -> LegacyAPI:
        """The six calls whose paths January 2026 servers answer in another shape."""
        from reflexio_async.legacy.api import LegacyAPI  # noqa: PLC0415  # rarely needed

        return LegacyAPI(self._engine)

    def job(self, token: str) -> Job[Any]:
        """The job that ``token`` (the text of ``job.token``) stands for, from this or another process.

        Raises:
            InvalidRequest: It is no token, of a newer release, or of another server.
        """
        from reflexio_async.reflect.jobs import REVIEWED, STORED  # noqa: PLC0415  # loads Reflect's models

        if Token.from_text(token).kind in (STORED, REVIEWED):
            return self.reflect.job(token)
        return Job(self._engine.jobs.resume(token, self._engine.settings))

    def __repr__(self) -> str:
        return f"AsyncReflexioClient({self._engine.settings.base_url!r})"
