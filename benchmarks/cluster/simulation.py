"""Many organisations, workers that die, and time that is simulated: is every user started once, and how late?

``python -m benchmarks.cluster.simulation [ORGANISATIONS USERS WORKERS]``, by default 1,000, 1,000 and 20. A
worker drives up to 200 lanes.

Simulated are the servers (one job at a time, five starts in a fixed window, refused starts count, the slot
shows its latest operation), procrastinate's queue of drains, and workers that are killed or frozen at random
moments, between any two steps. The rules of a lane are either the real ``Store`` on SQLite in memory, or
``Rules``: the same rules in a few lines, for a million jobs.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import random
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.cluster.rules import LEASE, Lost, Rules, StoreRules

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from benchmarks.cluster.rules import LaneRules, Row

RENEWED, SLICE, LOOK = 5.0, 60.0, 10.0  # seconds, as in the library
_SENDING = 0.02  # seconds until a request arrives, and until its response does
HITS, WINDOW, MARGIN = 5, 60.0, 0.25
QUERIES = {"start": 4, "admit": 4, "end": 4, "renew": 1, "acquire": 4, "release": 1, "rows": 2, "drain": 8}
"""Statements of each step, those that begin and end transactions included; a drain has procrastinate's."""


class Server:
    """The server of one organisation."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._ids = count()
        self.started: Counter[int] = Counter()
        self.refused = 0
        self.latest: tuple[int, int] | None = None
        """The operation that has the slot, and its user."""
        self.ends_at = 0.0
        self._window_end = 0.0
        self._hits = 0

    def start(self, user: int, now: float) -> int | None:
        """The operation; None: 429. A busy slot is an error of the client."""
        if now >= self._window_end:
            self._window_end, self._hits = now + WINDOW, 0
        self._hits += 1
        if self._hits > HITS:
            self.refused += 1
            return None
        if now < self.ends_at:
            message = "a start was sent while another job ran"
            raise AssertionError(message)
        self.started[user] += 1
        self.latest = next(self._ids), user
        self.ends_at = now + self._rng.uniform(2.0, 15.0)
        return self.latest[0]


@dataclass
class Limiter:
    """What a worker knows of the rate limit. The first refusal teaches it."""

    known: bool = False
    window_end: float = 0.0
    used: int = 0

    @classmethod
    def of(cls, text: str | None, *, now: float, unsaved: bool) -> Limiter:
        """``unsaved``: the worker that wrote it may have sent one more."""
        made = cls(*json.loads(text)) if text else cls()
        if unsaved:
            made.hit(now)
        return made

    def text(self) -> str:
        return json.dumps([self.known, self.window_end, self.used])

    def opens_in(self, now: float) -> float:
        if now >= self.window_end:
            return 0.0
        return self.window_end - now if self.known and self.used >= HITS else 0.0

    def hit(self, now: float) -> None:
        if now >= self.window_end:
            # The server may open its window a little later than the hit is sent.
            self.window_end, self.used = now + WINDOW + MARGIN, 0
        self.used += 1

    def learn(self, now: float) -> None:
        """A start was refused."""
        self.known, self.window_end, self.used = True, now + WINDOW + MARGIN, HITS


class Report(NamedTuple):
    """How a simulation ended."""

    jobs: int
    exact: int
    refused: int
    deaths: int
    freezes: int
    virtual_seconds: float
    ideal_seconds: float
    longest_takeover: float
    queries: int
    busiest_minute: int
    most_lanes_driven: int
    longest_wait_for_a_worker: float


class Faults(NamedTuple):
    """How often workers fail.

    Attributes:
        mean_life: Seconds after which a worker is killed, on average.
        mean_freeze: Seconds between two times that it is frozen, on average.
        restart: Seconds after which a new worker comes.
        at_start: How likely a worker is killed, or frozen, while one start is sent.
    """

    mean_life: float = 1200.0
    mean_freeze: float = 3600.0
    restart: float = 30.0
    at_start: float = 0.0001


class Worker:
    """A process that may be killed or frozen between any two steps."""

    def __init__(self) -> None:
        self.dead = False
        self.frozen_until = 0.0
        self.driving = 0
        self.held: dict[tuple[int, int], float] = {}
        """When its leases end, by lane and fence."""


class Held(NamedTuple):
    """A lane that a worker drives."""

    worker: Worker
    lane: int
    fence: int
    limiter: Limiter


class Simulation:
    """Virtual time, and everything that happens in it."""

    def __init__(
        self,
        organisations: int,
        users: int,
        workers: int,
        faults: Faults,
        *,
        lanes: int = 200,
    ) -> None:
        self.now = 0.0
        self._rng = random.Random(1)  # noqa: S311  # every run is the same
        self._organisations, self._users = organisations, users
        self._lanes = lanes
        self._faults = faults
        self._events: list[tuple[float, int, Callable[[], Coroutine[object, object, None]]]] = []
        self._numbers = count()
        self.servers = [Server(self._rng) for _ in range(organisations)]
        self._drains: deque[tuple[int, float]] = deque((lane, 0.0) for lane in range(organisations))
        self._workers: list[Worker] = []
        self._worker_count = workers
        self._left = organisations
        self._finished = [False] * organisations
        self._lease_end = [0.0] * organisations
        self._pending = [1] * organisations
        """Drains of each lane that wait."""
        self._gone_at: dict[int, float] = {}
        """Lanes whose worker has died or frozen, and when."""
        self._minutes: Counter[int] = Counter()
        self._deaths = self._freezes = 0
        self._takeover = self._wait = 0.0
        self._most = 0

    def at(self, when: float, action: Callable[[], Coroutine[object, object, None]]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), action))

    def count(self, step: str) -> None:
        self._minutes[int(self.now // 60)] += QUERIES[step]

    async def run(self, rules: LaneRules) -> Report:
        self._rules = rules
        for _ in range(self._worker_count):
            self._hire()
        self.at(LOOK, self._look)
        while self._left:
            self.now, _, action = heapq.heappop(self._events)
            await action()
        exact = sum(server.started[user] == 1 for server in self.servers for user in range(self._users))
        ideal = -(-self._users // HITS) * (WINDOW + MARGIN)
        return Report(
            jobs=self._organisations * self._users,
            exact=exact,
            refused=sum(server.refused for server in self.servers),
            deaths=self._deaths,
            freezes=self._freezes,
            virtual_seconds=self.now,
            ideal_seconds=ideal,
            longest_takeover=self._takeover,
            queries=sum(self._minutes.values()),
            busiest_minute=max(self._minutes.values()),
            most_lanes_driven=self._most,
            longest_wait_for_a_worker=self._wait,
        )

    # Workers

    def _hire(self) -> None:
        worker = Worker()
        self._workers.append(worker)
        self.at(self.now + self._rng.expovariate(1 / self._faults.mean_life), lambda: self._kill(worker))
        self._freeze_later(worker)
        self.at(self.now, lambda: self._offer(worker))

    async def _kill(self, worker: Worker) -> None:
        if worker.dead:
            return
        worker.dead = True
        self._gone_at |= {
            lane: self.now for (lane, _), end in worker.held.items() if self._lease_end[lane] == end
        }
        self._deaths += 1
        self._workers.remove(worker)

        async def hire() -> None:
            self._hire()

        self.at(self.now + self._faults.restart, hire)

    async def _freeze(self, worker: Worker) -> None:
        if not worker.dead:
            self._freezes += 1
            worker.frozen_until = self.now + self._rng.uniform(5.0, 60.0)
            self.at(worker.frozen_until, lambda: self._offer(worker))

    async def _freeze_often(self, worker: Worker) -> None:
        await self._freeze(worker)
        self._freeze_later(worker)

    def _freeze_later(self, worker: Worker) -> None:
        if not worker.dead:
            when = self.now + self._rng.expovariate(1 / self._faults.mean_freeze)
            self.at(when, lambda: self._freeze_often(worker))

    async def _offer(self, worker: Worker) -> None:
        """Give the worker drains, as many as it has room for."""
        while (
            self._drains
            and not worker.dead
            and worker.driving < self._lanes
            and worker.frozen_until <= self.now
        ):
            lane, queued_at = self._drains.popleft()
            self._pending[lane] -= 1
            waited = self.now - queued_at
            self._wait = max(self._wait, waited)
            worker.driving += 1
            self._most = max(self._most, sum(other.driving for other in self._workers))
            self.count("drain")
            self._spawn(worker, self._drain(worker, lane, waited))

    def _queue(self, lane: int) -> None:
        """A drain is due: some worker with room takes it."""
        self._drains.append((lane, self.now))
        self._pending[lane] += 1
        ready = [w for w in self._workers if w.driving < self._lanes and w.frozen_until <= self.now]
        if ready:
            worker = self._rng.choice(ready)
            self.at(self.now + 0.01, lambda: self._offer(worker))

    async def _look(self) -> None:
        """Some worker looks for lanes that nobody drives: one died with a drain that it had just taken."""
        for lane, finished in enumerate(self._finished):
            if not finished and not self._pending[lane] and self._lease_end[lane] < self.now:
                self._queue(lane)
        self.at(self.now + LOOK, self._look)

    # Driving a lane: what happens between two yields happens at once, and a worker may die at each

    def _spawn(self, worker: Worker, steps: AsyncGenerator[float]) -> None:
        async def go() -> None:
            if worker.dead:
                return
            if worker.frozen_until > self.now:
                self.at(worker.frozen_until, go)
                return
            try:
                seconds = await anext(steps)
            except (StopAsyncIteration, Lost):
                worker.driving -= 1
                self.at(self.now, lambda: self._offer(worker))
            else:
                if seconds == _SENDING and self._rng.random() < self._faults.at_start:
                    await self._rng.choice((self._kill, self._freeze))(worker)
                self.at(self.now + seconds, go)

        self.at(self.now, go)

    def _leased(self, worker: Worker, lane: int, fence: int) -> None:
        """A lease was taken or renewed. When it ends, the others see it."""
        end = self._lease_end[lane] = self.now + LEASE
        worker.held[lane, fence] = end

        async def look() -> None:
            if self._lease_end[lane] == end and not self._finished[lane]:
                self._queue(lane)

        self.at(end + 0.1, look)

    async def _drain(self, worker: Worker, lane: int, waited: float) -> AsyncGenerator[float]:
        """Drive a lane. ``waited``: seconds that the drain waited because no worker had room."""
        got = await self._rules.acquire(lane, self.now)
        self.count("acquire")
        if got is None or self._finished[lane]:
            return
        fence, text = got
        self._leased(worker, lane, fence)
        gone_at = self._gone_at.pop(lane, self.now)
        self._takeover = max(self._takeover, self.now - gone_at - waited)
        row = await self._rules.next_row(lane)
        limiter = Limiter.of(text, now=self.now, unsaved=row is not None and row.state == "starting")
        held = Held(worker, lane, fence, limiter)
        slice_end = self.now + SLICE
        while row is not None:
            if row.state == "starting":
                yield 0.05  # the status is asked
                row = await self._recovered(held, row)
            if row.state != "admitted":
                opens_in = limiter.opens_in(self.now)
                if opens_in > 2.0 or self.now > slice_end:
                    await self._release(held)
                    self._later(lane, opens_in)
                    return
                async for seconds in self._waiting(held, opens_in):
                    yield seconds
                before = self.servers[lane].latest
                row = row._replace(state="starting", before=None if before is None else before[0])
                await self._write(held, row, "start")
                yield _SENDING
                operation = self._start(held, row)
                yield _SENDING
                if operation is None:
                    limiter.learn(self.now)
                    row = row._replace(state="queued")
                else:
                    row = row._replace(state="admitted", operation=operation)
                await self._write(held, row, "admit")
            if row.state == "admitted":
                runs_for = self.servers[lane].ends_at - self.now
                async for seconds in self._waiting(held, runs_for + self._rng.uniform(0.1, 1.0)):
                    yield seconds
                await self._write(held, row._replace(state="ended"), "end")
            row = await self._rules.next_row(lane)
            self.count("rows")
        await self._release(held)
        self._finished[lane] = True
        self._left -= 1

    async def _waiting(self, held: Held, seconds: float) -> AsyncGenerator[float]:
        """Wait, and renew the lease meanwhile."""
        until = self.now + seconds
        while self.now < until:
            yield min(RENEWED, until - self.now)
            if self.now < until:
                await self._rules.renew(held.lane, held.fence, self.now)
                self._leased(held.worker, held.lane, held.fence)
                self.count("renew")

    async def _recovered(self, held: Held, row: Row) -> Row:
        """``row`` after the status was asked whether its start, of a worker that is gone, began."""
        latest = self.servers[held.lane].latest
        if latest is None or latest[0] == row.before:
            return row
        row = row._replace(state="admitted", operation=latest[0])
        await self._write(held, row, "admit")
        return row

    def _start(self, held: Held, row: Row) -> int | None:
        if self.now >= held.worker.held[held.lane, held.fence]:
            raise Lost  # the last look before bytes leave
        held.limiter.hit(self.now)
        return self.servers[held.lane].start(row.user, self.now)

    async def _write(self, held: Held, row: Row, step: str) -> None:
        await self._rules.write(held.lane, held.fence, row, held.limiter.text())
        self.count(step)

    async def _release(self, held: Held) -> None:
        await self._rules.release(held.lane, held.fence)
        self._lease_end[held.lane] = 0.0
        held.worker.held.pop((held.lane, held.fence), None)
        self.count("release")

    def _later(self, lane: int, seconds: float) -> None:
        self._pending[lane] += 1

        async def queue() -> None:
            self._pending[lane] -= 1
            self._queue(lane)

        self.at(self.now + seconds, queue)


async def simulated(
    organisations: int, users: int, workers: int, faults: Faults | None = None, *, real_store: bool = False
) -> Report:
    """Simulate so many organisations and workers until every user is done."""
    simulation = Simulation(organisations, users, workers, faults or Faults())
    if real_store:
        return await simulation.run(await StoreRules.made(organisations, users, lambda: simulation.now))
    return await simulation.run(Rules(organisations, users))


def main() -> None:
    organisations, users, workers = map(int, sys.argv[1:4] or (1000, 1000, 20))
    began = time.perf_counter()
    report = asyncio.run(simulated(organisations, users, workers))
    for name, value in report._asdict().items():
        print(f"{value:16,.1f}  {name.replace('_', ' ')}")
    print(f"{time.perf_counter() - began:16,.1f}  seconds of real time")


if __name__ == "__main__":
    main()
