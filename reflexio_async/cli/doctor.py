"""``doctor``: checks what a command or a program needs, and says what to fix."""

import json
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rich.text import Text

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK, SOME_FAILED
from reflexio_async.cli.errors import own_words
from reflexio_async.cli.options import ApiKey, Url
from reflexio_async.cli.results import Result
from reflexio_async.errors import (
    AuthenticationError,
    NotFound,
    PermissionDenied,
    RateLimited,
    ReflexioError,
)

if TYPE_CHECKING:
    from rich.console import Console

    from reflexio_async._engine.wire import RawResponse
    from reflexio_async.client import AsyncReflexioClient

State = Literal["ok", "warning", "problem"]
_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}
_TIMEOUT = 10.0  # seconds for one question
_CONNECT_TIMEOUT = 5.0  # seconds
_SKEW = 30.0  # seconds between two clocks that are a problem


class Check(NamedTuple):
    """What was found out about one thing.

    Attributes:
        name: The thing.
        state: Whether it is well. A warning is no reason for an exit code.
        detail: What was found.
        fix: What to do about it; empty: nothing.
    """

    name: str
    state: State
    detail: str
    fix: str = ""


def impatient(*, url: Url = "", api_key: ApiKey = "") -> "AsyncReflexioClient":
    """A client that tries once. Its parameters are options."""
    from reflexio_async import AsyncReflexioClient, RetryPolicy  # noqa: PLC0415  # slow to load

    return AsyncReflexioClient(
        api_key, url, _TIMEOUT, connect_timeout=_CONNECT_TIMEOUT, retry=RetryPolicy(max_attempts=1)
    )


async def doctor(client: "AsyncReflexioClient") -> Result:
    """Check address, certificate, proxy, version, clock, key and limits, and say what to fix.

    With REFLECT_API_URL it checks the Reflect server too.

    Exit code: 0 no problem, 1 a problem, 2 an address that is none.

    Example: `reflexio-async doctor --url https://reflexio.example`
    """
    checks = [_proxy(client.base_url)]
    health = await _reach(client, checks)
    if health is not None:
        checks += [_clock(health), await _answer("version", _version(client))]
        checks.append(await _answer("key", _key(client)))
        if checks[-1].state != "problem":
            checks.append(await _answer("learning", _learning(client)))
            checks.append(await _answer("limits", _limits(client)))
    if client._reflect_server.is_given:  # noqa: SLF001  # of our own package
        checks.append(await _reflect(client))
    problems = sum(check.state == "problem" for check in checks)

    def show(to: "Console") -> None:
        for check in checks:
            state = Text(f"{check.state:8}", _STYLES[check.state])
            text = output.one_line(f"{check.name}: {check.detail}")
            to.print(Text.assemble(state, " ", text), soft_wrap=True)
            if check.fix:
                to.print(Text(f"         → {output.one_line(check.fix)}"), soft_wrap=True)
        output.print_line(to, output.count(problems, "problem") if problems else "all is well")

    data = {"ok": not problems, "checks": [check._asdict() for check in checks]}
    return Result(data, show, SOME_FAILED if problems else OK)


def _proxy(url: str) -> Check:
    from reflexio_async._engine.proxy import proxy_for  # noqa: PLC0415  # slow to load

    proxy = proxy_for(url, None, trust_env=True)
    return Check("proxy", "ok", "none" if proxy is None else f"{proxy.name}, of the environment")


async def _reach(client: "AsyncReflexioClient", checks: list[Check]) -> "RawResponse | None":
    """Check address and certificate. The answer, if it is that of a Reflexio server."""
    url = client.base_url
    began = time.perf_counter()
    try:
        health = await _get(client, "/health")
        took = time.perf_counter() - began
        checks.append(_certificate(url))
        fault = _fault(url, health) or await _other_service(client)
    except ReflexioError as error:
        detail = own_words(str(error)).removeprefix("GET /health: ")
        name = "certificate" if "the certificate of" in detail else "address"
        checks.append(Check(name, "problem", detail, await _fix_connection(url, detail)))
        return None
    if fault is not None:
        checks.append(fault)
        return None
    checks.append(Check("address", "ok", f"{url} answers in {took * 1000:.0f} ms"))
    return health


async def _get(client: "AsyncReflexioClient", path: str) -> "RawResponse":
    """One answer as it comes, whatever its status. It is asked without a key."""
    from reflexio_async._engine.wire import EncodedRequest  # noqa: PLC0415  # slow to load

    http = client._engine.caller.http  # noqa: SLF001  # of our own package
    return await http.send(
        EncodedRequest("GET", path, path, None, None), authorization=None, timeout=_TIMEOUT
    )


