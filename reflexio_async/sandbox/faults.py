"""Scripted misfortune: what goes wrong, where, and how often.

    box.faults.add(faults.answer_lost(), method="POST", path="/api/publish_interaction")
    box.faults.add(faults.delay(30), path="/api/get_operation_status", times=None, after=2)

"Effect" means what the request does to the sandbox's state.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from reflexio_async.sandbox.answers import Ending, Reply
from reflexio_async.sandbox.answers import internal_error as crash

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from reflexio_async.sandbox.calls import Call, Record


class Action(Protocol):
    """What goes wrong; ``serve`` lets the request have its effect and gives the honest reply."""

    async def play(self, call: Call, serve: Callable[[], Awaitable[Reply]]) -> Reply:
        """Go wrong."""
        ...


@dataclass(frozen=True, slots=True)
class _Delay:
    seconds: float
    before: bool

    async def play(self, call: Call, serve: Callable[[], Awaitable[Reply]]) -> Reply:
        if self.before:
            await call.wait(self.seconds)
            return await serve()
        reply = await serve()
        await call.wait(self.seconds)
        return reply


@dataclass(frozen=True, slots=True)
class _Freeze:
    effect: bool

    async def play(self, call: Call, serve: Callable[[], Awaitable[Reply]]) -> Reply:
        if self.effect:
            await serve()
        await call.wait(None)
        message = "a frozen request ends only when the sandbox closes"
        raise AssertionError(message)


@dataclass(frozen=True, slots=True)
class _Instead:
    reply: Reply
    effect: bool

    async def play(self, call: Call, serve: Callable[[], Awaitable[Reply]]) -> Reply:  # noqa: ARG002
        if self.effect:
            await serve()
        return self.reply


@dataclass(frozen=True, slots=True)
class _Spoilt:
    ending: Ending = Ending.KEEP
    halved: bool = False

    async def play(self, call: Call, serve: Callable[[], Awaitable[Reply]]) -> Reply:  # noqa: ARG002
        reply = await serve()
        if self.halved:
            encoded = reply.encoded()
            reply = replace(reply, body=encoded[: len(encoded) // 2].decode(errors="ignore"))
        return replace(reply, ending=self.ending)


def delay(seconds: float, *, after_effect: bool = False) -> Action:
    """Answer honestly, but late, by the clock."""
    return _Delay(seconds, before=not after_effect)


def freeze(*, after_effect: bool = False) -> Action:
    """Accept the request and never answer."""
    return _Freeze(after_effect)


def lost_before() -> Action:
    """Close the connection instead of answering; nothing happened."""
    return _Instead(Reply("", ending=Ending.LOSE), effect=False)


def answer_lost() -> Action:
    """Do it, then close the connection instead of answering."""
    return _Spoilt(Ending.LOSE)


def cut_off() -> Action:
    """Do it, then close the connection half-way through the body."""
    return _Spoilt(Ending.CUT)


def broken_json() -> Action:
    """Do it, then answer with half of the JSON, as if it were all."""
    return _Spoilt(halved=True)


def dropped_after() -> Action:
    """Do it and answer, then close the connection without having said so."""
    return _Spoilt(Ending.DROP)


def status(
    code: int, body: Any = None, *, headers: Mapping[str, str] | None = None, after_effect: bool = False
) -> Action:
    """Answer with this status; ``body`` is JSON, by default a ``detail``."""
    shown = {"detail": f"scripted {code}"} if body is None else body
    return _Instead(Reply(shown, code, headers or {}), after_effect)


def internal_error(*, after_effect: bool = False) -> Action:
    """500 in plain text, and the connection dropped without a word, as uvicorn does."""
    return _Instead(crash(), after_effect)


def rate_limited(per_minute: int = 5) -> Action:
    """429 as the quota words it: no ``Retry-After``."""
    return status(429, {"error": f"Rate limit exceeded: {per_minute} per 1 minute"})


def crowded(retry_after: int = 2) -> Action:
    """429 as the concurrency limit words it: with ``Retry-After``, in seconds."""
    detail = {"detail": "search concurrency limit reached"}
    return status(429, detail, headers={"Retry-After": str(retry_after)})


def no_capacity(request_id: str = "") -> Action:
    """503 by which publish says that nothing was admitted."""
    reason = {
        "reason": "capacity_deadline_exceeded",
        "request_id": request_id,
        "message": "No publish capacity became available before the deadline; nothing was stored.",
    }
    return status(503, {"detail": reason})


def refused(text: str = "database is locked", *, field_name: str = "message") -> Action:
    """200 with ``success: false`` and nothing done; some routes say ``msg`` instead of ``message``."""
    return status(200, {"success": False, field_name: text})


def html(code: int = 200) -> Action:
    """A web page, as from a proxy or the wrong host."""
    page = "<!doctype html><html><head><title>Welcome</title></head><body>Welcome</body></html>"
    return _Instead(Reply(page, code, content_type="text/html; charset=utf-8"), effect=False)


@dataclass(slots=True)
class Fault:
    """An action and when it strikes; ``hits`` counts how often it has."""

    action: Action
    method: str | None = None
    path: str | None = None
    times: int | None = 1
    after: int = 0
    where: Callable[[Record], bool] | None = None
    hits: int = 0

    def strikes(self, record: Record) -> bool:
        """Whether it is this request's turn; counts."""
        if self.times is not None and self.hits >= self.times:
            return False
        if self.method not in (None, record.method) or self.path not in (None, record.path):
            return False
        if self.where is not None and not self.where(record):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.hits += 1
        return True


@dataclass(slots=True)
class Faults:
    """The script of one sandbox; of several faults that fit, the first added strikes."""

    script: list[Fault] = field(default_factory=list[Fault])

    def add(
        self,
        action: Action,
        *,
        method: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        after: int = 0,
        where: Callable[[Record], bool] | None = None,
    ) -> Fault:
        """Let ``action`` strike ``times`` matching requests (None: all), once ``after`` are through."""
        fault = Fault(action, method, path, times, after, where)
        self.script.append(fault)
        return fault

    def clear(self) -> None:
        """Forget the script."""
        self.script.clear()

    def strike(self, record: Record) -> Action | None:
        """The action for this request, if it is to suffer one."""
        return next((fault.action for fault in self.script if fault.strikes(record)), None)
