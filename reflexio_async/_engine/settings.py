"""The options of a client, checked once and frozen."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from os import PathLike, fspath
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Protocol, Self, TypedDict, cast

from reflexio_async._engine.option_checks import (
    check_headers,
    check_hook,
    check_session,
    check_store,
    check_user_agent,
    positive_count,
    positive_number,
    positive_seconds,
)
from reflexio_async._engine.validation import did_you_mean
from reflexio_async._version import __version__
from reflexio_async.errors import ConfigurationError

if TYPE_CHECKING:
    from types import UnionType

    from aiohttp import ClientSession

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.events import BackgroundErrorHook, RequestHook, RetryHook

DEFAULT_USER_AGENT = f"reflexio-async/{__version__}"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried, and how long it waits between two tries.

    The wait is random, between 0 and a limit that doubles with every try. It ends before the call's timeout.

    Args:
        max_attempts: The number of tries, the first one included. 1: no call is tried again, not even while
            the server is away.
        base_delay: The first limit of the wait, in seconds.
        max_delay: The last limit of the wait, in seconds.

    Raises:
        ConfigurationError: One of the values is unusable.
    """

    max_attempts: int = 5
    base_delay: float = 0.2
    max_delay: float = 10.0

    def __post_init__(self) -> None:
        positive_count("RetryPolicy.max_attempts", self.max_attempts, error=ConfigurationError)
        for name in ("base_delay", "max_delay"):
            positive_seconds(f"RetryPolicy.{name}", getattr(self, name), error=ConfigurationError)


class TimeoutPhases(Protocol):
    """A timeout with limits for the phases of a request, in seconds: an ``httpx.Timeout``.

    None means that the phase has no limit.
    """

    connect: float | None
    read: float | None
    write: float | None
    pool: float | None


_PHASES = ("connect", "read", "write", "pool")
_NO_LIMIT = 1e9


def seconds_of(timeout: float | TimeoutPhases) -> float:
    """The seconds that a call may take: ``timeout``, or the longest of its phases."""
    if not all(hasattr(timeout, phase) for phase in _PHASES):
        return cast("float", timeout)
    phases = [getattr(timeout, phase) for phase in _PHASES]
    return max(_NO_LIMIT if phase is None else phase for phase in phases)


class _SharedOptions(TypedDict, total=False):
    poll_interval: float | None
    wait_timeout: float | None
    retry: RetryPolicy
    outage_timeout: float
    raise_on_refusal: bool
    on_request: RequestHook | None
    on_retry: RetryHook | None


class ViewOptions(_SharedOptions, total=False):
    """The options that a view of a client may have for itself.

    Args:
        timeout: Seconds that one call may take, retries and waiting for the rate limit included.

    The others are described at ``ClientOptions``.
    """

    timeout: float | TimeoutPhases


class ClientOptions(_SharedOptions, total=False):
    """The options of both clients.

    Args:
        poll_interval: Seconds between status requests. The default depends on the kind of job.
        wait_timeout: Seconds to wait for a job after its admission. The default depends on the kind of job.
        retry: How calls that may be repeated are repeated. The default is ``RetryPolicy()``.
        outage_timeout: Seconds that the server may be away, once this client has had a response from it. As
            long, queued starts wait, status requests get past answers that are not of this API, and calls
            that change something are tried again if they were not sent. The default is 60; batches have an
            option of their own.
        raise_on_refusal: Raise RequestRefused for HTTP 200 with ``success: false`` (True, the default), or
            return such a response (False).
        on_request: Called after every HTTP exchange with a RequestEvent.
        on_retry: Called before every retry with a RetryEvent.
        on_background_error: Called with a BackgroundErrorEvent when something fails that no caller awaits.
        session: Your own ``aiohttp.ClientSession``. It is used as it is, and never closed. Its timeouts and
            ``raise_for_status`` do not apply. With it, aiohttp itself sends a GET, PUT or DELETE once more
            when a pooled connection is dead, and never a POST. A call on a dead pooled connection may have
            had its effect (``outcome_unknown``): a session does not say whether bytes were sent. And what a
            server sends on an idle connection, aiohttp takes for the next response.
        proxy: The http:// or https:// URL of a proxy, with its credentials if it asks for any.
        ssl: An ``ssl.SSLContext``, for example for a CA of your own; False: certificates are not checked.
        headers: Headers sent with every request. Those that the client sends itself cannot be set:
            Authorization, Host, Content-* and so on.
        trust_env: Take the proxy from the environment (``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``,
            ``NO_PROXY``) when the client is made. True by default. It is never used for a server on this
            machine, nor with ``session``. A netrc file is never read.
        connect_timeout: Seconds that making a connection may take. The default is 10.
        max_connections: The maximum of requests at once, each on a connection of its own. The default is 100.
        cache_ttl: Seconds that responses of get_profiles and get_agent_playbooks are cached. The default is
            600; 0 switches the cache off.
        drain_timeout: Seconds that leaving the ``async with`` block may take. The default is 20.
        concurrency: How many jobs run at once on a server that responds to a start when the job is done. The
            default is 16.
        max_response_bytes: Larger responses are errors. The default is 256 MiB.
        user_agent: The ``User-Agent`` header. The server refuses those of crawlers.
        polls_per_second: The maximum of status requests per second for all awaited traces. The default is
            200.
        adaptive_polling: Learn how long jobs take that have a status of their own (traces, learning,
            aggregations, regenerations), and poll when a job is likely to be done. Off by default.
        store: Where jobs, batches and publishes are kept, so that they survive the process: the path of a
            file, which processes of one machine may share, or a ``postgresql://`` URL for several machines,
            which needs the extra ``cluster``. Without it they are lost with the process.
        store_retention: How long jobs are kept in the store after their end, in seconds or as a timedelta.
            The default is 7 days.
        tracing: Make spans and metrics, if OpenTelemetry's API is installed (the extra ``otel``) and a
            provider is set. True by default. See "Observing a client" in the documentation.
        clock: The clock to use. Tests pass a VirtualClock.
    """

    on_background_error: BackgroundErrorHook | None
    session: ClientSession | None
    proxy: str | None
    ssl: SSLContext | bool | None
    headers: Mapping[str, str]
    trust_env: bool
    connect_timeout: float
    max_connections: int
    cache_ttl: float
    drain_timeout: float
    concurrency: int
    max_response_bytes: int
    user_agent: str
    polls_per_second: float
    adaptive_polling: bool
    store: str | PathLike[str] | None
    store_retention: float | timedelta
    tracing: bool
    clock: Clock | None