def _json(answer: "RawResponse") -> dict[str, Any]:
    try:
        value = json.loads(answer.body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _certificate(url: str) -> Check:
    from reflexio_async._engine.proxy import is_this_machine  # noqa: PLC0415  # slow to load

    if url.lower().startswith("https:"):
        return Check("certificate", "ok", "valid")
    if is_this_machine(url):
        return Check("certificate", "ok", "none is needed on this machine")
    fix = "use https://, if the server has it"
    return Check("certificate", "warning", "none: http:// sends your key and all texts in clear", fix)


def _fault(url: str, health: "RawResponse") -> Check | None:
    """Why what has answered is no server of ours; None: it may be one."""
    if health.status == 200 and "status" in _json(health):
        return None
    fix = "correct host, port and path in --url or REFLEXIO_API_URL; is it the API, not a website?"
    what = f"{url} answers {health.status}, not as a Reflexio server does"
    if 300 <= health.status < 400:
        place = output.one_line(health.headers.get("Location", "")).removesuffix("/health")
        what, fix = f"{url} redirects to {place or 'nowhere'}", f"use {place}" if place else fix
    elif health.status >= 500:
        fix = "what is in front of the server does not reach it, or it is overloaded: look at its log"
    return Check("address", "problem", what, fix)


async def _other_service(client: "AsyncReflexioClient") -> Check | None:
    """Why a server that says it is healthy is none of Reflexio; None: it is one."""
    if (await _get(client, "/meta/version")).status == 200:
        return None
    if _json(await _get(client, "/")).get("service") == "Reflexio API":
        return None  # one of January 2026
    fix = "the address of a Reflect server belongs in REFLECT_API_URL, not in --url or REFLEXIO_API_URL"
    return Check("address", "problem", f"{client.base_url} is a server, but not of Reflexio", fix)


async def _fix_connection(url: str, detail: str) -> str:
    """What to do about a server that cannot be reached."""
    if "the certificate of" in detail:
        return (
            "for a CA of your own, set SSL_CERT_FILE to the file of its certificate; else use the host name "
            "that the certificate is for, or have it renewed"
        )
    from reflexio_async._engine.proxy import is_this_machine  # noqa: PLC0415  # slow to load
    from reflexio_async.reflexio.service import DEFAULT_URL  # noqa: PLC0415  # slow to load

    scheme, _, rest = url.partition("://")
    other = f"{'http' if scheme.lower() == 'https' else 'https'}://{rest}"
    async with impatient(url=other) as client:
        try:
            await _get(client, "/health")
        except ReflexioError as error:
            speaks = "the certificate of" in str(error)
        else:
            speaks = True
    if speaks:
        return f"use {other}"
    fix = "start the server, or correct host and port in --url or REFLEXIO_API_URL"
    if url.rstrip("/") == DEFAULT_URL.rstrip("/"):
        return f"{fix}; this is the hosted service, which is asked when neither is set"
    if is_this_machine(url):
        return f"{fix}; reflexio-async sandbox starts a server to try things with"
    return f"{fix}; is a firewall or a VPN in between?"


def _clock(health: "RawResponse") -> Check:
    from reflexio_async._engine.retry import server_time  # noqa: PLC0415  # slow to load

    now = time.time()
    if "Date" not in health.headers:
        return Check("clock", "ok", "the server does not tell its time")
    ahead = now - server_time(health.headers, now)
    if abs(ahead) <= _SKEW:
        return Check("clock", "ok", "agrees with the server's")
    direction = "ahead of" if ahead > 0 else "behind"
    text = f"this machine's clock is {output.duration(abs(ahead))} {direction} the server's"
    fix = "synchronise both with NTP (timedatectl set-ntp true), or times and filters by time are wrong"
    return Check("clock", "problem", text, fix)


async def _answer(name: str, asked: Coroutine[Any, Any, Check]) -> Check:
    """What a question to the server has found out."""
    try:
        return await asked
    except NotFound:
        return Check(name, "warning", "not known: the server has no such call; is it one of January 2026?")
    except RateLimited as error:
        fix = "another client with your address uses up the limit: wait a minute"
        return Check(name, "problem", own_words(str(error)), fix)
    except ReflexioError as error:
        return Check(name, "problem", own_words(str(error)))


async def _version(client: "AsyncReflexioClient") -> Check:
    version = await client.get_version()
    return Check("version", "ok", f"server {version.server_version}, API {version.api_version or 'unknown'}")


async def _key(client: "AsyncReflexioClient") -> Check:
    has_key = client._engine.caller.credentials.header is not None  # noqa: SLF001  # of our own package
    try:
        answer = await client.whoami()
    except AuthenticationError:
        if has_key:
            fix = "make a new key; or is this the key of another server?"
            return Check("key", "problem", "the server refuses it", fix)
        fix = "set REFLEXIO_API_KEY, or pass --api-key"
        return Check("key", "problem", "there is none, and the server wants one", fix)
    text = f"organisation {answer.org_id}"
    if not answer.storage_configured:
        fix = "configure its storage: reflexio-async config set"
        return Check("key", "warning", f"{text}, which has no storage", fix)
    return Check("key", "ok", text if has_key else f"none is needed; {text}")


async def _learning(client: "AsyncReflexioClient") -> Check:
    stall = await client.get_stall_state()
    if not stall.stalled:
        return Check("learning", "ok", "has not stopped")
    until = f", perhaps until {stall.reset_estimate:%Y-%m-%d %H:%M}" if stall.reset_estimate else ""
    reason = stall.error_message or stall.reason or "no reason is given"
    fix = "look at the server's language model: its key, its quota, its bill"
    return Check("learning", "problem", f"has stopped{until}: {reason}", fix)


async def _limits(client: "AsyncReflexioClient") -> Check:
    operation = (await client.get_operation_status(service_name="profile_generation")).operation_status
    text = "not reached; a server takes 5 reruns and 60 publishes a minute"
    if operation is not None and operation.status == "in_progress":
        text += "; a rerun is under way, and others wait for it"
    return Check("limits", "ok", text)


async def _reflect(client: "AsyncReflexioClient") -> Check:
    reflect = client.reflect
    try:
        await reflect.health()
        await reflect.get_skill()
    except AuthenticationError:
        fix = "set REFLECT_API_KEY to a key of this server"
        return Check("reflect", "problem", f"{reflect.base_url} refuses the key", fix)
    except PermissionDenied as error:
        fix = "REFLECT_PROJECT_ID must be the project of the key"
        return Check("reflect", "problem", own_words(str(error)), fix)
    except ReflexioError as error:
        fix = "start it, or correct REFLECT_API_URL"
        return Check("reflect", "problem", own_words(str(error)), fix)
    return Check("reflect", "ok", f"{reflect.base_url} answers, and takes the key")
