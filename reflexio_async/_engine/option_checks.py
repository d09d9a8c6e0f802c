"""Checks of options and arguments. Each message names what is wrong and what was expected."""

from __future__ import annotations

import inspect
import re
from os import PathLike, fspath
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from pydantic import SecretStr

from reflexio_async.errors import ConfigurationError, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_NUMBER = 1e12  # one comparison with it excludes NaN, infinity and absurdly large integers

# Headers that the client sends, or that would change what its messages mean.
_OWN_HEADERS = ("accept-encoding", "authorization", "host", "proxy-authorization", "transfer-encoding")

# The server refuses a User-Agent that contains one of these (server-behaviour: User agents).
_REFUSED_IN_USER_AGENT = ("bot", "crawler", "spider", "scraper", "curl", "wget")


def first_url(*candidates: tuple[str, str]) -> str:
    """Return the first URL of ``candidates`` (name, value) that is not blank, without a trailing slash.

    Raises:
        ConfigurationError: It is no usable URL. The message has its name.
    """
    for name, value in candidates:
        if not isinstance(value, str):
            message = f"{name} must be a URL as text, not {type(value).__name__}"
            raise ConfigurationError(message)
        if value.strip():
            return check_url(name, value.strip())
    raise AssertionError  # pragma: no cover  # the default is never blank


def secret_key(name: str, given: str, in_environment: str, *, url_name: str) -> SecretStr:
    """Return the key ``given``, else the one ``in_environment``, else an empty secret.

    Raises:
        ConfigurationError: It is no key. If it is a URL, the message names the option for it, ``url_name``.
    """
    if not isinstance(given, str):
        message = f"{name} must be text, not {type(given).__name__}"
        raise ConfigurationError(message)
    key = given.strip() or in_environment.strip()
    if "://" in key:
        message = f"{name} looks like a URL; did you mean {url_name}=…?"
        raise ConfigurationError(message)
    if not key.isascii() or not key.isprintable():
        message = f"{name} must be printable ASCII (is there a line break or a pasted quote in it?)"
        raise ConfigurationError(message)
    return SecretStr(key)


def check_url(name: str, value: str) -> str:
    """Return ``value`` without a trailing slash. Raise ConfigurationError when it is no usable URL."""
    # Credentials are hidden with and without a scheme in front of them.
    shown = re.sub(r"(?s)^([a-z][a-z0-9+.-]*://)?.*@", r"\1***@", value, flags=re.IGNORECASE)
    shown = re.sub(r"(?s)[?#].*", "?***", shown)
    try:
        parts = urlsplit(value)
        port_is_valid = parts.port is None or parts.port > 0
        (parts.hostname or "").encode("idna")  # a name with a part that is empty or too long has no address
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


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ConfigurationError for a header that is the client's own, or that cannot be sent."""
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            message = f"headers must be a mapping of names to texts; {name!r:.40} is not"
            raise ConfigurationError(message)
        if name.lower() in _OWN_HEADERS or name.lower().startswith("content-"):
            message = f"headers must not set {name}; the client does"
            raise ConfigurationError(message)
        if name.lower() == "user-agent":
            check_user_agent(value)
        if (
            not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)
            or not value.isascii()
            or not value.isprintable()
        ):
            message = f"headers: {name!r:.40} must be a name and one line of printable ASCII text"
            raise ConfigurationError(message)


def check_hook(name: str, hook: object) -> None:
    """Raise ConfigurationError unless ``hook`` is an ordinary function or None."""
    if hook is not None and not callable(hook):
        message = f"{name} must be callable, not {type(hook).__name__}"
        raise ConfigurationError(message)
    if is_asynchronous(hook):
        message = f"{name} must be an ordinary function; a coroutine function would never be awaited"
        raise ConfigurationError(message)


def is_asynchronous(function: object) -> bool:
    """Whether a call of ``function`` does nothing until the result is awaited or iterated."""
    candidates = (function, getattr(function, "__call__", None))  # noqa: B004  # of an object with such a method
    return any(map(inspect.iscoroutinefunction, candidates)) or any(
        map(inspect.isasyncgenfunction, candidates)
    )


def check_session(session: object) -> None:
    """Raise ConfigurationError unless ``session`` is like an aiohttp.ClientSession, or None."""
    if session is not None and not (
        callable(getattr(session, "request", None)) and isinstance(getattr(session, "closed", None), bool)
    ):
        message = f"session must be an aiohttp.ClientSession, not {type(session).__name__}"
        raise ConfigurationError(message)


def check_store(store: object) -> None:
    """Raise ConfigurationError unless ``store`` is None or text that may name a file or a database."""
    if store is None:
        return
    if not isinstance(store, str | PathLike):
        message = f"store must be a path or a postgresql:// URL, not {type(store).__name__}"
        raise ConfigurationError(message)
    place: object = fspath(cast("str", store))  # pathlib allows bytes too
    if not isinstance(place, str) or not place.strip() or not place.isprintable():
        message = "store must be a path as text, or a postgresql:// URL, and must not be empty"
        raise ConfigurationError(message)
    if place == ":memory:":
        message = "store=':memory:' would keep nothing; leave store out"
        raise ConfigurationError(message)


def check_user_agent(value: str) -> str:
    """Return ``value``. Raise ConfigurationError when the server would refuse it."""
    if not isinstance(value, str) or not value.strip() or not value.isascii() or not value.isprintable():
        message = "user_agent must be one line of printable ASCII text"
        raise ConfigurationError(message)
    for word in _REFUSED_IN_USER_AGENT:
        if word in value.lower():
            message = f"user_agent {value!r} contains {word!r}, and the server refuses that with 403"
            raise ConfigurationError(message)
    return value


def positive_seconds(
    name: str,
    value: float,
    *,
    zero: bool = False,
    error: type[ConfigurationError | InvalidRequest] = InvalidRequest,
) -> float:
    """Return ``value`` as a float. Raise ``error`` unless it is a finite number of seconds above zero.

    Args:
        name: What the message begins with; empty: the message of a field, whose name is added later.
        value: The seconds.
        zero: Whether zero is allowed too.
        error: The class of the error.
    """
    must = f"{name} must" if name else "must"
    expected = "zero or more" if zero else "more than zero"
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MAX_NUMBER:
        message = f"{must} be a finite number of seconds, not {value!r:.40}"
        raise error(message)
    if value < 0 or (value == 0 and not zero):
        message = f"{must} be {expected} seconds, not {value!r}"
        raise error(message)
    return float(value)


def positive_number(name: str, value: float) -> float:
    """Return ``value`` as a float. Raise ConfigurationError unless it is a finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MAX_NUMBER:
        message = f"{name} must be a finite number of more than zero, not {value!r:.40}"
        raise ConfigurationError(message)
    return float(value)


def positive_count(
    name: str, value: int, *, error: type[ConfigurationError | InvalidRequest] = InvalidRequest
) -> int:
    """Return ``value``. Raise ``error`` unless it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        message = f"{name} must be a whole number of at least 1, not {value!r}"
        raise error(message)
    return value


def true_or_false(name: str, value: object) -> None:
    """Raise InvalidRequest unless ``value`` is a bool: ``"no"`` and ``"false"`` would count as True."""
    if not isinstance(value, bool):
        message = f"{name} must be True or False, not {value!r:.40}"
        raise InvalidRequest(message)
