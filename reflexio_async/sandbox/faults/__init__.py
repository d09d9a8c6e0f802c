"""Scripted misfortune: what goes wrong, where, how often, and for whom.

    box.faults.add(faults.answer_lost(), method="POST", path="/api/publish_interaction")
    box.faults.add(faults.delay(30), path="/api/get_operation_status", times=None, after=2)
    box.faults.add(faults.internal_error(), times=None, chance=0.1, seed=7, user="ana")

"Effect" means what the request does to the sandbox's state. ``Faults.from_toml`` reads a script from text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from inspect import isfunction
from random import Random
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from reflexio_async.sandbox.checks import NAME, check
from reflexio_async.sandbox.faults.config import WHEN, action, read
from reflexio_async.sandbox.http.responses import Ending, Reply
from reflexio_async.sandbox.http.responses import internal_error as crash
from reflexio_async.sandbox.reflexio.overload import Overwork
from reflexio_async.sandbox.reflexio.overload import no_capacity as without_room

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from reflexio_async.sandbox.http.context import Call, Machine, Record


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
    """``changes`` are fields of the honest reply."""

    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    halved: bool = False

    async def play(self, call: Call, serve: Callable[[], Awaitable[Reply]]) -> Reply:  # noqa: ARG002
        reply = await serve()
        if self.halved:
            encoded = reply.encoded()
            reply = replace(reply, body=encoded[: len(encoded) // 2].decode(errors="ignore"))
        return replace(reply, **self.changes)


@dataclass(frozen=True, slots=True)
class _Restart:
    keep_data: bool
    effect: bool

    async def play(self, call: Call, serve: Callable[[], Awaitable[Reply]]) -> Reply:
        if self.effect:
            await serve()
        _machine(call).restart_soon(keep_data=self.keep_data)
        return _NO_ANSWER


@dataclass(frozen=True, slots=True)
class _Skew:
    seconds: float

    async def play(self, call: Call, serve: Callable[[], Awaitable[Reply]]) -> Reply:
        _machine(call).skew(self.seconds)
        return await serve()


def _machine(call: Call) -> Machine:
    if call.machine is None:
        message = "this fault happens to a whole sandbox, and there is none"
        raise RuntimeError(message)
    return call.machine


_NO_ANSWER: Final = Reply("", ending=Ending.LOSE)


@action(seconds="a number", after_effect="true or false")
def delay(seconds: float, *, after_effect: bool = False) -> Action:
    """Answer honestly, but late, by the clock."""
    return _Delay(seconds, before=not after_effect)


@action(seconds="a number")
def overwork(seconds: float) -> Action:
    """Take so long over it, by the clock, as a server that has too much to do.

    Of searches eight are worked on at once, of publishes four; others wait for room, searches for two
    seconds (then 429 with ``Retry-After``), publishes for 240 (then 503, nothing stored). Work past its
    deadline (a search's 5 s, a publish's 240, 600 for routes that are slow or asked to wait, else 60) is
    answered 504, and done, but a publish is not stored.
    """
    return Overwork(seconds)


@action(after_effect="true or false")
def freeze(*, after_effect: bool = False) -> Action:
    """Accept the request and never answer."""
    return _Freeze(after_effect)


@action()
def lost_before() -> Action:
    """Close the connection instead of answering; nothing happened."""
    return _Instead(_NO_ANSWER, effect=False)


@action()
def answer_lost() -> Action:
    """Do it, then close the connection instead of answering."""
    return _Spoilt({"ending": Ending.LOSE})


@action()
def cut_off() -> Action:
    """Do it, then close the connection half-way through the body."""
    return _Spoilt({"ending": Ending.CUT})


@action()
def broken_json() -> Action:
    """Do it, then answer with half of the JSON, as if it were all."""
    return _Spoilt(halved=True)


@action()
def dropped_after() -> Action:
    """Do it and answer, then close the connection without having said so."""
    return _Spoilt({"ending": Ending.DROP})


@action(seconds="a number")
def slow_body(seconds: float) -> Action:
    """Do it and send the status at once, but let the body trickle in over ``seconds`` of the clock."""
    return _Spoilt({"seconds": seconds})


@action(content_type="a media type")
def wrong_type(content_type: str = "text/plain; charset=utf-8") -> Action:
    """Do it and send the honest body, but call it something else than JSON."""
    return _Spoilt({"content_type": content_type})


@action(keep_data="true or false", after_effect="true or false")
def restart(*, keep_data: bool = True, after_effect: bool = False) -> Action:
    """Kill the sandbox in the middle of the request, and start it again with or without its data."""
    return _Restart(keep_data, after_effect)


@action(seconds="any number")
def skew(seconds: float) -> Action:
    """From here on, let the sandbox's wall clock be ahead by ``seconds`` (behind, when negative)."""
    return _Skew(seconds)


@action(code="a status code", body="anything", headers="a table", after_effect="true or false")
def status(
    code: int, body: Any = None, *, headers: Mapping[str, str] | None = None, after_effect: bool = False
) -> Action:
    """Answer with this status; ``body`` is JSON, by default a ``detail``.

    ``headers`` may name another ``Content-Type``.
    """
    shown = {"detail": f"scripted {code}"} if body is None else body
    if isinstance(shown, str):
        # A reply's text is sent as it is.
        shown = json.dumps(shown, ensure_ascii=False)
    lowered = {name.lower(): value for name, value in (headers or {}).items()}
    content_type = lowered.pop("content-type", "application/json")
    return _Instead(Reply(shown, code, lowered, content_type), after_effect)


