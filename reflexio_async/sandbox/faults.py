"""Scripted faults: what goes wrong, for which requests, and how often.

    box.faults.add(faults.answer_lost(), method="POST", path="/api/publish_interaction")
    box.faults.add(faults.delay(30), path="/api/get_operation_status", times=None, after=2)
    box.faults.add(faults.internal_error(), times=None, chance=0.1, seed=7, user="ana")

``Faults.from_toml`` reads a script from text. The functions of this module make actions: what a fault does to
a request. "Effect" means what the request does to the sandbox's state.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from reflexio_async.sandbox.fault_config import action
from reflexio_async.sandbox.fault_script import Action
from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import Disconnect, Response
from reflexio_async.sandbox.http.responses import internal_error as crash
from reflexio_async.sandbox.reflexio.overload import Overload
from reflexio_async.sandbox.reflexio.overload import no_capacity as no_capacity_response


@dataclass(frozen=True, slots=True)
class _Delay:
    seconds: float
    before: bool

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:
        if self.before:
            await context.wait(self.seconds)
            return await serve()
        response = await serve()
        await context.wait(self.seconds)
        return response


@dataclass(frozen=True, slots=True)
class _Freeze:
    effect: bool

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:
        if self.effect:
            await serve()
        await context.wait(None)
        message = "a frozen request ends only when the sandbox closes"
        raise AssertionError(message)


@dataclass(frozen=True, slots=True)
class _Replace:
    """Answers with ``response`` instead of the true one."""

    response: Response
    effect: bool

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:  # noqa: ARG002
        if self.effect:
            await serve()
        return self.response


@dataclass(frozen=True, slots=True)
class _Damage:
    """Answers with the true response, with ``changes`` of its fields."""

    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    halved: bool = False

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:  # noqa: ARG002
        response = await serve()
        if self.halved:
            encoded = response.encoded()
            response = replace(response, body=encoded[: len(encoded) // 2].decode(errors="ignore"))
        return replace(response, **self.changes)


@dataclass(frozen=True, slots=True)
class _Restart:
    keep_data: bool
    effect: bool

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:
        if self.effect:
            await serve()
        context.control.restart_soon(keep_data=self.keep_data)
        return _NO_RESPONSE


@dataclass(frozen=True, slots=True)
class _Skew:
    seconds: float

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:
        context.control.skew(self.seconds)
        return await serve()


_NO_RESPONSE: Final = Response("", disconnect=Disconnect.BEFORE_HEADERS)


@action(seconds="a number", after_effect="true or false")
def delay(seconds: float, *, after_effect: bool = False) -> Action:
    """Answer truthfully, but ``seconds`` of the clock later."""
    return _Delay(seconds, before=not after_effect)


@action(seconds="a number")
def overwork(seconds: float) -> Action:
    """Work on the request for ``seconds`` of the clock, as a server with too much to do.

    Eight searches and four publishes run at once. Others wait: a search for two seconds (then 429 with
    ``Retry-After``), a publish for 240 (then 503, nothing stored). Work past its deadline is answered with
    504 and is still done, but a publish is not stored. Deadlines are 5 s for a search, 240 s for a publish,
    600 s for slow routes and for those asked to wait, else 60 s.
    """
    return Overload(seconds)


@action(after_effect="true or false")
def freeze(*, after_effect: bool = False) -> Action:
    """Accept the request and never answer."""
    return _Freeze(after_effect)


@action()
def lost_before() -> Action:
    """Close the connection instead of answering. The request has no effect."""
    return _Replace(_NO_RESPONSE, effect=False)


@action()
def answer_lost() -> Action:
    """Let the request have its effect, then close the connection instead of answering."""
    return _Damage({"disconnect": Disconnect.BEFORE_HEADERS})


@action()
def cut_off() -> Action:
    """Let the request have its effect, then close the connection half-way through the body."""
    return _Damage({"disconnect": Disconnect.DURING_BODY})


@action()
def broken_json() -> Action:
    """Let the request have its effect, then answer with the first half of the JSON as the whole body."""
    return _Damage(halved=True)


@action()
def dropped_after() -> Action:
    """Answer truthfully, then close the connection without having announced it."""
    return _Damage({"disconnect": Disconnect.AFTER_BODY})


@action(seconds="a number")
def slow_body(seconds: float) -> Action:
    """Send the status at once, and the body in pieces over ``seconds`` of the clock."""
    return _Damage({"seconds": seconds})


@action(content_type="a media type")
def wrong_type(content_type: str = "text/plain; charset=utf-8") -> Action:
    """Send the true body under another Content-Type than JSON."""
    return _Damage({"content_type": content_type})


@action(keep_data="true or false", after_effect="true or false")
def restart(*, keep_data: bool = True, after_effect: bool = False) -> Action:
    """Kill the sandbox during the request, and start it again with or without its data."""
    return _Restart(keep_data, after_effect)


@action(seconds="any number")
def skew(seconds: float) -> Action:
    """Set the sandbox's wall clock ahead by ``seconds`` from now on (behind, when negative)."""
    return _Skew(seconds)


@action(code="a status code", body="anything", headers="a table", after_effect="true or false")
def status(
    code: int, body: Any = None, *, headers: Mapping[str, str] | None = None, after_effect: bool = False
) -> Action:
    """Answer with this status.

    Args:
        code: The status.
        body: The JSON body; by default an object with a ``detail``.
        headers: Headers of the response. They may name another ``Content-Type``.
        after_effect: Whether the request has its effect.
    """
    shown = {"detail": f"scripted {code}"} if body is None else body
    if isinstance(shown, str):
        # The text of a response is sent as it is.
        shown = json.dumps(shown, ensure_ascii=False)
    lowered = {name.lower(): value for name, value in (headers or {}).items()}
    content_type = lowered.pop("content-type", "application/json")
    return _Replace(Response(shown, code, lowered, content_type), after_effect)


@action(after_effect="true or false")
def internal_error(*, after_effect: bool = False) -> Action:
    """Answer 500 in plain text and close the connection (server-behaviour: Connections)."""
    return _Replace(crash(), after_effect)


@action(per_minute="a whole number")
def rate_limited(per_minute: int = 5) -> Action:
    """Answer 429 as a rate limit does: without ``Retry-After`` (server-behaviour: Rate limits)."""
    return status(429, {"error": f"Rate limit exceeded: {per_minute} per 1 minute"})


@action(retry_after="a whole number")
def crowded(retry_after: int = 2) -> Action:
    """Answer 429 as the concurrency limit does: with ``Retry-After`` in seconds."""
    detail = {"detail": "search concurrency limit reached"}
    return status(429, detail, headers={"Retry-After": str(retry_after)})


@action(request_id="text")
def no_capacity(request_id: str = "") -> Action:
    """Answer 503 as a publish that was not admitted (server-behaviour: Deadlines)."""
    return _Replace(no_capacity_response(request_id), effect=False)


@action(text="text", field_name="text")
def refused(text: str = "database is locked", *, field_name: str = "message") -> Action:
    """Answer 200 with ``success: false``. Some routes have ``msg`` instead of ``message``."""
    return status(200, {"success": False, field_name: text})


@action(code="a status code")
def html(code: int = 200) -> Action:
    """Answer with a web page, as a proxy or the wrong host does."""
    page = "<!doctype html><html><head><title>Welcome</title></head><body>Welcome</body></html>"
    return _Replace(Response(page, code, content_type="text/html; charset=utf-8"), effect=False)
