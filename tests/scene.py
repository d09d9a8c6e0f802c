"""A client and a sandbox on one virtual clock, for tests of what takes time."""

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
    """What a test plays with."""

    box: Sandbox
    client: AsyncReflexioClient
    clock: VirtualClock
    users: list[str] = field(default_factory=list[str])

    def starts(self, status: int | None = None) -> int:
        """How many profile reruns were asked for."""
        return self.box.count("POST", RERUN, status)

    def status_requests(self) -> int:
        """How often a status was asked for."""
        return self.box.count("GET", STATUS)

    def refused_for_being_busy(self) -> int:
        """Starts that met a busy slot: admitted ones are one operation each."""
        return self.starts(200) - len(self.box.operations())


@asynccontextmanager
async def scene(
    users: int = 0, *, client: Mapping[str, Any] | None = None, **sandbox: Any
) -> AsyncGenerator[Scene]:
    """A sandbox with ``users`` who have said something, and a client that closes patiently."""
    clock = VirtualClock()
    async with Sandbox(clock=clock, **sandbox) as box:
        names = [f"user-{number}" for number in range(users)]
        for name in names:
            box.seed(name, f"I like tea, says {name}")
        options: dict[str, Any] = {"drain_timeout": 1e6, **(client or {})}
        async with AsyncReflexioClient(url_endpoint=box.url, clock=clock, **options) as made:
            yield Scene(box, made, clock, names)
