"""Writes the rows of one lane, and what the next holder of its lease must know."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import to_json

from reflexio_async._engine.jobs.kinds import Dialect
from reflexio_async.durable.rows import RowState, waits_text
from reflexio_async.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reflexio_async._engine.call import Caller
    from reflexio_async._engine.clock import Timer
    from reflexio_async._engine.jobs.kinds import Operation
    from reflexio_async._engine.jobs.lane import Lane
    from reflexio_async._engine.jobs.slot_job import SlotJob
    from reflexio_async._engine.rate_limits import RateLimiter
    from reflexio_async.durable.leases import HeldLease
    from reflexio_async.durable.rows import Lease
    from reflexio_async.durable.watch import LoopJobs

_INTENT_VALID_FOR = 1.0  # seconds
_SOON = 0.2  # seconds until an admission is written, unless the job has ended before


class NextStart(NamedTuple):
    """A start that is about to be sent.

    Attributes:
        job: The job.
        attempts: How often its start will have been sent.
        before: The operation that the slot has.
    """

    job: SlotJob[Any]
    attempts: int
    before: Operation | None


class _Intent(NamedTuple):
    """An intent that was written together with the outcome before it.

    Attributes:
        attempts: How often the start will have been sent.
        before: The operation that the slot had.
        at: When it was written.
        written: Whether it was. It was not, if the job was withdrawn.
    """

    attempts: int
    before: Operation | None
    at: float
    written: bool


class RowWriter:
    """Writes the rows of the jobs in one lane, with the lease.

    Args:
        here: What the client's jobs have on the event loop.
        lane: The lane in memory.
        caller: Has the rate limiters.

    Attributes:
        sent: The rows of starts that were sent, and whose answer is not written.
        written: Set when a row was written.
    """

    def __init__(self, here: LoopJobs, lane: Lane, caller: Caller) -> None:
        self.sent: set[str] = set()
        self.written = asyncio.Event()
        self._here = here
        self._lane = lane
        self._caller = caller
        self._clock = caller.clock
        self._intents: dict[str, _Intent] = {}
        """By row, the intents that were written before the lane has asked for them."""
        self._admissions: dict[str, tuple[Lease, SlotJob[Any], Timer]] = {}
        """By row, the admissions that will be written."""
        self._limiters: dict[str, RateLimiter] = {}
        """By path, the rate limiters of the lane's starts."""
        self._is_known = False
        """Whether the next holder knows the dialect of the server."""
        self._lease: Lease | None = None
        """The last one."""

    def limiter(self, path: str) -> RateLimiter:
        """The rate limiter of starts that are sent to ``path``."""
        limiter = self._limiters[path] = self._caller.rate_limiter(path)
        return limiter

    async def write_intent(self, held: HeldLease, job: SlotJob[Any]) -> bool:
        """Write that ``job`` is about to be started, unless that is written. Return False if it has ended."""
        row = _row(job)
        intent = self._intents.pop(row, None)
        if (
            intent is not None
            and (intent.attempts, intent.before) == (job.attempts, job.before)
            and self._clock.now() - intent.at < _INTENT_VALID_FOR
        ):
            return intent.written
        return await self._here.store.update_job(
            held.lease, row, **self._intent(job, job.attempts, job.before)
        )

    def _intent(self, job: SlotJob[Any], attempts: int, before: Operation | None) -> dict[str, Any]:
        return {
            "state": RowState.STARTING,
            "intent_at": self._clock.time(),
            "before": None if before is None else before.to_dict(),
            "attempts": attempts,
            "waits": waits_text(job.waits),
        }

    def forget_intent(self, row: str) -> bool:
        """Forget that the intent of ``row`` was written ahead. Return whether it was."""
        return self._intents.pop(row, None) is not None

    def admitted(self, held: HeldLease, job: SlotJob[Any]) -> None:
        """Note that the server has accepted ``job``. It is written in a moment, for other processes.

        Nothing depends on it: after a crash the status tells, and the outcome is written with the same.
        """
        row = _row(job)
        timer = self._clock.call_at(self._clock.now() + _SOON, lambda: self._write_admission(row))
        self._admissions[row] = held.lease, job, timer
        self.sent.discard(row)
        self.written.set()

    def _write_admission(self, row: str) -> None:
        lease, job, _ = self._admissions[row]
        self._forget_admission(row)
        values = {"state": RowState.ADMITTED, **self._admission(job)}
        self._here.store.update_job_soon(lease, row, limiter=self._news(), **values)

    def _forget_admission(self, row: str) -> None:
        """Do not write it later: it is written, or is being written now."""
        if row in self._admissions:
            *_, timer = self._admissions.pop(row)
            timer.cancel()

    def write_admissions(self) -> None:
        """Write now which jobs the server has accepted: the lease is given back."""
        for row in list(self._admissions):
            with suppress(StoreError):
                self._write_admission(row)

    def _admission(self, job: SlotJob[Any]) -> dict[str, Any]:
        return {
            "operation_id": job.id,
            "not_before": job.not_before,
            "attempts": job.attempts,
            "waits": waits_text(job.waits),
            "admitted_at": None if job.admitted_at is None else job.epoch(job.admitted_at),
        }

    async def write_refusal(self, held: HeldLease, job: SlotJob[Any]) -> None:
        """Write that the start of ``job`` was not accepted, with the limit that a 429 has named."""
        await self._here.store.update_job(held.lease, _row(job), limiter=self.known(), state=RowState.QUEUED)

    async def write(self, held: HeldLease, job: SlotJob[Any], start: NextStart | None, **values: Any) -> None:
        """Write columns of the row of ``job``; with them, the intent of ``start``."""
        row = _row(job)
        updates: list[tuple[str, dict[str, Any]]] = [(row, {**self._admission(job), **values})]
        if start is not None:
            updates.append((_row(start.job), self._intent(*start)))
        at = self._clock.now()
        # What its start has changed is written with its admission, or here.
        news = self._news() if row in self.sent or row in self._admissions else None
        done = await self._here.store.update_jobs(held.lease, *updates, limiter=news)
        self._forget_admission(row)
        if start is not None:
            self._intents[_row(start.job)] = _Intent(start.attempts, start.before, at, done[1])
        self.sent.discard(row)
        self.written.set()

    def _news(self) -> str | None:
        """What the next holder must know and the rows do not say; None: nothing.

        They say when starts were admitted. While no limit is known, that is all.
        """
        if self._is_known and all(limiter.unused for limiter in self._limiters.values()):
            return None
        return self.known()

    def known(self) -> str:
        """The dialect of the server, and what is known of the rate limits, as JSON."""
        dialect = self._lane.dialect
        self._is_known = dialect is not None
        paths = {path: limiter.snapshot() for path, limiter in self._limiters.items()}
        name = None if dialect is None else dialect.name
        return to_json({"dialect": name, "at": self._clock.time(), "paths": paths}).decode()

    def restore(self, lease: Lease, admitted: Mapping[str, Sequence[float]], *, unsaved: int) -> None:
        """Learn what another holder knew.

        Args:
            lease: The lease that it had before.
            admitted: By path, when the last starts of the lane were admitted, in epoch seconds.
            unsaved: How many starts that holder may have sent that are not in ``admitted``.
        """
        before, self._lease = self._lease, lease
        if before is not None and (before.lane, before.fence + 1) == (lease.lane, lease.fence):
            return  # no other process has held it since
        self._is_known = False
        content = json.loads(lease.limiter or "{}")
        name = content.get("dialect")
        if name is not None and self._lane.dialect is None:
            self._lane.dialect = Dialect[name]
        for path, snapshot in content.get("paths", {}).items():
            if snapshot is not None:
                self.limiter(path).restore(snapshot, unsaved=unsaved)
        for path, times in admitted.items():
            # The snapshot has the earlier ones.
            self.limiter(path).answered_at(at for at in times if at > content.get("at", 0.0))


def _row(job: SlotJob[Any]) -> str:
    assert job.row is not None  # noqa: S101  # jobs of a store have one
    return job.row
