"""When faults strike: a script of actions and their conditions."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from inspect import isfunction
from random import Random
from typing import Protocol, Self

from reflexio_async.sandbox.checks import PATH_PARAMETER, check
from reflexio_async.sandbox.fault_config import CONDITIONS, read
from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.request_log import Record
from reflexio_async.sandbox.http.responses import Response


class Action(Protocol):
    """What goes wrong."""

    async def play(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:
        """Go wrong. ``serve`` lets the request have its effect and returns the true response."""
        ...


@dataclass(slots=True)
class Fault:
    """An action and its conditions.

    Attributes:
        action: What goes wrong, such as ``delay(30)``.
        method: Only requests of this method.
        path: Only requests of this path. A ``{name}`` in it stands for one segment.
        times: How many requests to strike. None strikes all.
        after: How many matching requests to let pass first.
        where: Only requests for which this function is true.
        chance: The probability with which each matching request is struck.
        seed: Seeds the random numbers. Every run draws the same ones.
        user: Only requests with this ``user_id`` in the body or the query.
        hits: How many requests were struck so far.

    Raises:
        ValueError: A condition that no request can meet.
        TypeError: ``action`` is no action, or ``where`` no function.
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
    _random: Random = field(init=False, repr=False)
    _path: re.Pattern[str] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not callable(getattr(self.action, "play", None)):
            hint = f"; call it: {self.action.__name__}(…)" if isfunction(self.action) else ""
            message = f"fault: action: expected one such as delay(30), not {self.action!r:.200}{hint}"
            raise TypeError(message)
        if self.where is not None and not callable(self.where):
            message = f"fault: where: expected a function of the request, not {self.where!r:.200}"
            raise TypeError(message)
        for name, expected in {**CONDITIONS, "times": "a whole number from 1"}.items():
            value = getattr(self, name)
            if value is not None or name not in {"method", "path", "times", "user"}:
                check(f"fault: {name}", expected, value)
        self.method = self.method and self.method.upper()
        self._path = None
        if self.path is not None:
            self._path = re.compile("[^/]+".join(map(re.escape, PATH_PARAMETER.split(self.path))))
        self._random = Random(self.seed)  # noqa: S311  # a script, not a secret

    def strikes(self, record: Record) -> bool:
        """Whether to strike this request. Counts it."""
        if (self.times is not None and self.hits >= self.times) or not self._matches(record):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self._random.random() >= self.chance:
            return False
        self.hits += 1
        return True

    def _matches(self, record: Record) -> bool:
        return (
            self.method in (None, record.method)
            and (self._path is None or self._path.fullmatch(record.path) is not None)
            and self.user in (None, record.user)
            and (self.where is None or self.where(record))
        )


@dataclass(slots=True)
class Faults:
    """The faults of one sandbox. Of several that match a request, the first added strikes."""

    script: list[Fault] = field(default_factory=list[Fault])

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """A script from TOML, with one ``[[fault]]`` table per fault.

            [[fault]]
            action = "internal_error"         # a function of reflexio_async.sandbox.faults
            path = "/api/publish_interaction"
            times = "always"                  # or a number; 1 by default
            chance = 0.1
            seed = 7

            [[fault]]
            action = "delay"
            seconds = 30                      # an argument of the function
            method = "GET"
            path = "/api/evaluations/regenerate/{job_id}"   # a name stands for one segment
            user = "ana"
            after = 2

        Raises:
            ConfigurationError: Names the table by its number, the key, and what was expected.
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
        """Add a fault. The arguments are the attributes of ``Fault``."""
        fault = Fault(action, method, path, times, after, where, chance, seed, user)
        self.script.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults."""
        self.script.clear()

    async def intercept(self, context: RequestContext, serve: Callable[[], Awaitable[Response]]) -> Response:
        """Let the first fault that strikes this request play; without one, serve it."""
        action = next((fault.action for fault in self.script if fault.strikes(context.record)), None)
        return await (serve() if action is None else action.play(context, serve))
