"""The jobs of one client: its lanes, its poller, and what becomes of them when it closes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from reflexio_async._engine.jobs.lane import Lane
from reflexio_async._engine.jobs.polled import SingleRecord, Singles
from reflexio_async._engine.jobs.poller import Poller
from reflexio_async._engine.jobs.record import Record, Waiting
from reflexio_async._engine.jobs.slot import SlotRecord, Start
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async.errors import CLOSED, ClientClosed, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.jobs.kinds import SingleKind, SlotKind
    from reflexio_async._engine.jobs.polled import SingleServer
    from reflexio_async._engine.jobs.poller import Cap
    from reflexio_async._engine.jobs.slot import Limiter
    from reflexio_async._engine.jobs.watch import Server
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.tasks import TaskTracker
    from reflexio_async._engine.wire import EncodedRequest

T = TypeVar("T")


class JobManager:
    """Starts jobs, finds them again, and closes.

    ``slots`` are the server's generations; None for a server that has none. ``singles`` are the other
    kinds of job, by name, whose tokens it resumes.
    """

    def __init__(
        self,
        server: SingleServer,
        clock: Clock,
        tasks: TaskTracker,
        settings: Settings,
        *,
        slots: Server | None = None,
        singles: Mapping[str, SingleKind[Any]],
        slot_kinds: Mapping[str, SlotKind[Any]] | None = None,
    ) -> None:
        self._server = server
        self._slots = slots
        self._singles = singles
        self._slot_kinds = slot_kinds or {}
        self._clock = clock
        self._tasks = tasks
        self._poller = Poller(clock, tasks)
        self._lanes: dict[str, Lane] = {}
        self._concurrency = settings.concurrency
        self._outage = settings.timeout
        self._tries = settings.retry.max_attempts
        self._groups: dict[str, Singles[Any]] = {}
        self._caps: dict[str, Cap] = {}
        self._adaptive = settings.adaptive_polling
        self._waitings: dict[tuple[float | None, float | None], Waiting] = {}

    async def start(
        self,
        kind: SlotKind[T],
        settings: Settings,
        *,
        request: EncodedRequest,
        params: Mapping[str, Any],
        send: Callable[[EncodedRequest], Awaitable[T]],
        limiter: Limiter,
        width: int = 1,
    ) -> Record[T]:
        """Start a generation through its service's lane.

        Returns when the start was answered, or at once as queued when the lane or the rate limit is closed.
        Errors of the start are the job's: ``Job.check_start`` raises them at once, awaiting does too.

        Args:
            kind: The kind of job.
            settings: The settings of the client, or of one of its views.
            request: The encoded request of the start.
            params: What the server will echo of it in its status: ``kind.params``.
            send: Sends ``request``, and raises RateLimited instead of waiting for the rate limit.
            limiter: The rate limit of the start.
            width: How many starts may run at once on a server of the synchronous dialect.
        """
        self._check_open()
        lane = self._lane(kind.service)
        start = Start(request, send, limiter, max(width, self._concurrency))
        record = SlotRecord(kind, lane, self._waiting(settings), params=params, start=start)
        await lane.submit(record)
        return record

    def follow(self, kind: SingleKind[T], job_id: str, settings: Settings) -> Record[T]:
        """The job that the server knows by ``job_id``, with a status route of its own."""
        self._check_open()
        return self._single(kind, job_id, settings)

    def resume(self, text: str, settings: Settings) -> Record[Any]:
        """The job that ``text``, a token, stands for."""
        self._check_open()
        token = Token.from_text(text)
        if token.url != self._server.url:
            message = f"token: it belongs to {token.url}, this client speaks to {self._server.url}"
            raise InvalidRequest(message)
        single = self._singles.get(token.kind)
        if single is not None:
            return self._single(single, token.id, settings)
        kind = None if self._slots is None else self._slot_kinds.get(token.kind)
        if kind is None:
            message = f"token: kind {token.kind!r} is not known to this release"
            raise InvalidRequest(message)
        lane = self._lane(kind.service)
        record = SlotRecord(kind, lane, self._waiting(settings), params=token.params)
        lane.adopt(record, token)
        return record

    @property
    def busy(self) -> bool:
        """Whether starts are queued or on their way."""
        return any(lane.busy for lane in self._lanes.values())

    async def drained(self) -> None:
        """Wait until every queued start has been sent and answered."""
        for lane in list(self._lanes.values()):
            await lane.drained()

    def abandon(self, reason: str) -> list[str]:
        """Give up what was not started; returns the names."""
        self._poller.closed = True
        names = [name for lane in self._lanes.values() for name in lane.abandon(reason)]
        for source in self._poller.active:
            source.give_up(reason)
        return names

    def _check_open(self) -> None:
        if self._poller.closed:
            raise ClientClosed(CLOSED)

    def _lane(self, service: str) -> Lane:
        lane = self._lanes.get(service)
        if lane is None:
            assert self._slots is not None  # noqa: S101  # its rows and tokens are only asked of servers that have slots
            lane = Lane(
                self._poller,
                self._slots,
                service,
                outage=self._outage,
                tries=self._tries,
            )
            self._lanes[service] = lane
        return lane

    def _single(self, kind: SingleKind[T], job_id: str, settings: Settings) -> Record[T]:
        group = self._groups.get(kind.name)
        if group is None:
            group = Singles(kind, self._server, self._poller, self._cap(kind), adaptive=self._adaptive)
            self._groups[kind.name] = group
        return SingleRecord(group, job_id, self._waiting(settings))

    def _cap(self, kind: SingleKind[Any]) -> Cap:
        if kind.per_second is None:
            return self._poller.unlimited
        cap = self._caps.get(kind.limited_with or kind.name)
        if cap is None:
            cap = self._poller.cap(concurrency=kind.concurrency, per_second=kind.per_second, burst=kind.burst)
            self._caps[kind.limited_with or kind.name] = cap
        return cap

    def _waiting(self, settings: Settings) -> Waiting:
        key = (settings.poll_interval, settings.wait_timeout)
        waiting = self._waitings.get(key)
        if waiting is None:
            waiting = self._waitings[key] = Waiting(self._clock, *key, self._tasks.report)
        return waiting
