"""The jobs of one client: its lanes, its poller, and what becomes of them when it closes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from reflexio_async.errors import CLOSED, ClientClosed, InvalidRequest
from reflexio_async.jobs import kinds
from reflexio_async.jobs.lanes import Lane, Server
from reflexio_async.jobs.poller import Cap, Poller
from reflexio_async.jobs.record import Record, Waiting
from reflexio_async.jobs.single import SingleSource
from reflexio_async.jobs.slot import SlotRecord
from reflexio_async.jobs.token import Token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from reflexio_async.core.background import Background
    from reflexio_async.core.clock import Clock
    from reflexio_async.jobs.kinds import SingleKind, SlotKind
    from reflexio_async.jobs.slot import Quota
    from reflexio_async.settings import Settings

T = TypeVar("T")


class SingleServer(Protocol):
    """What the desk asks of the server about jobs with a status route of their own."""

    @property
    def url(self) -> str:
        """The server's address, by which tokens know theirs."""
        ...

    async def single(self, kind: SingleKind[T], job_id: str) -> T:
        """The status of one job that has a status route of its own."""
        ...

    async def stop_single(self, kind: SingleKind[Any], job_id: str) -> None:
        """Ask for such a job to stop."""
        ...


class JobDesk:
    """Starts jobs, finds them again, and closes.

    ``slots`` are the server's generations; None for a server that has none. ``singles`` are the other
    kinds of job, by name, whose tokens it resumes.
    """

    def __init__(
        self,
        server: SingleServer,
        clock: Clock,
        background: Background,
        settings: Settings,
        *,
        slots: Server | None = None,
        singles: Mapping[str, SingleKind[Any]] = kinds.SINGLE_KINDS,
    ) -> None:
        self._server = server
        self._slots = slots
        self._singles = singles
        self._clock = clock
        self._background = background
        self._poller = Poller(clock, background)
        self._lanes: dict[str, Lane] = {}
        self._concurrency = settings.concurrency
        self._outage = settings.timeout
        self._tries = settings.retry.max_attempts
        self._caps: dict[str, Cap] = {}

    async def start(
        self,
        kind: SlotKind[T],
        settings: Settings,
        *,
        params: dict[str, Any],
        send: Callable[[], Awaitable[T]],
        quota: Quota,
        width: int,
    ) -> Record[T]:
        """Start a generation through its service's lane.

        Returns when the start was answered, or at once with a queued one when the lane or the limit is
        closed. Errors of the start are the job's: ``Job.check_start`` raises them at once, awaiting does too.
        ``width`` is how many may run at once on a server of the synchronous dialect.
        """
        self._check_open()
        lane = self._lane(kind.service)
        lane.width = max(lane.width, width)
        record = SlotRecord(kind, lane, self._waiting(settings), params=params, send=send, quota=quota)
        await lane.submit(record)
        return record

    def follow(self, kind: SingleKind[T], job_id: str, settings: Settings) -> Record[T]:
        """The job that the server knows by ``job_id``, with a status route of its own."""
        self._check_open()
        return self._single(kind, Token(kind=kind.name, url=self._server.url, id=job_id), settings)

    def resume(self, text: str, settings: Settings) -> Record[Any]:
        """The job that ``text``, a token, stands for."""
        self._check_open()
        token = Token.from_text(text)
        if token.url != self._server.url:
            message = f"token: it belongs to {token.url}, this client speaks to {self._server.url}"
            raise InvalidRequest(message)
        single = self._singles.get(token.kind)
        if single is not None:
            return self._single(single, token, settings)
        kind = None if self._slots is None else kinds.SLOT_KINDS.get(token.kind)
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
        for cap in self._caps.values():
            cap.close()
        for source in list(self._poller.active):
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
                width=self._concurrency,
                outage=self._outage,
                tries=self._tries,
            )
            self._lanes[service] = lane
        return lane

    def _single(self, kind: SingleKind[T], token: Token, settings: Settings) -> Record[T]:
        cap = self._caps.get(kind.name)
        if cap is None and kind.per_second is not None:
            cap = self._caps[kind.name] = Cap(self._poller, concurrency=8, per_second=kind.per_second)
        source: SingleSource[T] = SingleSource(
            self._poller,
            kind,
            token,
            self._waiting(settings),
            ask=partial(self._server.single, kind),
            stop=partial(self._server.stop_single, kind),
            cap=cap,
        )
        return source.record

    def _waiting(self, settings: Settings) -> Waiting:
        return Waiting(self._clock, settings.poll_interval, settings.wait_timeout, self._background.report)
