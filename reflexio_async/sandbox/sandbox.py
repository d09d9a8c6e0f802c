"""The sandbox: a local Reflexio server and a local Reflect server, with what tests need around them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from reflexio_async._engine.clock import Clock, clock_from
from reflexio_async.sandbox.checks import check, check_all, check_seconds, check_type, check_whole
from reflexio_async.sandbox.fault_script import Faults
from reflexio_async.sandbox.http.request_log import Record
from reflexio_async.sandbox.process import ServerProcess
from reflexio_async.sandbox.reflect.settings import ReflectSettings
from reflexio_async.sandbox.reflect.state import ReflectState
from reflexio_async.sandbox.reflexio.seeding import Seeding
from reflexio_async.sandbox.reflexio.settings import Dialect, ReflexioSettings
from reflexio_async.sandbox.reflexio.simulation.generation import GenerationTask
from reflexio_async.sandbox.reflexio.store.learning_stall import LearningStall
from reflexio_async.sandbox.reflexio.store.operation_slots import OperationSlot, StoredOperation
from reflexio_async.sandbox.reflexio.store.rows import (
    StoredAgentPlaybook,
    StoredProfile,
    StoredRequest,
    StoredUserPlaybook,
)
from reflexio_async.sandbox.reflexio.store.store import ReflexioStore
from reflexio_async.sandbox.snapshot import snapshot
from reflexio_async.sandbox.virtual_clock import VirtualClock


class Sandbox(Seeding):
    """A Reflexio server and a Reflect server in this process, for tests and demonstrations.

        async with Sandbox(clock=VirtualClock(), rate_limits=True) as box:
            ... box.url ... box.reflect_url ...

    Args:
        clock: The clock of generations, rate limits, delays and token lifetimes. The system's by default.
        dialect: The generation of servers. ``correlated`` is today's. In ``uncorrelated``, operation ids
            are constant, and the status has none. In ``synchronous`` (January's), a rerun responds when
            it is done, and any number may run at once.
        rate_limits: Whether the published rate limits apply, per client address and path.
        api_key: A key that requests need, or else a token from ``/token``. With a key,
            ``X-Forwarded-For`` names the client address. An empty text means none.
        logins: Passwords by email, for ``POST /token``. With logins, requests need a token.
        token_lifetime: Seconds until a token expires; None for never.
        rerun_seconds: Work per user of a generation, in seconds, or a function from user id to seconds.
        failing_users: User ids whose generation and grading fail, and agent versions whose aggregation
            fails.
        learning_seconds: Work of one learning window, in seconds.
        aggregation_seconds: Work of one aggregation, in seconds.
        evaluation_seconds: Work of grading one session, in seconds.
        my_config: Whether ``/api/my_config`` shows the credentials of the storage.
        legacy: Whether to serve the routes of January 2026 instead of today's.
        keepalive_seconds: Real seconds until an idle connection is closed.
        host: The address to listen on. Without a key only requests from this machine are accepted, as by
            the real server.
        port: The port of the Reflexio server; 0 picks a free one.
        reflect: Settings of the Reflect server.
        reflect_port: The port of the Reflect server; 0 picks a free one.
        data: A SQLite file for everything that a server has on disk. Every change that a response reports
            survives a restart and ``kill -9``. It is created for its owner alone (mode 0600). Without a
            file, all data is in memory.
        faults: What goes wrong from the start, such as ``Faults.from_toml(text)``.
        keep_requests: How many of the latest requests ``requests``, ``count`` and ``arrived`` know. All by
            default.

    Raises:
        TypeError: An option has a wrong type. The message names it.
        ValueError: An option has a wrong value. The message names it.

    Attributes:
        clock: The clock.
        faults: The faults, which may be changed at any time.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        dialect: Dialect = "correlated",
        rate_limits: bool = False,
        api_key: str | None = None,
        logins: Mapping[str, str] | None = None,
        token_lifetime: float | None = None,
        rerun_seconds: float | Callable[[str], float] = 0.0,
        failing_users: Collection[str] = (),
        learning_seconds: float = 0.0,
        aggregation_seconds: float = 0.0,
        evaluation_seconds: float = 0.0,
        my_config: bool = False,
        legacy: bool = False,
        keepalive_seconds: float = 5.0,
        host: str = "127.0.0.1",
        port: int = 0,
        reflect: ReflectSettings | None = None,
        reflect_port: int = 0,
        data: str | os.PathLike[str] | None = None,
        faults: Faults | None = None,
        keep_requests: int | None = None,
    ) -> None:
        settings = ReflexioSettings(
            dialect=dialect,
            rate_limits=rate_limits,
            api_key=None if api_key == "" else api_key,
            logins={} if logins is None else logins,
            token_lifetime=token_lifetime,
            rerun_seconds=rerun_seconds,
            failing_users=failing_users,
            learning_seconds=learning_seconds,
            aggregation_seconds=aggregation_seconds,
            evaluation_seconds=evaluation_seconds,
            my_config=my_config,
            legacy=legacy,
        )
        check_seconds("keepalive_seconds", keepalive_seconds)
        if reflect is not None:
            check_type("reflect", reflect, ReflectSettings, "ReflectSettings")
        if faults is not None:
            check_type("faults", faults, Faults, "Faults")
        if keep_requests is not None:
            check_whole("keep_requests", keep_requests)
        self.clock = clock_from(clock)
        self.faults = Faults() if faults is None else faults
        self._reflect_settings = reflect or ReflectSettings()
        self._process = ServerProcess(
            self.clock,
            settings,
            self._reflect_settings,
            self.faults,
            keep_requests=keep_requests,
            keepalive=keepalive_seconds,
            host=host,
            port=port,
            reflect_port=reflect_port,
            data=None if data is None else Path(data),
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Read the data file, if there is one, and listen.

        Raises:
            ConfigurationError: The data file cannot be used.
            OSError: A port cannot be used.
            RuntimeError: The sandbox runs already.
        """
        await self._process.start()

    async def stop(self) -> None:
        """Close everything at once. Stored data remains; a running operation is dead in its slot."""
        await self._process.stop()

    async def restart(self, *, keep_data: bool = True) -> None:
        """Stop, and listen on the same ports again, as after ``kill -9``.

        What a server has in memory is lost: rate limits, the results that a session has seen, evaluation
        jobs. Durable aggregations and the ingest of traces continue. Without its data the sandbox is as
        new, and knows no token.
        """
        await self._process.restart(keep_data=keep_data)

    def restart_soon(self, *, keep_data: bool = True) -> None:
        """Restart, but not within the current request. ``settled`` waits for the end."""
        self._process.restart_soon(keep_data=keep_data)

    async def settled(self) -> None:
        """Return once a scripted restart has ended and all changes are in the data file, if there is one.

        Raises the error of the restart, or NotStored.
        """
        await self._process.settled()

    @property
    def url(self) -> str:
        """The base URL of the Reflexio server."""
        return self._process.reflexio_server.url

    @property
    def reflect_url(self) -> str:
        """The base URL of the Reflect server."""
        return self._process.reflect_server.url

    @property
    def reflect_key(self) -> str:
        """The master key of the Reflect server."""
        return self._reflect_settings.master_key

    @property
    def reflect(self) -> ReflectState:
        """What the Reflect server has stored."""
        return self._process.reflect

    @property
    def requests(self) -> list[Record]:
        """Every request that arrived whole, oldest first; of ``keep_requests``, the latest so many."""
        return self._process.log.records

    def count(self, method: str, path: str, status: int | None = None) -> int:
        """How many such requests arrived and, with ``status``, got this status."""
        return sum(
            (record.method, record.path) == (method, path) and status in (None, record.status)
            for record in self.requests
        )

    async def arrived(self, method: str, path: str, count: int = 1) -> None:
        """Wait until ``count`` such requests have arrived in all. The wait itself takes no virtual time."""
        while self.count(method, path) < count:
            await self._process.log.next_arrival()

    @property
    def _store(self) -> ReflexioStore:
        return self._process.reflexio.store

    @property
    def stored_requests(self) -> Mapping[str, StoredRequest]:
        """Every stored publish, by request id."""
        return self._store.requests

    @property
    def stored_profiles(self) -> Sequence[StoredProfile]:
        """Every profile, of every status."""
        return [row for rows in self._store.profiles.values() for row in rows]

    @property
    def stored_playbooks(self) -> Sequence[StoredUserPlaybook]:
        """Every user playbook, of every status."""
        return list(self._store.playbooks.values())

    @property
    def stored_agent_playbooks(self) -> Sequence[StoredAgentPlaybook]:
        """Every agent playbook, of every status."""
        return list(self._store.agent_playbooks.values())

    def operations(self, service: str = "profile_generation") -> Sequence[StoredOperation]:
        """Every operation that ever had the service's slot, the latest last."""
        return self._slot(service).history

    def _slot(self, service: str) -> OperationSlot:
        slots = self._process.reflexio.slots
        if service not in slots:
            message = f"service: expected one of {', '.join(slots)}, not {service!r:.200}"
            raise ValueError(message)
        return slots[service]

    def snapshot(self) -> dict[str, Any]:
        """Everything that both servers have stored, as plain JSON values, to print or to compare."""
        return snapshot(self._process.reflexio, self._process.reflect)

    def skew(self, seconds: float) -> None:
        """Set the servers' wall clock ahead by ``seconds`` from now on (behind, when negative).

        This changes times in responses, the ``Date`` header, and comparisons with the caller's times. It
        does not change durations or the windows of rate limits.
        """
        check("skew: seconds", "any number", seconds)
        self._process.skew(seconds)

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` of virtual time pass, with all that is due in them. Needs a VirtualClock."""
        if not isinstance(self.clock, VirtualClock):
            message = "advance needs a sandbox on a VirtualClock; on real time, wait"
            raise RuntimeError(message)  # noqa: TRY004  # no argument is wrong
        await self.clock.advance(seconds)

    def start_foreign_operation(
        self, service: str = "profile_generation", seconds: float = 10.0, user_id: str | None = None
    ) -> StoredOperation:
        """Let another client's operation have the service's slot for ``seconds``.

        Raises:
            RuntimeError: The slot is busy.
        """
        check("start_foreign_operation: seconds", "a number", seconds)
        state, slot = self._process.reflexio, self._slot(service)
        operation = slot.claim({"user_id": user_id, "start_time": None, "end_time": None, "source": None})
        if operation is None:
            message = f"{service} is busy"
            raise RuntimeError(message)
        task = GenerationTask([user_id or "somebody-else"], "pending", lambda _: True)
        state.spawn(dataclasses.replace(state.generation, seconds=seconds).run(slot, operation, task))
        return operation

    def ask(self, question: str, *, user_id: str | None = None, tool_name: str = "ask_human") -> str:
        """Add a pending tool call, as extraction does. Returns its id."""
        check_all("ask", question=(question, "text that is not blank"), user_id=(user_id, "text or None"))
        return self._process.reflexio.tool_calls.ask(question, user_id, tool_name).id

    def stall(self, reason: Literal["billing_error", "auth_error"] | None) -> None:
        """Stop learning for a reason, or let it continue (None)."""
        check("stall: reason", "billing_error, auth_error or None", reason)
        now = self._process.server_clock.time()
        at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._process.reflexio.stall = (
            LearningStall() if reason is None else LearningStall(stalled=True, reason=reason, stalled_at=at)
        )

    def revoke_tokens(self) -> None:
        """Make all tokens invalid."""
        self._process.reflexio.revoke_tokens()
