"""A fault schedule: what callers do, when, and what goes wrong meanwhile.

The ``repr`` of a schedule is the expression that makes it; ``script`` is a program that plays it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox import faults
from tests.scene import PUBLISH

if TYPE_CHECKING:
    from reflexio_async.sandbox import Sandbox
    from reflexio_async.sandbox.reflexio.settings import Dialect


_ROOT = Path(__file__).parents[2]


class _Told:
    """Only what differs from the defaults is shown, so that a failing schedule prints small."""

    def __repr__(self) -> str:
        shown = [
            f"{part.name}={getattr(self, part.name)!r}"
            for part in dataclasses.fields(self)  # type: ignore[arg-type]
            if getattr(self, part.name) != part.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class Mishap(_Told):
    """``faults.<kind>(*args, **options)`` for ``times`` requests of ``path`` after ``after`` of them."""

    kind: str
    path: str
    args: tuple[Any, ...] = ()
    after_effect: bool = False
    times: int | None = 1
    after: int = 0

    def befall(self, box: Sandbox) -> None:
        options: dict[str, Any] = {"after_effect": True} if self.after_effect else {}
        if self.kind == "refused" and self.path != PUBLISH:
            options["field_name"] = "msg"
        action = getattr(faults, self.kind)(*self.args, **options)
        box.faults.add(action, path=self.path, times=self.times, after=self.after)


@dataclass(frozen=True, repr=False)
class Many(_Told):
    """``rerun_profiles_many`` of the users ``first`` to ``first + count``, awaited or streamed."""

    at: float = 0.0
    first: int = 0
    count: int = 1
    streamed: bool = False
    concurrency: int | None = None
    wait_timeout: float | None = None
    fail_fast: bool = False
    stop_after: float | None = None
    cancel_after: float | None = None
    leave_after: int | None = None


@dataclass(frozen=True, repr=False)
class Gathered(_Told):
    """One call per user, all at once; of every fourth something is cancelled after ``upset_after``."""

    at: float = 0.0
    first: int = 0
    count: int = 1
    playbooks: bool = False
    wait_timeout: float | None = None
    poll_interval: float | None = None
    upset_after: float | None = None
    resume: bool = False
    watch: bool = False


@dataclass(frozen=True, repr=False)
class Manual(_Told):
    """``manual_profile_generation`` of one user, waited for or left in the background."""

    at: float = 0.0
    user: int = 0
    forget: bool = False


@dataclass(frozen=True, repr=False)
class Publishes(_Told):
    """``publish_many`` of ``count`` items, with ids of the caller's own or not."""

    at: float = 0.0
    count: int = 1
    own_ids: bool = False
    streamed: bool = False
    concurrency: int | None = None
    stop_after: float | None = None
    cancel_after: float | None = None


@dataclass(frozen=True, repr=False)
class Publish(_Told):
    """One publish, perhaps under the id of another one, perhaps waiting for the learning."""

    at: float = 0.0
    request_id: str | None = None
    learn: bool = False


@dataclass(frozen=True, repr=False)
class Foreign(_Told):
    """Somebody else takes the slot, if it is free."""

    at: float = 0.0
    seconds: float = 1.0
    service: int = 0


@dataclass(frozen=True, repr=False)
class Restart(_Told):
    """The server dies and comes back ``down`` seconds later."""

    at: float = 0.0
    down: float = 0.0


Step = Many | Gathered | Manual | Publishes | Publish | Foreign | Restart


@dataclass(frozen=True, repr=False)
class Schedule(_Told):
    """One play. ``leave_at``: the client is left then, ``by_error`` or normally, whoever still waits."""

    steps: tuple[Step, ...] = ()
    mishaps: tuple[Mishap, ...] = ()
    users: int = 1
    rerun_seconds: float = 0.0
    failing: int | None = None
    dialect: Dialect = "correlated"
    rate_limits: bool = False
    concurrency: int = 16
    timeout: float = 300.0
    raise_on_refusal: bool = True
    leave_at: float | None = None
    by_error: bool = False
    drain_timeout: float = 5000.0

    @property
    def script(self) -> str:
        """A program that plays it again, from wherever it is kept."""
        names = sorted({type(part).__name__ for part in (self, *self.steps, *self.mishaps)})
        lines = [
            "import asyncio",
            "import sys",
            "",
            f"sys.path.insert(0, {str(_ROOT)!r})",
            "",
            "from tests.faults.playing import play",
            f"from tests.faults.schedules import {', '.join(names)}",
            "",
            "asyncio.run(play(Schedule(",
        ]
        for parts in ("steps", "mishaps"):
            if shown := getattr(self, parts):
                lines += [f"    {parts}=(", *(f"        {part!r}," for part in shown), "    ),"]
        if rest := repr(dataclasses.replace(self, steps=(), mishaps=()))[len("Schedule(") : -1]:
            lines.append(f"    {rest},")
        return "\n".join([*lines, ")))", ""])