_TYPES: tuple[tuple[str, type | UnionType, str], ...] = (
    ("retry", RetryPolicy, "a RetryPolicy"),
    ("proxy", str | None, "a URL as text"),
    ("ssl", SSLContext | bool | None, "an ssl.SSLContext, True or False"),
    ("headers", Mapping, "a mapping of names to texts"),
    ("trust_env", bool, "True or False"),
    ("raise_on_refusal", bool, "True or False"),
    ("adaptive_polling", bool, "True or False"),
    ("tracing", bool, "True or False"),
)


def check_names(
    options: Mapping[str, Any], known: frozenset[str], other_names: Mapping[str, str] | None = None
) -> None:
    """Raise ConfigurationError for the first of ``options`` whose name is not ``known``.

    ``other_names``: names that other clients have for an option of this one, for the hint.
    """
    for name in options:
        if name not in known:
            other_names = other_names or {}
            meant = other_names.get(name)
            # Some options are parameters of the client itself.
            names = {*known, *other_names.values(), "timeout"}
            hint = f"; did you mean {meant}?" if meant else did_you_mean(name, names)
            message = f"there is no option {name}{hint}"
            raise ConfigurationError(message)


def check_view_options(options: Mapping[str, Any], client: type) -> None:
    """Raise ConfigurationError for the first of ``options`` that a view of a ``client`` cannot have."""
    known = ViewOptions.__optional_keys__
    if options.keys() <= known:
        return
    of_client = {*ClientOptions.__optional_keys__, *inspect.signature(client).parameters} - known
    for name in options:
        if name in of_client:
            message = f"{name} belongs to the whole client: pass it to {client.__name__}(...)"
            raise ConfigurationError(message)
    check_names(options, known)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Settings:
    """The options of one client, checked and frozen. Durations are in seconds."""

    base_url: str
    timeout: float = 300.0
    poll_interval: float | None = None
    wait_timeout: float | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    outage_timeout: float = 60.0
    raise_on_refusal: bool = True
    session: ClientSession | None = None
    proxy: str | None = None
    ssl: SSLContext | bool | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    trust_env: bool = True
    connect_timeout: float = 10.0
    max_connections: int = 100
    cache_ttl: float = 600.0
    drain_timeout: float = 20.0
    concurrency: int = 16
    max_response_bytes: int = 256 * 1024 * 1024
    user_agent: str = DEFAULT_USER_AGENT
    on_request: RequestHook | None = None
    on_retry: RetryHook | None = None
    on_background_error: BackgroundErrorHook | None = None
    polls_per_second: float = 200.0
    adaptive_polling: bool = False
    store: str | PathLike[str] | None = None
    store_retention: float | timedelta = timedelta(days=7)
    tracing: bool = True
    clock: Clock | None = None

    def __post_init__(self) -> None:
        for name in ("timeout", "connect_timeout"):
            positive_seconds(name, getattr(self, name), error=ConfigurationError)
        for name in ("cache_ttl", "drain_timeout", "outage_timeout"):
            positive_seconds(name, getattr(self, name), zero=True, error=ConfigurationError)
        for name in ("poll_interval", "wait_timeout"):
            if getattr(self, name) is not None:
                positive_seconds(name, getattr(self, name), error=ConfigurationError)
        for name in ("max_connections", "concurrency", "max_response_bytes"):
            positive_count(name, getattr(self, name), error=ConfigurationError)
        positive_number("polls_per_second", self.polls_per_second)
        for name, expected, described in _TYPES:
            if not isinstance(getattr(self, name), expected):
                message = f"{name} must be {described}, not {type(getattr(self, name)).__name__}"
                raise ConfigurationError(message)
        for name in ("on_request", "on_retry", "on_background_error"):
            check_hook(name, getattr(self, name))
        check_user_agent(self.user_agent)
        check_headers(self.headers)
        check_session(self.session)
        check_store(self.store)
        positive_seconds("store_retention", self.retention_seconds, error=ConfigurationError)

    @property
    def has_workers(self) -> bool:
        """Whether the store is a database whose workers send what is in it. With a file, clients do."""
        return self.store is not None and "://" in fspath(self.store)

    @property
    def retention_seconds(self) -> float:
        """``store_retention`` in seconds."""
        kept = self.store_retention
        return kept.total_seconds() if isinstance(kept, timedelta) else kept

    def with_options(self, **changes: Any) -> Self:
        """Return a copy with other values. Raise ConfigurationError for an unusable one."""
        if "timeout" in changes:
            changes["timeout"] = seconds_of(changes["timeout"])
        return replace(self, **changes)
