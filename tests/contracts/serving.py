"""A sandbox with rows, on an event loop in a thread of its own, for blocking callers."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import requests

from reflexio_async.sandbox import Sandbox, VirtualClock

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

_T = TypeVar("_T")
Json: TypeAlias = dict[str, Any] | list[Any] | str | float | None

_SECONDS: Final = 30
_LOGIN: Final = {"username": "ana@example.com", "password": "secret"}
_AGGREGATION: Final = "/api/playbook_aggregation_operations"
_EXPERIMENTS: Final = "/api/retrieval_experiments"
_REGENERATE: Final = "/api/evaluations/regenerate"
_MESSAGES: Final = [{"role": "user", "content": "book a table for two"}]


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What ``work`` returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(frozen=True)
class Place:
    """A server, and what can be asked for there."""

    box: Sandbox
    url: str
    session: requests.Session
    names: dict[str, str] = field(default_factory=dict[str, str])
    """By header, or field of a path, a query or a body: a value that the server knows."""
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """By operation: a body it accepts, where random ones never are."""

    def known(self, given: Json) -> Any:
        """``given`` with what the server knows in place of most made-up texts."""
        if isinstance(given, list):
            return [self.known(entry) for entry in given]
        if not isinstance(given, dict):
            return given
        names = self.names if _chosen(given) else {}
        return {
            name: names[name] if isinstance(value, str) and name in names else self.known(value)
            for name, value in given.items()
        }

    def acceptable(self, operation: str, given: Json) -> Any:
        """A body that can be accepted in place of most made-up ones."""
        body = self.bodies.get(operation)
        if body is not None and isinstance(given, dict) and _chosen(given):
            return body
        return self.known(given)

    def ask(self, method: str, path: str, **kwargs: Any) -> Any:
        """The answer, which is a success."""
        answer = self.session.request(method, self.url + path, timeout=_SECONDS, **kwargs)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        """The answer to this body."""
        return self.ask("POST", path, json=body)


@contextmanager
def served(loop: Loop, contract: str, operation: str) -> Generator[Place]:
    """A server of this contract, made ready for this operation."""
    options: dict[str, Any] = {"my_config": True, "legacy": contract == "reflexio-legacy"}
    if operation.endswith(" /token"):
        options["logins"] = {_LOGIN["username"]: _LOGIN["password"]}

    async def opened() -> Sandbox:
        box = Sandbox(clock=VirtualClock(), **options)
        await box.start()
        return box

    box = loop.run(opened())
    try:
        with requests.Session() as session:
            session.trust_env = False
            if contract == "reflect":
                session.headers["Authorization"] = f"Bearer {box.reflect_key}"
            place = Place(box, box.reflect_url if contract == "reflect" else box.url, session)
            _prepare(loop, place, contract, operation)
            yield place
    finally:
        loop.run(box.stop())


def _prepare(loop: Loop, place: Place, contract: str, operation: str) -> None:
    if operation.endswith(" /token"):
        place.bodies[operation] = dict(_LOGIN)
    elif contract == "reflect":
        _prepare_reflect(place)
    elif contract == "reflexio":
        loop.run(_seed(place))
        _prepare_reflexio(place, operation)
    else:
        turns = [{"role": "user", "content": "I like sushi"}]
        place.post("/api/publish_interaction", user_id="ana", interaction_data_list=turns)
        place.post("/api/rerun_profile_generation", user_id="ana")
        place.post("/api/rerun_feedback_generation", agent_version="agent-v0", feedback_name="f")
        place.names.update(user_id="ana", agent_version="agent-v0", service_name="profile_generation")
        place.bodies["POST /api/set_config"] = place.ask("GET", "/api/get_config")


async def _seed(place: Place) -> None:
    box = place.box
    box.seed_playbook("ana", "When booking, confirm the date.", trigger="booking")
    box.seed_agent_playbook("When booking, confirm the date.", trigger="booking")
    [profile] = box.seed_profile("ana", "likes sushi")
    call = box.ask("Which city?", user_id="ana")
    place.names.update(profile_id=profile, pending_tool_call_id=call)


def _prepare_reflexio(place: Place, operation: str) -> None:
    turns = [{"role": "user", "content": "No, book a table for two instead"}]
    place.post(
        "/api/publish_interaction",
        user_id="ana",
        session_id="s1",
        request_id="r1",
        interaction_data_list=turns,
    )
    place.post(
        "/api/session_outcome",
        session_id="s1",
        outcome="success",
        occurred_at=int(place.box.clock.time()),
    )
    place.post("/api/rerun_profile_generation", user_id="ana")
    place.post("/api/rerun_playbook_generation")
    place.post("/api/evaluations/grade_on_demand", session_id="s1", user_id="ana", agent_version="agent-v0")
    place.names.update(
        user_id="ana",
        session_id="s1",
        request_id="r1",
        agent_version="agent-v0",
        service_name="profile_generation",
        content="I like tea",
        answer="Rome",
    )
    if _AGGREGATION in operation:
        started = place.post(_AGGREGATION, request_id="a1", agent_version="agent-v0")
        place.names["operation_id"] = started["operation_id"]
    if f"{_REGENERATE}/" in operation:
        place.names["job_id"] = place.post(_REGENERATE, from_ts=1, to_ts=4_000_000_000)["job_id"]
    if _EXPERIMENTS in operation and operation != f"POST {_EXPERIMENTS}":
        place.post(_EXPERIMENTS, experiment_id="e1", holdout_percentage=50)
        place.names["experiment_id"] = "e1"
    if operation.endswith("/answer"):
        call = f"/api/pending_tool_calls/{place.names['pending_tool_call_id']}"
        place.post(f"{call}/resolve", result={"answer": "Paris"})
    place.bodies["POST /api/set_config"] = place.ask("GET", "/api/get_config")
    place.bodies["POST /api/update_config"] = {"window_size": 12}


def _prepare_reflect(place: Place) -> None:
    from reflexio_async.sandbox.reflect.settings import BOOTSTRAP_TOKEN  # noqa: PLC0415

    project = "/v1/projects/default"
    trace = place.post(f"{project}/traces", task="book a table", trajectory=_MESSAGES)
    place.post(f"{project}/traces", task="book a room", trajectory=_MESSAGES, review={"result": "pass"})
    place.post(f"{project}/skill/create")
    key = place.post(f"{project}/api-keys", label="k", scopes=["trace:write"])
    place.names.update(
        task="book a table",
        label="k",
        project_id="default",
        trace_id=trace["trace_id"],
        key_id=key["key"]["id"],
    )
    place.bodies["POST /v1/bootstrap"] = {"user_id": "ana", "project_id": "new"}
    place.names["X-Bootstrap-Token"] = BOOTSTRAP_TOKEN


def _chosen(given: Json) -> bool:
    """Three of four, and the same ones in every run."""
    return zlib.crc32(repr(given).encode(errors="replace")) % 4 != 0
