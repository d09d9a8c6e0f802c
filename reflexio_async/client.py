"""``AsyncReflexioClient``: all calls of a Reflexio server, and the parts that they need."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, Unpack
from weakref import WeakValueDictionary

from pydantic import SecretStr

from reflexio_async._engine.auth import Credentials, Secrets
from reflexio_async._engine.base_client import BaseClient
from reflexio_async._engine.cache import Cache
from reflexio_async._engine.call import Caller
from reflexio_async._engine.clock import clock_from
from reflexio_async._engine.engine import API, Engine
from reflexio_async._engine.http import ConnectionPool, HttpClient
from reflexio_async._engine.ignored_errors import IgnoredErrors
from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.jobs.manager import JobManager
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async._engine.loops import Lifetime, LoopBinding
from reflexio_async._engine.models import build_request
from reflexio_async._engine.observer import observer_for
from reflexio_async._engine.rate_limits import RateLimiters
from reflexio_async._engine.settings import ClientOptions, Settings, TimeoutPhases, check_names, seconds_of
from reflexio_async._engine.tasks import TaskTracker
from reflexio_async.errors import InvalidRequest, NotFound
from reflexio_async.memory.api import MemoryAPI
from reflexio_async.memory.identity import IdentityChecks
from reflexio_async.memory.recall import report_failure
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
from reflexio_async.reflexio.api.intents import IntentsAPI
from reflexio_async.reflexio.api.operations import OperationsAPI
from reflexio_async.reflexio.api.pending_tool_calls import PendingToolCallsAPI
from reflexio_async.reflexio.api.provenance import ProvenanceAPI
from reflexio_async.reflexio.api.sessions import SessionsAPI
from reflexio_async.reflexio.jobs import LEARNING, POLLED_KINDS, SLOT_KINDS
from reflexio_async.reflexio.models.identity import LoginForm, LoginResponse
from reflexio_async.reflexio.models.interactions import ByRequest, LearningStatusResponse
from reflexio_async.reflexio.server_knowledge import ServerKnowledge
from reflexio_async.reflexio.service import REFLEXIO, api_key_from, base_url_from
from reflexio_async.reflexio.starts import STARTS
from reflexio_async.reflexio.status import ReflexioStatus

if TYPE_CHECKING:
    from reflexio_async._engine.jobs.kinds import SlotKind
    from reflexio_async._engine.wire import Endpoint
    from reflexio_async.durable.view import StoreView
    from reflexio_async.legacy.api import LegacyAPI
    from reflexio_async.reflect.client import AsyncReflectClient, SharedReflectClient
    from reflexio_async.reflexio.api.session_scoped import SessionScopedClient

_OTHER_NAMES = {
    **dict.fromkeys(("base_url", "url", "endpoint", "endpoint_url", "api_url", "host"), "url_endpoint"),
    **dict.fromkeys(("token", "key", "bearer_token"), "api_key"),
    "max_retries": "retry",
}
"""Names that other clients have for an option, for the error's hint."""


