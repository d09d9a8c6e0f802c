"""The sandbox itself: a Reflexio server in this process, on a socket and on a clock of your choice."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from aiohttp import ClientConnectionError, web

from reflexio_async.core.clock import Clock, SystemClock
from reflexio_async.sandbox import door
from reflexio_async.sandbox.answers import Ending, Reply
from reflexio_async.sandbox.bodies.publishing import Interaction, Publish
from reflexio_async.sandbox.calls import Call, Closing, Record, Waiting
from reflexio_async.sandbox.faults import Faults
from reflexio_async.sandbox.generation import Job
from reflexio_async.sandbox.stall import Stall
from reflexio_async.sandbox.virtual_time import HOLD_HEADER
from reflexio_async.sandbox.world import Dialect, Settings, World

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from reflexio_async.sandbox.slots import Operation
    from reflexio_async.sandbox.stored import AgentPlaybook, Playbook, Profile, StoredRequest


class Sandbox:
    """A Reflexio server for tests and demonstrations.

        async with Sandbox(clock=VirtualClock(), rate_limits=True) as box:
            ... box.url ...

    Args:
        clock: Runs generations, limits, delays and token lifetimes; the system's unless given.
        dialect: ``correlated`` (today's), ``uncorrelated`` (a constant operation id, none in the status)
            or ``synchronous`` (January's: a rerun answers when it is done, any number at once).
        rate_limits: Keep the published limits, per client address and path.
        api_key: When set, callers must show it, or a token from ``/token``, and ``X-Forwarded-For``
            names the client address.
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
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
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
    ) -> None:
        settings = Settings(
            dialect=dialect,
            rate_limits=rate_limits,
            api_key=api_key,
            logins=dict(logins or {}),
            token_lifetime=token_lifetime,
            rerun_seconds=rerun_seconds,
            failing_users=failing_users,
            learning_seconds=learning_seconds,
            aggregation_seconds=aggregation_seconds,
            evaluation_seconds=evaluation_seconds,
            my_config=my_config,
            legacy=legacy,
        )
        self.clock: Clock = clock or SystemClock()
        self.requests: list[Record] = []
        """Every request that arrived whole, oldest first."""
        self.faults = Faults()
        self._world = World(self.clock, settings)
        self._keepalive = keepalive_seconds
        self._address = (host, port)
        self._waiting = Waiting(self.clock)
        self._arrival = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._address
        return f"http://{host}:{port}"

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
        return self._world.slots[service].history

    def count(self, method: str, path: str, status: int | None = None) -> int:
        """How many such requests arrived (and, when ``status`` is given, were answered so)."""
        return sum(
            (record.method, record.path) == (method, path) and status in (None, record.status)
            for record in self.requests
        )

    async def arrived(self, method: str, path: str, count: int = 1) -> None:
        """Wait until so many such requests have arrived in all; no time passes meanwhile on its account."""
        while self.count(method, path) < count:
            self._arrival.clear()
            await self._arrival.wait()

    def seed(
        self,
        user_id: str,
        *texts: str,
        agent_version: str = "agent-v0",
        session_id: str = "seeded",
        source: str = "",
    ) -> None:
        """Store one publish of ``texts``, as if long ago: nothing is learnt from it until a generation."""
        turns = [Interaction(role="user", content=text) for text in texts or ("I like sushi",)]
        publish = Publish(
            user_id=user_id,
            session_id=session_id,
            interaction_data_list=turns,
            agent_version=agent_version,
            source=source,
        )
        self._world.store.insert(publish)

    def start_foreign_operation(
        self, service: str = "profile_generation", seconds: float = 10.0, user_id: str | None = None
    ) -> Operation:
        """Let somebody else take the service's slot for ``seconds``; raises when it is busy."""
        world, slot = self._world, self._world.slots[service]
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
        return self._world.tool_calls.ask(question, user_id, tool_name).id

    def stall(self, reason: Literal["billing_error", "auth_error"] | None) -> None:
        """Let learning stall for a reason, or go on (None)."""
        at = datetime.fromtimestamp(self.clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._world.stall = Stall() if reason is None else Stall(stalled=True, reason=reason, stalled_at=at)

    def revoke_tokens(self) -> None:
        """Make every token issued so far worthless."""
        self._world.revoke_tokens()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        self._waiting = Waiting(self.clock)
        self._server = web.Server(self._handle, keepalive_timeout=self._keepalive, access_log=None)
        host, port = self._address
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, host, port, backlog=1024)
        self._address = (host, self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close everything at once; what is stored stays, an operation under way is dead in its slot."""
        loop = asyncio.get_running_loop()
        for listening in self._listener.sockets:
            loop.remove_reader(listening.fileno())
        # asyncio leaks a connection that is being accepted while its listener closes: let it arrive first.
        for _ in range(3):
            await asyncio.sleep(0)
        self._listener.close()
        self._waiting.close()
        await self._world.close()
        self._server.pre_shutdown()
        await self._server.shutdown(timeout=0)
        await self._listener.wait_closed()

    async def restart(self, *, keep_data: bool = True) -> None:
        """Stop and listen on the same port again, as after ``kill -9``.

        What a server keeps in memory is forgotten: quotas, which results a session was shown, evaluation
        jobs. Durable aggregations go on. Without its data it is as new, and knows no token.
        """
        await self.stop()
        if keep_data:
            self._world.wake()
        else:
            self._world = World(self.clock, self._world.settings)
        await self.start()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        with self.clock.busy() as hold:
            held = (request.headers.get(HOLD_HEADER), hold.get(HOLD_HEADER) if hold else None)
            with suppress(Closing, ConnectionError, ClientConnectionError):
                call = await self._arrived(request, held)
                reply = await self._reply(call)
                return await _deliver(request, call, reply)
        _hang_up(request)
        return web.Response()

    async def _arrived(self, request: web.BaseRequest, holds: tuple[str | None, ...]) -> Call:
        raw_body = await _read(request)
        peer = request.transport.get_extra_info("peername") if request.transport else None
        address, port = peer[:2] if peer else ("", 0)
        record = Record(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers=request.headers,
            at=self.clock.now(),
            connection=f"{address}:{port}",
            body=_decoded(raw_body),
        )
        self.requests.append(record)
        self._arrival.set()
        forwarded = request.headers.get("X-Forwarded-For") if self._world.settings.guarded else None
        client = forwarded.partition(",")[0].strip() if forwarded else address
        return Call(record, raw_body, client, secrets.token_hex(4), holds, self._waiting)

    async def _reply(self, call: Call) -> Reply:
        async def serve() -> Reply:
            return await door.answer(self._world, call)

        action = self.faults.strike(call.record)
        return await (serve() if action is None else action.play(call, serve))


async def _read(request: web.BaseRequest) -> bytes:
    """The body; of one that is too large, just enough to tell."""
    kept = bytearray()
    async for chunk in request.content.iter_any():
        if len(kept) <= door.MAX_BODY:
            kept += chunk
    return bytes(kept)


def _decoded(raw_body: bytes) -> Any:
    try:
        return json.loads(raw_body) if raw_body else None
    except ValueError:
        return raw_body.decode(errors="replace")


async def _deliver(request: web.BaseRequest, call: Call, reply: Reply) -> web.StreamResponse:
    if reply.ending is Ending.LOSE:
        _hang_up(request)
        return web.Response()
    body = reply.encoded()
    headers = {"Content-Type": reply.content_type, **reply.headers}
    # A crash is answered outside of the middleware that adds the id.
    if reply.status != 500:
        headers["x-correlation-id"] = call.correlation_id
    if reply.ending is Ending.CUT:
        response = web.StreamResponse(status=reply.status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        _hang_up(request)
        return response
    call.record.status = reply.status
    whole = web.Response(status=reply.status, headers=headers, body=body)
    if reply.ending is Ending.DROP:
        await whole.prepare(request)
        await whole.write_eof()
        _hang_up(request)
    return whole


def _hang_up(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.close()
