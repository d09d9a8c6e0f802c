"""A Reflect client and the sandbox's Reflect server, on one virtual clock."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reflexio_async import AsyncReflectClient
from reflexio_async.sandbox import Sandbox, VirtualClock
from reflexio_async.sandbox.reflect.settings import ReflectSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

TRACES = "/v1/projects/default/traces"
MESSAGES = [{"role": "user", "content": "sort [2, 1]"}, {"role": "assistant", "content": "[1, 2]"}]


@dataclass(frozen=True)
class Scene:
    """The parts of a test."""

    box: Sandbox
    client: AsyncReflectClient
    clock: VirtualClock

    def sent(self, project: str = "default") -> int:
        """The number of requests that sent a trace."""
        return self.box.count("POST", f"/v1/projects/{project}/traces")

    def trajectories(self, project: str = "default") -> list[Any]:
        """The trajectories as they were sent, in order."""
        path = f"/v1/projects/{project}/traces"
        sent = [record.body for record in self.box.requests if record.path == path]
        return [body["trajectory"] for body in sent if body is not None]

    def asked(self) -> int:
        """The number of requests for a trace."""
        return sum(
            record.method == "GET" and record.path.startswith(f"{TRACES}/") for record in self.box.requests
        )


@asynccontextmanager
async def scene(*, client: Mapping[str, Any] | None = None, **reflect: Any) -> AsyncGenerator[Scene]:
    """Make a sandbox with these ReflectSettings, and a client with its master key."""
    clock = VirtualClock()
    async with Sandbox(clock=clock, reflect=ReflectSettings(**reflect)) as box:
        options: dict[str, Any] = {"api_key": box.reflect_key, "project_id": "default", **(client or {})}
        async with AsyncReflectClient(base_url=box.reflect_url, clock=clock, **options) as made:
            yield Scene(box, made, clock)