class AsyncReflexioClient(
    MemoryAPI,
    BatchesAPI,
    AgentPlaybooksAPI,
    AggregationAPI,
    BraintrustAPI,
    ConfigAPI,
    DashboardAPI,
    EvaluationAPI,
    ExperimentsAPI,
    IdentityAPI,
    IntentsAPI,
    OperationsAPI,
    PendingToolCallsAPI,
    ProvenanceAPI,
    SessionsAPI,
    BaseClient,
):
    """The asyncio client of a Reflexio server.

    Use it as ``async with AsyncReflexioClient(…) as client``. When the block ends, the client finishes the
    calls that are under way, in other tasks and in the background, and sends the queued starts, within
    ``drain_timeout`` seconds. When an exception ends the block, it cuts them short and starts nothing more.
    Jobs that run at the server go on in both cases.

    It belongs to the event loop in which it is entered or used first. When that loop is closed, it can be
    used on another.

    Args:
        api_key: The bearer token. Without it, ``REFLEXIO_API_KEY`` is used. Without both, calls are sent
            without a token, until ``await client.login(…)``.
        url_endpoint: The address of the server. Without it, ``REFLEXIO_API_URL`` or ``REFLEXIO_URL`` is used.
            The default is the hosted service.
        timeout: Seconds that one call may take. Retries, signing in again and waiting for the rate limit are
            included. One try of a call that may be repeated takes at most 65 s, which is longer than a server
            works on it. Of an ``httpx.Timeout``, the longest phase counts.
        reflect_url: The address of the server of ``client.reflect``. Without it, ``REFLECT_API_URL`` is used.
            The default is a server of your own, at ``http://localhost:8000``. The hosted server is
            ``https://api.starlight-search.com``.
        reflect_api_key: The bearer token for that server. Without it, ``REFLECT_API_KEY`` is used.
        project_id: The project at that server. Without it, ``REFLECT_PROJECT_ID`` is used. The default is
            ``default``.
        options: The options that both clients have: see ``ClientOptions``.

    Raises:
        ConfigurationError: One of the arguments is unusable. The message names it.
    """

    def __init__(
        self,
        api_key: str = "",
        url_endpoint: str = "",
        timeout: float | TimeoutPhases = 300.0,
        *,
        reflect_url: str = "",
        reflect_api_key: str = "",
        project_id: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        check_names(options, ClientOptions.__optional_keys__, _OTHER_NAMES)
        settings = Settings(base_url=base_url_from(url_endpoint), timeout=seconds_of(timeout), **options)
        clock = clock_from(settings.clock)
        loops = LoopBinding(f"{type(self).__name__}({settings.base_url!r})")
        tasks = TaskTracker(loops, settings.on_background_error, observer_for(settings))
        self._pool = ConnectionPool(settings, loops)
        http = HttpClient(settings, clock, self._pool, url_hint=REFLEXIO.url_hint)
        credentials = Credentials(api_key_from(api_key), loops, Secrets(settings))
        limiters = RateLimiters(clock, loops)
        caller = Caller(
            REFLEXIO, http, credentials, limiters, clock=clock, loops=loops, observer=tasks.observer
        )
        status = ReflexioStatus(caller, settings)
        jobs = JobManager(
            status,
            clock,
            tasks,
            settings,
            slots=status,
            polled_kinds=POLLED_KINDS,
            slot_kinds=SLOT_KINDS,
            redact=credentials.redact,
        )
        cache = Cache(clock, tasks, settings.cache_ttl)
        durable = None
        if settings.store is not None:
            from reflexio_async.durable.jobs import DurableJobs  # noqa: PLC0415  # loads sqlite3

            durable = DurableJobs(
                jobs, caller, settings, start_of=_start_of, ask_organisation=status.organisation
            )
        self._set_up(Engine(caller, jobs, tasks, cache, settings, loops, Lifetime(loops), durable))
        self._server = ServerKnowledge()
        self._reflect_server = reflect_server(reflect_url, reflect_api_key, project_id, prefix="reflect_")
        self._outboxes = []
        self._intents = WeakValueDictionary()
        self._identity_checks = IdentityChecks()
        self._recall_errors = IgnoredErrors(report_failure)
        self._shared_reflect: list[SharedReflectClient] = []
        """Empty, or the Reflect client. It is a list because all views of this client share it."""
        self._reflect: AsyncReflectClient | None = None
        """The view of the Reflect client that has the options of this view."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        settings = self._engine.settings
        if settings.store is not None and not settings.has_workers:
            await self.outbox.wake()
            if await self.outbox.left_for(self._reflect_server.base_url):
                await self.reflect.outbox.wake()
        return self

    def _with_settings(self, settings: Settings) -> Self:
        view = super()._with_settings(settings)
        view._reflect = None  # noqa: SLF001  # a view with other options
        return view

    @property
    def store(self) -> StoreView:
        """What is in the store that the client was made with (``store=``): jobs, batches and calls.

        Each of its methods raises ConfigurationError when the client was made without ``store=``, and
        StoreError when the store cannot be used.
        """
        from reflexio_async.durable.view import StoreView  # noqa: PLC0415  # loads sqlite3

        engine = self._engine
        return StoreView(engine.settings, engine.loops, engine.caller.clock)

    @property
    def reflect(self) -> AsyncReflectClient:
        """The client of a Reflect server. It has this client's connections, clock and options.

        It is closed with this client.
        """
        if self._reflect is None:
            from reflexio_async.reflect.client import SharedReflectClient  # noqa: PLC0415  # loads the models of Reflect

            engine, server = self._engine, self._reflect_server
            settings = replace(engine.settings, base_url=server.base_url)
            if not self._shared_reflect:
                made = SharedReflectClient(settings, server, self._pool, engine)
                self._shared_reflect.append(made)
            self._reflect = self._shared_reflect[0].with_settings(settings)
        return self._reflect

    async def login(self, email: str, password: str, *, remember: bool = True) -> LoginResponse:
        """Sign in, and use the bearer token for every later call.

        Of several logins at once, the one that was called last wins.

        Returns the token. Its text is ``token.api_key``, which another client takes as ``api_key``. It is
        hidden in reprs and masked in dumps.

        Args:
            email: The address of the account.
            password: Its password.
            remember: Hold both in memory, to sign in again when the server refuses the token. Calls that
                are refused at the same time share one login. If the server refuses that login, it is not
                tried again: until the next ``login``, every call that needs a token raises
                AuthenticationError, and nothing is sent.

        Raises:
            AuthenticationError: The server does not accept this address and password.
            UnexpectedResponse: The server's token is empty, too long, or cannot be sent in a header.
            NotFound: This server has no login. Pass ``api_key`` instead.
        """
        try:
            form = LoginForm(email=email, password=password)
        finally:
            del password  # tools show the variables of a traceback
        credentials = self._engine.caller.credentials
        credentials.secrets.add(form.password)
        number = credentials.begin_login()

        # A renewal must not refer to the client, which would never be collected as garbage then.
        sender = API()
        sender._engine = engine = self._engine._replace(lifetime=None)  # noqa: SLF001  # a part of this client

        async def sign_in() -> LoginResponse:
            try:
                return await sender._send(LOGIN, form)  # noqa: SLF001  # as above
            except NotFound as error:
                message = f"{engine.settings.base_url} has no login (POST /token); pass api_key instead"
                raise NotFound(
                    message, status=404, method="POST", path="/token", headers=error.headers
                ) from None

        async def renew() -> SecretStr:
            return SecretStr((await sign_in()).api_key)

        token = await sign_in()
        credentials.set_token(SecretStr(token.api_key), renew if remember else None, number)
        return token

    def learning(self, request_id: str) -> Job[LearningStatusResponse]:
        """Return the learning that follows a publish, as a job.

        Nothing is sent until the job is awaited or refreshed.

        The status ``not_tracked`` counts as completed, because the server will learn nothing.

        Args:
            request_id: The ``request_id`` in the response of the publish.

        Raises:
            InvalidRequest: ``request_id`` is not text, or empty.
        """
        request = build_request(ByRequest, {"request_id": request_id}, "learning")
        return self._follow(LEARNING, request.request_id)

    def for_session(self, session_id: str) -> SessionScopedClient:
        """Return a view for one session. Its calls need no ``session_id``.

        Args:
            session_id: The session.

        Raises:
            InvalidRequest: ``session_id`` is not text, or empty.
        """
        if not isinstance(session_id, str) or not session_id.strip():
            reason = "not be empty" if isinstance(session_id, str) else f"be text, not {session_id!r:.40}"
            message = f"for_session: session_id must {reason}"
            raise InvalidRequest(message)
        from reflexio_async.reflexio.api.session_scoped import SessionScopedClient  # noqa: PLC0415  # many calls again

        return SessionScopedClient(self, session_id.strip())

    @property
    def legacy(self) -> LegacyAPI:
        """The calls of the API of January 2026, in its own shapes. ``login`` is on the client itself."""
        from reflexio_async.legacy.api import LegacyAPI  # noqa: PLC0415  # loads January's models

        return LegacyAPI(self._engine)

    def job(self, token: str) -> Job[Any]:
        """Return the job of ``token``. This sends nothing.

        A server remembers the outcome of its latest rerun alone. A client remembers the last 1,000 outcomes
        of such jobs that it has read; one of these jobs has ended already. A store remembers all of them.

        Args:
            token: The text of ``job.token``. The job may have been started in another process. With the same
                store, it is found before its start was sent, too.

        Raises:
            InvalidRequest: It is no token, or it comes from a newer release or from another server.
        """
        parsed = Token.from_text(token)
        if parsed.row is not None and self._engine.durable is not None:
            return Job(self._engine.durable.resume(parsed, self._engine.settings))
        kind, slot_kind = parsed.kind, None
        if kind not in SLOT_KINDS and kind not in POLLED_KINDS:
            from reflexio_async.legacy.jobs import FEEDBACK_RERUN  # noqa: PLC0415  # loads January's models
            from reflexio_async.reflect.jobs import REVIEWED, STORED  # noqa: PLC0415  # loads Reflect's models

            if kind in (STORED, REVIEWED):
                return self.reflect.job(token)
            if kind == FEEDBACK_RERUN.name:
                slot_kind = FEEDBACK_RERUN
        return Job(self._engine.jobs.resume(token, self._engine.settings, slot_kind))

    def __repr__(self) -> str:
        return f"AsyncReflexioClient({self._engine.settings.base_url!r})"


def _start_of(kind: str) -> tuple[SlotKind[Any], Endpoint[Any]]:
    """The kind of job of this name, and the endpoint that starts one."""
    known = STARTS.get(kind)
    if known is not None:
        return known
    from reflexio_async.legacy.feedback import RERUN_FEEDBACK_GENERATION  # noqa: PLC0415  # loads January's models
    from reflexio_async.legacy.jobs import FEEDBACK_RERUN  # noqa: PLC0415  # as above

    if kind == FEEDBACK_RERUN.name:
        return FEEDBACK_RERUN, RERUN_FEEDBACK_GENERATION
    message = f"this release does not know how to start a job of the kind {kind!r:.40}"
    raise InvalidRequest(message)
