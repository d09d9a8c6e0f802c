"""What a client is set to, checked once and frozen."""

from __future__ import annotations

import inspect
import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from reflexio_async._version import __version__
from reflexio_async.errors import ConfigurationError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async._engine.events import BackgroundErrorHook, RequestHook, RetryHook

DEFAULT_URL = "https://www.reflexio.ai/"
DEFAULT_REFLECT_URL = "http://localhost:8000"
DEFAULT_PROJECT = "default"
DEFAULT_USER_AGENT = f"reflexio-async/{__version__}"

_LONGEST = 1e12  # seconds; also what makes NaN, infinity and absurd integers one case

# The server answers 403 to a User-Agent that contains one of these, wherever it stands in it.
_REFUSED_IN_USER_AGENT = ("bot", "crawler", "spider", "scraper", "curl", "wget")


class Unset:
    """The type of ``UNSET``: an argument that was not given, where None means something."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()


class Secret:
    """A text that never shows itself; ``reveal()`` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "Secret('***')" if self._text else "Secret('')"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a call that may be repeated is repeated.

    ``max_attempts`` counts the first try; waits grow exponentially from ``base_delay`` to ``max_delay``
    seconds with full jitter, and never beyond the call's own timeout.
    """

    max_attempts: int = 5
    base_delay: float = 0.2
    max_delay: float = 10.0

    def __post_init__(self) -> None:
        if (
            isinstance(self.max_attempts, bool)
            or not isinstance(self.max_attempts, int)
            or self.max_attempts < 1
        ):
            message = (
                f"RetryPolicy.max_attempts must be a whole number of at least 1, not {self.max_attempts!r}"
            )
            raise ConfigurationError(message)
        for name in ("base_delay", "max_delay"):
            positive_seconds(f"RetryPolicy.{name}", getattr(self, name), error=ConfigurationError)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a client was told; durations are seconds.

    ``project_id`` and ``polls_per_second`` are for Reflect only.
    """

    base_url: str
    timeout: float = 300.0
    poll_interval: float | None = None
    wait_timeout: float | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    raise_on_refusal: bool = True
    max_connections: int = 100
    cache_ttl: float = 600.0
    drain_timeout: float = 30.0
    concurrency: int = 16
    max_response_bytes: int = 256 * 1024 * 1024
    user_agent: str = DEFAULT_USER_AGENT
    on_request: RequestHook | None = None
    on_retry: RetryHook | None = None
    on_background_error: BackgroundErrorHook | None = None
    project_id: str = DEFAULT_PROJECT
    polls_per_second: float = 200.0
    adaptive_polling: bool = False

    def __post_init__(self) -> None:
        positive_seconds("timeout", self.timeout, error=ConfigurationError)
        positive_seconds("cache_ttl", self.cache_ttl, zero=True, error=ConfigurationError)
        positive_seconds("drain_timeout", self.drain_timeout, zero=True, error=ConfigurationError)
        for name in ("poll_interval", "wait_timeout"):
            if getattr(self, name) is not None:
                positive_seconds(name, getattr(self, name), error=ConfigurationError)
        for name in ("max_connections", "concurrency", "max_response_bytes"):
            positive_count(name, getattr(self, name), error=ConfigurationError)
        check_user_agent(self.user_agent)
        if not isinstance(self.retry, RetryPolicy):
            message = f"retry must be a RetryPolicy, not {type(self.retry).__name__}"
            raise ConfigurationError(message)
        for name in ("raise_on_refusal", "adaptive_polling"):
            if not isinstance(getattr(self, name), bool):
                message = f"{name} must be True or False, not {getattr(self, name)!r}"
                raise ConfigurationError(message)
        check_project(self.project_id)
        positive_number("polls_per_second", self.polls_per_second)
        for name in ("on_request", "on_retry", "on_background_error"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                message = f"{name} must be callable, not {type(getattr(self, name)).__name__}"
                raise ConfigurationError(message)
            if inspect.iscoroutinefunction(getattr(self, name)):
                message = f"{name} must be an ordinary function; nobody would await a coroutine"
                raise ConfigurationError(message)

    def with_options(self, **changes: Any) -> Self:
        """A copy with other values; what is UNSET stays."""
        return replace(self, **{name: value for name, value in changes.items() if value is not UNSET})


def base_url_from(url_endpoint: str, environment: Mapping[str, str] | None = None) -> str:
    """The API's address without a trailing slash: the argument, the environment, or the hosted service."""
    environment = os.environ if environment is None else environment
    return _first_url(
        ("url_endpoint", url_endpoint),
        ("REFLEXIO_API_URL", environment.get("REFLEXIO_API_URL", "")),
        ("REFLEXIO_URL", environment.get("REFLEXIO_URL", "")),
        ("default", DEFAULT_URL),
    )


def api_key_from(api_key: str, environment: Mapping[str, str] | None = None) -> Secret:
    """The bearer token given, else ``REFLEXIO_API_KEY``, else none."""
    environment = os.environ if environment is None else environment
    return _key("api_key", api_key, environment.get("REFLEXIO_API_KEY", ""), url="url_endpoint")


@dataclass(frozen=True, slots=True)
class ReflectTarget:
    """Which Reflect server and project, and with which key."""

    base_url: str
    api_key: Secret
    project_id: str


def reflect_target(
    base_url: str,
    api_key: str,
    project_id: str | None,
    environment: Mapping[str, str] | None = None,
    *,
    prefix: str = "",
) -> ReflectTarget:
    """The arguments, else ``REFLECT_API_URL``, ``REFLECT_API_KEY`` and ``REFLECT_PROJECT_ID``.

    ``prefix`` is what the first two arguments' names begin with where they were given.
    """
    environment = os.environ if environment is None else environment
    url_name, key_name = f"{prefix}url" if prefix else "base_url", f"{prefix}api_key"
    url = _first_url(
        (url_name, base_url),
        ("REFLECT_API_URL", environment.get("REFLECT_API_URL", "")),
        ("default", DEFAULT_REFLECT_URL),
    )
    key = _key(key_name, api_key, environment.get("REFLECT_API_KEY", ""), url=url_name)
    if project_id is None:
        project_id = environment.get("REFLECT_PROJECT_ID", "").strip() or DEFAULT_PROJECT
    return ReflectTarget(url, key, check_project(project_id))


def check_project(project_id: str) -> str:
    """``project_id`` if it can stand in a path, or a ConfigurationError."""
    if not isinstance(project_id, str) or not project_id.strip() or project_id in (".", ".."):
        message = f"project_id must be the id of a project, not {project_id!r:.40}"
        raise ConfigurationError(message)
    return project_id


def _first_url(*candidates: tuple[str, str]) -> str:
    for name, value in candidates:
        if not isinstance(value, str):
            message = f"{name} must be a URL as text, not {type(value).__name__}"
            raise ConfigurationError(message)
        if value.strip():
            return check_url(name, value.strip())
    raise AssertionError  # pragma: no cover  # the default is never blank


def _key(name: str, given: str, in_environment: str, *, url: str) -> Secret:
    if not isinstance(given, str):
        message = f"{name} must be text, not {type(given).__name__}"
        raise ConfigurationError(message)
    key = given.strip() or in_environment.strip()
    if "://" in key:
        message = f"{name} looks like a URL; did you mean {url}=…?"
        raise ConfigurationError(message)
    if not key.isascii() or not key.isprintable():
        message = f"{name} must be printable ASCII (is there a line break or a pasted quote in it?)"
        raise ConfigurationError(message)
    return Secret(key)


def check_url(name: str, value: str) -> str:
    """``value`` without its trailing slash, or a ConfigurationError that says what is wrong with it."""
    shown = re.sub(r"[?#].*", "?***", re.sub(r"//.*@", "//***@", value))
    try:
        parts = urlsplit(value)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        message = f"{name} {shown!r} has no usable host and port"
        raise ConfigurationError(message) from None
    if "@" in value:
        message = f"{name} {shown!r} must not hold credentials; pass api_key instead"
    elif parts.scheme not in ("http", "https"):
        message = f"{name} {shown!r} must start with http:// or https://"
    elif not parts.hostname or not port_is_valid or not re.fullmatch(r"[!-\[\]-~]+", value):
        message = f"{name} {shown!r} has no usable host and port"
    elif parts.query or parts.fragment:
        message = f"{name} {shown!r} must not have a query or a fragment"
    else:
        return value.rstrip("/")
    raise ConfigurationError(message)


def check_user_agent(value: str) -> str:
    """``value``, or a ConfigurationError when the server would refuse it."""
    if not isinstance(value, str) or not value.strip() or not value.isascii() or not value.isprintable():
        message = "user_agent must be one line of printable ASCII text"
        raise ConfigurationError(message)
    for word in _REFUSED_IN_USER_AGENT:
        if word in value.lower():
            message = f"user_agent {value!r} contains {word!r}, which the server answers with 403"
            raise ConfigurationError(message)
    return value


def positive_seconds(
    name: str,
    value: float,
    *,
    zero: bool = False,
    error: type[ConfigurationError | InvalidRequest] = InvalidRequest,
) -> float:
    """``value`` as a finite, positive (or zero) number of seconds, or an error that names it."""
    expected = "zero or more" if zero else "more than zero"
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LONGEST:
        message = f"{name} must be a finite number of seconds, not {value!r:.40}"
        raise error(message)
    if value < 0 or (value == 0 and not zero):
        message = f"{name} must be {expected} seconds, not {value!r}"
        raise error(message)
    return float(value)


def positive_number(name: str, value: float) -> float:
    """``value`` as a finite number of more than zero, or a ConfigurationError that names it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST:
        message = f"{name} must be a finite number of more than zero, not {value!r:.40}"
        raise ConfigurationError(message)
    return float(value)


def positive_count(
    name: str, value: int, *, error: type[ConfigurationError | InvalidRequest] = InvalidRequest
) -> int:
    """``value`` as a whole number of at least one, or an error that names it."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        message = f"{name} must be a whole number of at least 1, not {value!r}"
        raise error(message)
    return value
