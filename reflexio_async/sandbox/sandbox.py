"""The sandbox itself: both servers in this process, on sockets and on a clock of your choice."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from reflexio_async._engine.clock import Clock, clock_from
from reflexio_async.sandbox import snapshot
from reflexio_async.sandbox.checks import check, check_all
from reflexio_async.sandbox.faults import Faults
from reflexio_async.sandbox.http.responses import internal_error
from reflexio_async.sandbox.http.server import Journal, Listener
from reflexio_async.sandbox.reflect import dispatch as reflect_door
from reflexio_async.sandbox.reflect.settings import ReflectSettings
from reflexio_async.sandbox.reflect.state import Reflect
from reflexio_async.sandbox.reflexio import dispatch as door
from reflexio_async.sandbox.reflexio.settings import Dialect, Settings, expected, seconds, whole
from reflexio_async.sandbox.reflexio.simulation.generation import Job
from reflexio_async.sandbox.reflexio.state import World
from reflexio_async.sandbox.reflexio.store.learning_stall import Stall
from reflexio_async.sandbox.seeding import Seeding
from reflexio_async.sandbox.server_clock import ServerClock
from reflexio_async.sandbox.storage.data_file import NotStored, Storage
from reflexio_async.sandbox.storage.tables import Changes
from reflexio_async.sandbox.virtual_clock import VirtualClock

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Mapping, Sequence

    from reflexio_async.sandbox.http.context import Call, Record
    from reflexio_async.sandbox.http.responses import Reply
    from reflexio_async.sandbox.reflexio.store.operation_slots import Operation, Slot
    from reflexio_async.sandbox.reflexio.store.rows import AgentPlaybook, Playbook, Profile, StoredRequest
    from reflexio_async.sandbox.reflexio.store.store import Store


class Sandbox(Seeding):
    """A Reflexio server and a Reflect server for tests and demonstrations.

        async with Sandbox(clock=VirtualClock(), rate_limits=True) as box:
            ... box.url ... box.reflect_url ...

    Args:
        clock: Runs generations, limits, delays and token lifetimes; the system's unless given.
        dialect: ``correlated`` (today's), ``uncorrelated`` (a constant operation id, none in the status)
            or ``synchronous`` (January's: a rerun answers when it is done, any number at once).
        rate_limits: Keep the published limits, per client address and path.
        api_key: When set, callers must show it, or a token from ``/token``, and ``X-Forwarded-For``
            names the client address; empty is as good as none.
        logins: Email to password, for ``POST /token``; when given, callers must be logged in.
        token_lifetime: Seconds until an issued token expires; None for never.
        rerun_seconds: Work per user of a generation, or a function from user id to seconds.
        failing_users: User ids whose generation and grading fail; agent versions whose aggregation does.
        learning_seconds: Work from the moment a learning window opens until it is done.
        aggregation_seconds: Work of one aggregation.
        evaluation_seconds: Work of grading one session.
        my_config: Show the storage's credentials to those who ask.
        legacy: Have January's routes (feedback, request groups) in place of today's.
        keepalive_seconds: Real seconds until an idle connection is closed.
        host: Address to listen on. Without a key only callers of this machine are served, as by the real
            server.
        port: Port of the Reflexio server; 0 picks a free one.
        reflect: How the Reflect server behaves.
        reflect_port: Port of the Reflect server; 0 picks a free one.
        data: A SQLite file to keep everything in that a server has on disk, and to begin with; what was
            answered survives a restart and ``kill -9``. In memory alone unless given.
        faults: What goes wrong from the start, such as ``Faults.from_toml(text)``.
        keep_requests: Of how many requests, the latest, ``requests``, ``count`` and ``arrived`` know; all
            unless given.

    Raises ValueError, or TypeError for a wrong type, naming the option.
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
        settings = Settings(
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
        seconds("keepalive_seconds", keepalive_seconds)
        if reflect is not None:
            expected("reflect", reflect, ReflectSettings, "ReflectSettings")
        if faults is not None:
            expected("faults", faults, Faults, "Faults")
        if keep_requests is not None:
            whole("keep_requests", keep_requests)
        self.clock = clock_from(clock)
        self.faults = Faults() if faults is None else faults
        self.faults.machine = self
        self._own_clock = ServerClock(self.clock)
        self._settings = settings
        self._reflect_settings = reflect or ReflectSettings()
        self._file = None if data is None else Path(data)
        self._unread = True
        self._running = False
        self._storage: Storage | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._journal = Journal(keep_requests)
        self._forget()
        listener = partial(
            Listener,
            clock=self.clock,
            journal=self._journal,
            faults=self.faults,
            keepalive=keepalive_seconds,
            host=host,
        )
        self._listener = listener("reflexio", self._answer, port=port, forwarded=settings.guarded)
        self._reflect_listener = listener(
            "reflect", self._answer_reflect, port=reflect_port, correlated=False
        )

    @property
    def url(self) -> str:
        """Where the Reflexio server listens."""
        return self._listener.url

    @property
    def reflect_url(self) -> str:
        """Where the Reflect server listens."""
        return self._reflect_listener.url

    @property
    def reflect_key(self) -> str:
        """The Reflect server's master key."""
        return self._reflect_settings.master_key

    @property
    def reflect(self) -> Reflect:
        """What the Reflect server holds."""
        return self._reflect

    @property
    def requests(self) -> list[Record]:
        """Every request that arrived whole, oldest first; of ``keep_requests``, the latest so many."""
        return self._journal.records

    @property
    def _store(self) -> Store:
        return self._world.store

    @property
    def stored_requests(self) -> Mapping[str, StoredRequest]:
        """Every publish that was stored, by request id."""
        return self._world.store.requests

    @property
    def stored_profiles(self) -> Sequence[Profile]:
        """Every profile, of every status."""
        return [row for rows in self._world.store.profiles.values() for row in rows]

    @property
    def stored_playbooks(self) -> Sequence[Playbook]:
        """Every user playbook, of every status."""
        return list(self._world.store.playbooks.values())

    @property
    def stored_agent_playbooks(self) -> Sequence[AgentPlaybook]:
        """Every agent playbook, of every status."""
        return list(self._world.store.agent_playbooks.values())

    def operations(self, service: str = "profile_generation") -> Sequence[Operation]:
        """Every operation that ever held the service's slot, the latest last."""
        return self._slot(service).history

    def _slot(self, service: str) -> Slot:
        slots = self._world.slots
        if service not in slots:
            message = f"service: expected one of {', '.join(slots)}, not {service!r:.200}"
            raise ValueError(message)
        return slots[service]

    def count(self, method: str, path: str, status: int | None = None) -> int:
        """How many such requests arrived (and, when ``status`` is given, were answered so).

        Of those that are kept: see ``keep_requests``.
        """
        return sum(
            (record.method, record.path) == (method, path) and status in (None, record.status)
            for record in self.requests
        )

    async def arrived(self, method: str, path: str, count: int = 1) -> None:
        """Wait until so many such requests have arrived in all; no time passes meanwhile on its account.

        More than ``keep_requests`` never have.
        """
        while self.count(method, path) < count:
            await self._journal.grown()

    def snapshot(self) -> dict[str, Any]:
        """What both servers have stored, as plain JSON: to print, or to compare with a later one."""
        return snapshot.taken(self._world, self._reflect)

    def skew(self, seconds: float) -> None:
        """Let the servers' wall clock be ahead by ``seconds`` from now on (behind, when negative).

        Their times in answers, their ``Date`` (while it is off) and what they compare with the caller's
        times are wrong then; how long things take, and the windows of rate limits, are not.
        """
        check("skew: seconds", "any number", seconds)
        self._own_clock.ahead = seconds

    def start_foreign_operation(
        self, service: str = "profile_generation", seconds: float = 10.0, user_id: str | None = None
    ) -> Operation:
        """Let somebody else take the service's slot for ``seconds``; raises when it is busy."""
        check("start_foreign_operation: seconds", "a number", seconds)
        world, slot = self._world, self._slot(service)
        operation = slot.claim({"user_id": user_id, "start_time": None, "end_time": None, "source": None})
        if operation is None:
            message = f"{service} is busy"
            raise RuntimeError(message)
        job = Job([user_id or "somebody-else"], "pending", lambda _: True)
        generator = dataclasses.replace(world.generator, seconds=seconds)
        world.spawn(generator.run(slot, operation, job))
        return operation

    def ask(self, question: str, *, user_id: str | None = None, tool_name: str = "ask_human") -> str:
        """Let extraction ask somebody; the id of the pending tool call."""
        check_all("ask", question=(question, "text that is not blank"), user_id=(user_id, "text or None"))
        return self._world.tool_calls.ask(question, user_id, tool_name).id

    def stall(self, reason: Literal["billing_error", "auth_error"] | None) -> None:
        """Let learning stall for a reason, or go on (None)."""
        check("stall: reason", "billing_error, auth_error or None", reason)
        at = datetime.fromtimestamp(self._own_clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._world.stall = Stall() if reason is None else Stall(stalled=True, reason=reason, stalled_at=at)

    async def advance(self, seconds: float) -> None:
        """Let so much virtual time pass, with all that falls due in it; needs a VirtualClock."""
        if not isinstance(self.clock, VirtualClock):
            message = "advance needs a sandbox on a VirtualClock; on real time, wait"
            raise RuntimeError(message)  # noqa: TRY004  # the sandbox was made otherwise; no argument is wrong
        await self.clock.advance(seconds)

    def revoke_tokens(self) -> None:
        """Make every token issued so far worthless."""
        self._world.revoke_tokens()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; with a data file, on what is in it.

        Raises ConfigurationError when the file cannot be used, OSError when a port cannot, RuntimeError
        when it runs already.
        """
        if self._running:
            message = "the sandbox runs already: stop() it first, or restart() it"
            raise RuntimeError(message)
        await self._start(anew=False)

    async def _start(self, *, anew: bool) -> None:
        self._running = True
        try:
            if self._file is not None:
                await self._read(self._file, anew=anew)
            await self._listener.start()
            await self._reflect_listener.start()
            self._reflect.ingest.resume()
        except BaseException:
            await self._stop()
            raise

    async def _read(self, file: Path, *, anew: bool) -> None:
        if self._unread and self._changes.pending:
            message = "the data file is read when the sandbox starts: seed once it has started"
            raise RuntimeError(message)
        # On a table of its own for every opening: what this process still remembers is not what counts.
        self._forget()
        storage = Storage(file, self.clock, self._changes)
        await storage.open(anew=anew)
        self._storage, self._unread = storage, False
        self._world.resume()
        self._reflect.resume()

    def _forget(self) -> None:
        """Know nothing, as a server that was just installed."""
        self._changes = Changes(noted=self._file is not None)
        self._world = World(self._own_clock, self._settings, self._changes)
        self._reflect = Reflect(self._own_clock, self._reflect_settings, self._changes)

    async def stop(self) -> None:
        """Close everything at once; what is stored stays, an operation under way is dead in its slot."""
        try:
            await self._restarted()
        finally:
            await self._stop()

    async def _stop(self) -> None:
        listeners = (self._listener, self._reflect_listener)
        for listener in listeners:
            await listener.stop_accepting()
        self._reflect.ingest.stop()
        await self._world.close()
        for listener in listeners:
            await listener.hang_up()
        self._running = False
        if self._storage is not None:
            storage, self._storage = self._storage, None
            await storage.close()

    async def restart(self, *, keep_data: bool = True) -> None:
        """Stop and listen on the same ports again, as after ``kill -9``.

        What a server keeps in memory is forgotten: quotas, which results a session was shown, evaluation
        jobs. Durable aggregations and the ingest of traces go on. Without its data it is as new, and knows
        no token.
        """
        await self._restarted()
        await self._restart(keep_data=keep_data)

    async def _restart(self, *, keep_data: bool) -> None:
        await self._stop()
        if not keep_data:
            self._forget()
        elif self._file is None:
            self._world.wake()
        await self._start(anew=not keep_data)

    def restart_soon(self, *, keep_data: bool = True) -> None:
        """Restart, but not within the request that asks for it; ``settled`` waits for the end."""
        if self._restarting is None or self._restarting.done():
            self._restarting = asyncio.get_running_loop().create_task(self._upset(keep_data=keep_data))

    async def _upset(self, *, keep_data: bool) -> None:
        with self.clock.busy():
            await self._restart(keep_data=keep_data)

    async def settled(self) -> None:
        """Return once a scripted restart is over and what has happened is in the data file, if there is one.

        Raises what went wrong with it.
        """
        await self._restarted()
        if self._storage is not None:
            await self._storage.settled()

    async def _restarted(self) -> None:
        if (restarting := self._restarting) is not None:
            try:
                await asyncio.shield(restarting)
            finally:
                if restarting.done() and self._restarting is restarting:
                    self._restarting = None

    async def _answer(self, call: Call) -> Reply:
        return await self._stored(await door.answer(self._world, call))

    async def _answer_reflect(self, call: Call) -> Reply:
        return await self._stored(await reflect_door.answer(self._reflect, call))

    async def _stored(self, reply: Reply) -> Reply:
        """The reply, once all that it may tell of is on disk."""
        if self._storage is not None:
            try:
                await self._storage.settled()
            except NotStored:  # which is in the log by now
                return internal_error()
        if self._own_clock.ahead:
            dated = {**reply.headers, "Date": formatdate(self._own_clock.time(), usegmt=True)}
            return dataclasses.replace(reply, headers=dated)
        return reply
