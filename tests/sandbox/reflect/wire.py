"""Plain HTTP to the Reflect server, without a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.behaviour.wire import Answer, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox import Sandbox

TURNS = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
PASSED = {"result": "pass"}
FAILED = {"result": "fail", "feedback_text": "forgot to carry"}


class ReflectWire(Wire):
    """Uses one key and one project: the master key and the default project at first."""

    def __init__(
        self,
        box: Sandbox,
        session: aiohttp.ClientSession,
        clock: Clock | None = None,
        project: str = "default",
    ) -> None:
        super().__init__(box.reflect_url, session, clock)
        self.box = box
        self.key: str | None = box.reflect_key
        self.project = project

    def using(self, key: str | None = None, project: str | None = None) -> ReflectWire:
        """The same with another key or project."""
        other = ReflectWire(self.box, self.session, self.clock, project or self.project)
        other.key = key or self.key
        return other

    def keyless(self) -> ReflectWire:
        """The same without a key."""
        other = self.using()
        other.key = None
        return other

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> Answer:
        shown = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return await super().send(method, path, headers={**shown, **(headers or {})}, **kwargs)

    def at(self, path: str) -> str:
        """A path of the project."""
        return f"/v1/projects/{self.project}{path}"

    async def submit(self, task: str = "2 + 2", **fields: Any) -> Answer:
        """The answer to a new trace."""
        return await self.post(self.at("/traces"), **{"task": task, "trajectory": TURNS, **fields})

    async def submitted(self, task: str = "2 + 2", **fields: Any) -> str:
        """The id of a new trace."""
        answer = await self.submit(task, **fields)
        assert answer.status == 200, answer.text
        return str(answer.json["trace_id"])

    async def stored(self, task: str = "2 + 2", **fields: Any) -> Any:
        """A new trace, once its ingest is over and its review, if there is one, worked in."""
        trace_id = await self.submitted(task, **fields)
        assert self.clock is not None
        while not _ended(trace := await self.trace(trace_id)):
            await self.clock.sleep(0.25)
        return trace.json

    async def trace(self, trace_id: str) -> Answer:
        return await self.get(self.at(f"/traces/{trace_id}"))

    async def review(self, trace_id: str, **fields: Any) -> Answer:
        return await self.post(self.at(f"/traces/{trace_id}/review"), **fields)

    async def query(self, task: str = "2 + 2", **fields: Any) -> list[Any]:
        """The memories that are found."""
        answer = await self.post(self.at("/memory/query"), **{"task": task, **fields})
        assert answer.status == 200, answer.text
        return list(answer.json)

    async def new_key(self, *scopes: str) -> str:
        """The plaintext of a new key of the project."""
        answer = await self.post(self.at("/api-keys"), label="a key", scopes=list(scopes))
        return str(answer.json["api_key"])


def _ended(trace: Answer) -> bool:
    return trace.status != 404 and trace.json["ingest_status"] != "processing"
