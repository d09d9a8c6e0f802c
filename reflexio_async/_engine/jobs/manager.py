"""The jobs of one client: starts them, finds them again, and ends them when the client closes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from reflexio_async._engine.jobs.lane import Finish, Lane
from reflexio_async._engine.jobs.polled import PolledJob, PolledJobs
from reflexio_async._engine.jobs.poller import Poller
from reflexio_async._engine.jobs.slot_job import OutcomeMemory, SlotJob, Start
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async.errors import CLOSED, ClientClosed, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reflexio_async._engine.clock import Clock
    from reflexio_async._engine.jobs.kinds import PolledKind, Slot, SlotKind
    from reflexio_async._engine.jobs.polled import JobStatusSource
    from reflexio_async._engine.jobs.record import JobRecord
    from reflexio_async._engine.jobs.slot import SlotStatusSource
    from reflexio_async._engine.jobs.waits import WaitingFor
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.tasks import TaskTracker

T = TypeVar("T")


class _LoopJobs:
    """What a JobManager has on one event loop."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.lanes: dict[str, Lane] = {}


class JobManager:
    """Starts jobs and finds them again.

    Args:
        source: The service's status calls for jobs with a status route of their own.
        clock: The client's clock.
        tasks: The client's background tasks.
        settings: The settings of the client itself, not of a view.
        polled_kinds: The kinds of such jobs, by name.
        slots: The service's status calls for slots; None for a service without slots.
        slot_kinds: The kinds of jobs that occupy slots, by name.
        redact: Removes secrets from the server's texts.
    """

    def __init__(
        self,
        source: JobStatusSource,
        clock: Clock,
        tasks: TaskTracker,
        settings: Settings,
        *,
        polled_kinds: Mapping[str, PolledKind[Any]],
        slots: SlotStatusSource | None = None,
        slot_kinds: Mapping[str, SlotKind[Any]] | None = None,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._source = source
        self._slots = slots
        self._polled_kinds = polled_kinds
        self._slot_kinds = slot_kinds or {}
        self._settings = settings
        self.clock = clock
        self.tasks = tasks
        self.loops = tasks.loops
        self.loops.senders.append(self)
        self._earlier: dict[str, Lane] = {}
        """The lanes of the event loop before, for what was learned there."""
        self._polled_jobs: dict[str, PolledJobs[Any]] = {}
        tasks.observer.watch_jobs(self)
        self.outcomes = OutcomeMemory()
        self.redact = redact

    async def start(
        self,
        kind: SlotKind[T],
        settings: Settings,
        *,
        start: Start,
        params: Mapping[str, Any],
        timeout: float | None = None,
        fails_at_timeout: bool = False,
        row: str | None = None,  # noqa: ARG002  # for a store
        finish: Finish | None = None,
    ) -> JobRecord[T]:
        """Start a job through the lane of its slot.

        Returns when the start was answered. When the start has to wait for the slot or the rate limit,
        returns at once; the job is queued then.
        Errors of the start are the job's: ``Job.check_start`` raises them at once, awaiting does too.

        Args:
            kind: The kind of job.
            settings: The settings of the client, or of one of its views.
            start: Its start.
            params: The parameters ``kind.echoed``, which the server will repeat in its status.
            timeout: Seconds after which to return in any case; None: there is no limit.
            fails_at_timeout: A start that was not sent by then fails, and is not sent later.
            row: Unused: the id of its row in a store.
            finish: As in ``Lane.submit``.
        """
        lane = self.lane(kind.slot)
        job = SlotJob(kind, self, settings, params=params, start=start)
        if self.tasks.observer.is_on:
            job.observed = self.tasks.observer.job(kind.name, start.request)
        await lane.submit(job, timeout, fails_at_timeout=fails_at_timeout, finish=finish)
        return job

    def waiting_for(self, slot: Slot) -> WaitingFor | None:
        """What the lane of ``slot`` waits for; None: nothing is to be sent, or it was not used."""
        here: _LoopJobs | None = self.loops.scope.parts.get(self)
        lane = None if here is None else here.lanes.get(slot.service)
        return None if lane is None else lane.waiting_for

    def follow(self, kind: PolledKind[T], job_id: str, settings: Settings) -> JobRecord[T]:
        """The job with a status route of its own that the server knows by ``job_id``."""
        self._check()
        job = self._polled(kind, job_id, settings)
        job.observed = self.tasks.observer.job(kind.name)
        return job

    def resume(self, text: str, settings: Settings, slot_kind: SlotKind[Any] | None = None) -> JobRecord[Any]:
        """The job of the token ``text``.

        Args:
            text: The text of a token.
            settings: The settings of the client, or of one of its views.
            slot_kind: The kind of the token, if it is none of the ``slot_kinds`` of this manager.

        Raises:
            InvalidRequest: It is no token of this server, or of a kind that is not known.
        """
        self._check()
        token = Token.from_text(text)
        if token.url != self._source.url:
            message = f"token: it belongs to {token.url}, this client speaks to {self._source.url}"
            raise InvalidRequest(message)
        if token.row and not token.id:
            message = (
                "token: its job was not begun when the token was made, and its row is in a store; open the "
                "client with store=, the store in which the job was started"
            )
            raise InvalidRequest(message)
        polled_kind = self._polled_kinds.get(token.kind)
        if polled_kind is not None:
            return self._polled(polled_kind, token.id, settings)
        kind = slot_kind or self._slot_kinds.get(token.kind)
        if kind is None:
            message = f"token: kind {token.kind!r} is not known to this release"
            raise InvalidRequest(message)
        job = SlotJob(kind, self, settings, params=token.params)
        if not self.outcomes.recall(job, token):
            self.lane(kind.slot).slot.adopt(job, token.id, token.not_before)
        return job

    @property
    def busy(self) -> bool:
        """Whether starts are queued or under way."""
        return any(lane.busy for lane in self.lanes)

    async def drained(self) -> None:
        """Wait until every queued start has been sent and answered."""
        for lane in self.lanes:
            await lane.drained()

    def unanswered_starts(self) -> list[str]:
        """The names of the starts that were not sent, or not answered."""
        return [name for lane in self.lanes for name in lane.unanswered()]

    def active(self) -> Counter[tuple[str, str]]:
        """How many jobs of each kind are in each state. It may be called by another thread."""
        counts: Counter[tuple[str, str]] = Counter()
        for lane in self.lanes:
            counts.update((job.kind.name, "queued") for job in lane.waiting())
            counts.update((job.kind.name, "running") for job in list(lane.slot.running))
        polled: list[JobRecord[Any]] = [job for job in self.poller.active if isinstance(job, PolledJob)]
        counts.update((job.kind.name, "running") for job in polled)
        return counts

    def running_tokens(self) -> list[str]:
        """The tokens of the jobs that run at the server: those in slots, and those that have waiters."""
        jobs: list[JobRecord[Any]] = [job for lane in self.lanes for job in lane.slot.running]
        jobs += [source for source in self.poller.active if isinstance(source, PolledJob)]
        return [token for job in jobs if not job.done and (token := job.token_text) is not None]

    async def stored(self) -> dict[str, int]:
        """None: it has no store."""
        return {}

    def leave_loop(self, reason: str) -> None:
        """End every wait, and every start that was not answered.

        Jobs that run at the server are lost to their waiters when the client is closed. When only the event
        loop has ended, they can be awaited on another.
        """
        closed, lanes = self.loops.closed, self.lanes
        self._earlier.update((lane.slot.name, lane) for lane in lanes)
        for source in self.poller.close():
            source.give_up(reason, closed=closed)
        for lane in lanes:
            lane.abandon(reason, closed=closed)

    def _check(self) -> None:
        if self.loops.closed:
            raise ClientClosed(CLOSED)
        self.loops.check()

    @property
    def _on_loop(self) -> _LoopJobs:
        scope = self.loops.scope
        return scope.parts.get(self) or scope.part(self, lambda: _LoopJobs(Poller(self.clock, self.tasks)))

    @property
    def poller(self) -> Poller:
        """Polls jobs and slots on the event loop of the client."""
        return self._on_loop.poller

    @property
    def lanes(self) -> list[Lane]:
        """The lanes on the event loop of the client that were used."""
        return list(self._on_loop.lanes.values())

    def lane(self, slot: Slot) -> Lane:
        """The lane of ``slot`` on the event loop of the client."""
        lanes = self._on_loop.lanes
        lane = lanes.get(slot.service)
        if lane is None:
            assert self._slots is not None  # noqa: S101  # only services with slots have kinds for them
            settings = self._settings
            lane = lanes[slot.service] = Lane(
                slot,
                self._slots,
                self.poller,
                max_attempts=settings.retry.max_attempts,
                earlier=self._earlier.pop(slot.service, None),
            )
        return lane

    def _polled(self, kind: PolledKind[T], job_id: str, settings: Settings) -> JobRecord[T]:
        group = self._polled_jobs.get(kind.name)
        if group is None:
            group = self._polled_jobs[kind.name] = PolledJobs(
                kind, self._source, self, adaptive=self._settings.adaptive_polling
            )
        return PolledJob(group, job_id, settings)
