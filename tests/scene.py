"""A client and a sandbox on one virtual clock, for tests in which time passes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox, VirtualClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

RERUN = "/api/rerun_profile_generation"
PLAYBOOKS = "/api/rerun_playbook_generation"
STATUS = "/api/get_operation_status"
PUBLISH = "/api/publish_interaction"


@dataclass(frozen=True)
class Scene:
    """The parts of a test."""

    box: Sandbox
    client: AsyncReflexioClient
    clock: VirtualClock
    users: list[str] = field(default_factory=list[str])

    def starts(self, status: int | None = None) -> int:
        """The number of requests that start a profile rerun, of all or of one status."""
        return self.box.count("POST", RERUN, status)

    def status_requests(self) -> int:
        """The number of status requests."""
        return self.box.count("GET", STATUS)

    def refused_for_being_busy(self) -> int:
        """The number of starts that met a busy slot. Every other start is an operation."""
        return self.starts(200) - len(self.box.operations())


@asynccontextmanager
async def scene(
    users: int = 0, *, client: Mapping[str, Any] | None = None, **sandbox: Any
) -> AsyncGenerator[Scene]:
    """Make a sandbox with interactions of ``users`` users, and a client with a long ``drain_timeout``."""
    clock = VirtualClock()
    async with Sandbox(clock=clock, **sandbox) as box:
        names = [f"user-{number}" for number in range(users)]
        for name in names:
            box.seed(name, f"I like tea, says {name}")
        options: dict[str, Any] = {"drain_timeout": 1e6, **(client or {})}
        async with AsyncReflexioClient(url_endpoint=box.url, clock=clock, **options) as made:
            yield Scene(box, made, clock, names)