@action(after_effect="true or false")
def internal_error(*, after_effect: bool = False) -> Action:
    """500 in plain text, and the connection dropped without a word, as uvicorn does."""
    return _Instead(crash(), after_effect)


@action(per_minute="a whole number")
def rate_limited(per_minute: int = 5) -> Action:
    """429 as the quota words it: no ``Retry-After``."""
    return status(429, {"error": f"Rate limit exceeded: {per_minute} per 1 minute"})


@action(retry_after="a whole number")
def crowded(retry_after: int = 2) -> Action:
    """429 as the concurrency limit words it: with ``Retry-After``, in seconds."""
    detail = {"detail": "search concurrency limit reached"}
    return status(429, detail, headers={"Retry-After": str(retry_after)})


@action(request_id="text")
def no_capacity(request_id: str = "") -> Action:
    """503 by which publish says that nothing was admitted."""
    return _Instead(without_room(request_id), effect=False)


@action(text="text", field_name="text")
def refused(text: str = "database is locked", *, field_name: str = "message") -> Action:
    """200 with ``success: false`` and nothing done; some routes say ``msg`` instead of ``message``."""
    return status(200, {"success": False, field_name: text})


@action(code="a status code")
def html(code: int = 200) -> Action:
    """A web page, as from a proxy or the wrong host."""
    page = "<!doctype html><html><head><title>Welcome</title></head><body>Welcome</body></html>"
    return _Instead(Reply(page, code, content_type="text/html; charset=utf-8"), effect=False)


@dataclass(slots=True)
class Fault:
    """An action and when it strikes; ``hits`` counts how often it has.

    Of the requests that fit ``method``, ``path``, ``user`` (the ``user_id`` of body or query) and
    ``where``, the first ``after`` pass, each further one is struck with probability ``chance``, until
    ``times`` were (None: all). ``seed`` makes the draws the same in every run; so does their default. A
    ``{name}`` in ``path`` stands for one segment, as in ``/api/evaluations/regenerate/{job_id}``.

    Raises ValueError or TypeError when it could never strike, or not as it says.
    """

    action: Action
    method: str | None = None
    path: str | None = None
    times: int | None = 1
    after: int = 0
    where: Callable[[Record], bool] | None = None
    chance: float = 1.0
    seed: int = 0
    user: str | None = None
    hits: int = 0
    _draws: Random = field(init=False, repr=False)
    _path: re.Pattern[str] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not callable(getattr(self.action, "play", None)):
            called = f"; call it: {self.action.__name__}(…)" if isfunction(self.action) else ""
            message = f"fault: action: expected one such as delay(30), not {self.action!r:.200}{called}"
            raise TypeError(message)
        if self.where is not None and not callable(self.where):
            message = f"fault: where: expected a function of the request, not {self.where!r:.200}"
            raise TypeError(message)
        for name, expected in {**WHEN, "times": "a whole number from 1"}.items():
            value = getattr(self, name)
            if value is not None or name not in {"method", "path", "times", "user"}:
                check(f"fault: {name}", expected, value)
        self.method = self.method and self.method.upper()
        self._path = None
        if self.path is not None:
            self._path = re.compile("[^/]+".join(map(re.escape, NAME.split(self.path))))
        self._draws = Random(self.seed)  # noqa: S311  # a script, not a secret

    def strikes(self, record: Record) -> bool:
        """Whether it is this request's turn; counts."""
        if (self.times is not None and self.hits >= self.times) or not self._fits(record):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self._draws.random() >= self.chance:
            return False
        self.hits += 1
        return True

    def _fits(self, record: Record) -> bool:
        return (
            self.method in (None, record.method)
            and (self._path is None or self._path.fullmatch(record.path) is not None)
            and self.user in (None, record.user)
            and (self.where is None or self.where(record))
        )


@dataclass(slots=True)
class Faults:
    """The script of one sandbox; of several faults that fit, the first added strikes."""

    script: list[Fault] = field(default_factory=list[Fault])
    machine: Machine | None = field(default=None, repr=False)
    """What ``restart`` and ``skew`` happen to; the sandbox sees to it."""

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """A script from TOML: one ``[[fault]]`` table per fault.

            [[fault]]
            action = "internal_error"         # one of this module's functions
            path = "/api/publish_interaction"
            times = "always"                  # or a number; 1 unless given
            chance = 0.1
            seed = 7

            [[fault]]
            action = "delay"
            seconds = 30                      # what the function takes goes beside it
            method = "GET"
            path = "/api/evaluations/regenerate/{job_id}"   # a name stands for any one segment
            user = "ana"
            after = 2

        Raises ConfigurationError, which names the table by its number, the key, and what was expected.
        """
        return cls([Fault(**entry) for entry in read(text)])

    def add(
        self,
        action: Action,
        *,
        method: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        after: int = 0,
        where: Callable[[Record], bool] | None = None,
        chance: float = 1.0,
        seed: int = 0,
        user: str | None = None,
    ) -> Fault:
        """Let ``action`` strike ``times`` matching requests (None: all), once ``after`` are through.

        ``chance`` is the probability with which each is struck, ``user`` limits it to one user's requests;
        ``Fault`` says more.
        """
        fault = Fault(action, method, path, times, after, where, chance, seed, user)
        self.script.append(fault)
        return fault

    def clear(self) -> None:
        """Forget the script."""
        self.script.clear()

    def strike(self, record: Record) -> Action | None:
        """The action for this request, if it is to suffer one."""
        return next((fault.action for fault in self.script if fault.strikes(record)), None)
