"""A schedule: what callers do and when, and which faults the server shows.

The ``repr`` of a schedule is the expression that makes it; ``script`` is a program that runs it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox import faults
from tests.faults.actions import ACTIONS
from tests.scene import PUBLISH

if TYPE_CHECKING:
    from reflexio_async.sandbox import Sandbox
    from reflexio_async.sandbox.reflexio.settings import Dialect


_ROOT = Path(__file__).parents[2]


class _ShortRepr:
    """A ``repr`` without the fields that have their defaults, so that a failing schedule prints small."""

    def __repr__(self) -> str:
        shown = [
            f"{part.name}={getattr(self, part.name)!r}"
            for part in dataclasses.fields(self)  # type: ignore[arg-type]
            if getattr(self, part.name) != part.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class ScheduledFault(_ShortRepr):
    """``faults.<kind>(*args, **options)`` for ``times`` requests of ``path`` after ``after`` of them.

    The ``kind`` may also be one of ``tests.faults.actions``.
    """

    kind: str
    path: str
    args: tuple[Any, ...] = ()
    after_effect: bool = False
    times: int | None = 1
    after: int = 0

    def add_to(self, box: Sandbox) -> None:
        options: dict[str, Any] = {"after_effect": True} if self.after_effect else {}
        if self.kind == "refused" and self.path != PUBLISH:
            options["field_name"] = "msg"
        make = ACTIONS.get(self.kind) or getattr(faults, self.kind)
        action = make(*self.args, **options)
        box.faults.add(action, path=self.path, times=self.times, after=self.after)


@dataclass(frozen=True, repr=False)
class RerunBatch(_ShortRepr):
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
class Reruns(_ShortRepr):
    """One call per user, all at once. After ``disturb_after`` seconds some are cancelled or refreshed."""

    at: float = 0.0
    first: int = 0
    count: int = 1
    playbooks: bool = False
    wait_timeout: float | None = None
    poll_interval: float | None = None
    disturb_after: float | None = None
    resume: bool = False
    watch: bool = False


@dataclass(frozen=True, repr=False)
class ManualGeneration(_ShortRepr):
    """``manual_profile_generation`` of one user, waited for or left in the background."""

    at: float = 0.0
    user: int = 0
    forget: bool = False
    wait_timeout: float | None = None


@dataclass(frozen=True, repr=False)
class Read(_ShortRepr):
    """One read of a view with a ``timeout`` of its own."""

    at: float = 0.0
    timeout: float = 3.0


@dataclass(frozen=True, repr=False)
class PublishBatch(_ShortRepr):
    """``publish_many`` of ``count`` items, with ids of the caller's own or not."""

    at: float = 0.0
    count: int = 1
    own_ids: bool = False
    streamed: bool = False
    concurrency: int | None = None
    stop_after: float | None = None
    cancel_after: float | None = None


@dataclass(frozen=True, repr=False)
class Publish(_ShortRepr):
    """One publish, perhaps under the id of another one, perhaps waiting for the learning."""

    at: float = 0.0
    request_id: str | None = None
    learn: bool = False


@dataclass(frozen=True, repr=False)
class ForeignOperation(_ShortRepr):
    """Another client takes the slot, if it is free."""

    at: float = 0.0
    seconds: float = 1.0
    service: int = 0


@dataclass(frozen=True, repr=False)
class Restart(_ShortRepr):
    """The server dies and comes back ``down`` seconds later."""

    at: float = 0.0
    down: float = 0.0


@dataclass(frozen=True, repr=False)
class Outage(_ShortRepr):
    """For so many seconds every request meets ``faults.<kind>(*args)``."""

    at: float = 0.0
    seconds: float = 0.0
    kind: str = "lost_before"
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, repr=False)
class StrayBytes(_ShortRepr):
    """The server sends on its idle connections what nobody has asked for."""

    at: float = 0.0


@dataclass(frozen=True, repr=False)
class ForeignLoop(_ShortRepr):
    """Another thread uses the client on an event loop of its own: ``use`` is a key of ``FOREIGN_USES``."""

    at: float = 0.0
    use: str = "call"


Step = (
    RerunBatch
    | Reruns
    | ManualGeneration
    | PublishBatch
    | Publish
    | Read
    | ForeignOperation
    | Restart
    | Outage
    | StrayBytes
    | ForeignLoop
)


@dataclass(frozen=True, repr=False)
class Schedule(_ShortRepr):
    """One simulation. The client is closed at ``leave_at``, with calls under way."""

    steps: tuple[Step, ...] = ()
    scheduled_faults: tuple[ScheduledFault, ...] = ()
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
        """A program that runs it again, from any folder."""
        names = sorted({type(part).__name__ for part in (self, *self.steps, *self.scheduled_faults)})
        lines = [
            "import asyncio",
            "import sys",
            "",
            f"sys.path.insert(0, {str(_ROOT)!r})",
            "",
            "from tests.faults.running import run_schedule",
            f"from tests.faults.schedules import {', '.join(names)}",
            "",
            "asyncio.run(run_schedule(Schedule(",
        ]
        for parts in ("steps", "scheduled_faults"):
            if shown := getattr(self, parts):
                lines += [f"    {parts}=(", *(f"        {part!r}," for part in shown), "    ),"]
        if rest := repr(dataclasses.replace(self, steps=(), scheduled_faults=()))[len("Schedule(") : -1]:
            lines.append(f"    {rest},")
        return "\n".join([*lines, ")))", ""])
