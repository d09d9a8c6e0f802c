"""A sandbox, a client and its callers, on one virtual clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from reflexio_async import (
    AsyncReflexioClient,
    JobTimeout,
    OutcomeState,
    ReflexioError,
)
from reflexio_async.sandbox import Sandbox, VirtualClock
from tests.faults.actions import FORGED
from tests.faults.calls import Call, publish_of
from tests.faults.disturbances import SERVICES, Disturbances
from tests.faults.retries import Retries
from tests.faults.schedules import (
    ManualGeneration,
    Publish,
    PublishBatch,
    Read,
    RerunBatch,
    Reruns,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Generator, Iterable, Sequence

    from reflexio_async import Batch, BatchReport, Job, Outcome
    from reflexio_async.sandbox.reflexio.store.operation_slots import StoredOperation
    from tests.faults.schedules import Schedule, Step

LATE = 0.2  # seconds after its deadline by which a call must have ended
_PUBLISH_DEADLINE = 240.0  # server-behaviour: Deadlines; a publish has at least so long


class Simulation:
    """Carries out a schedule; ``calls`` holds what each caller was told, ``problems`` what was wrong."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.clock = VirtualClock()
        names = [f"user-{number}" for number in range(schedule.users)]
        failing = [] if schedule.failing is None else [f"user-{schedule.failing}"]
        self.box = Sandbox(
            clock=self.clock,
            dialect=schedule.dialect,
            rate_limits=schedule.rate_limits,
            rerun_seconds=schedule.rerun_seconds,
            failing_users=failing,
        )
        for name in names:
            self.box.seed(name)
        self.seeded = len(self.box.stored_requests)
        self.names = names
        self.calls: list[Call] = []
        self.problems: list[str] = []
        self.busy_refusals: Counter[str] = Counter()
        self.client: AsyncReflexioClient
        self.left = False
        self.retries = Retries()
        self.disturbances = Disturbances(self)
        self._watch_the_slots()

    def _watch_the_slots(self) -> None:
        for service in SERVICES:
            slot = self.box._process.reflexio.slots[service]
            claim = slot.claim

            def counting(
                params: dict[str, Any], claim: Any = claim, service: str = service
            ) -> StoredOperation | None:
                operation: StoredOperation | None = claim(params)
                self.busy_refusals[service] += operation is None
                return operation

            slot.claim = counting  # type: ignore[method-assign]

    async def run(self) -> None:
        schedule = self.schedule
        await self.box.start()
        self.client = AsyncReflexioClient(
            url_endpoint=self.box.url,
            clock=self.clock,
            timeout=schedule.timeout,
            concurrency=schedule.concurrency,
            raise_on_refusal=schedule.raise_on_refusal,
            drain_timeout=schedule.drain_timeout,
            on_background_error=lambda event: self.check_error(event.error, event.what),
        )
        await self.client.__aenter__()  # it belongs to this event loop from now on
        for fault in schedule.scheduled_faults:
            fault.add_to(self.box)
        tasks = [asyncio.create_task(self.step(step), name=repr(step)) for step in schedule.steps]
        try:
            await self._wait(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if not self.left:
                await self.client.aclose(drain=False)
            await self.box.stop()

    async def _wait(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        if self.schedule.leave_at is not None:
            await self.clock.sleep(self.schedule.leave_at)
            await self._leave(drain=not self.schedule.by_error)
        await asyncio.gather(*tasks)
        if not self.left:
            await self._must_be_quiet()
            self.judge()
            self.box.faults.clear()
            await self.retries.run(self)
            await self._leave(drain=True)

    def judge(self) -> None:
        """Add to ``problems`` whatever does not hold."""
        raise NotImplementedError

    async def _leave(self, *, drain: bool) -> None:
        self.left = True
        await self.client.aclose(drain=drain)

    async def _must_be_quiet(self) -> None:
        """Every caller has its answer: no request is sent any more, no waiter is registered."""
        jobs = self.client._engine.jobs
        await jobs.drained()
        await self.client._engine.loops.scope.finished()
        for lane in jobs.lanes:
            if lane._queue or lane._starting or lane._unresolved:
                self.problems.append(f"idle, but {lane._name} still has {lane._queue or lane._starting}")
        if jobs.poller.active:
            self.problems.append(
                f"no caller waits, but these are polled: {[s.name for s in jobs.poller.active]}"
            )
        await self.clock.sleep(1.0)
        while any(lane.slot.polling for lane in jobs.lanes):
            await self.clock.sleep(1.0)  # a probe that waits for a rate limit is sent all the same
        before = len(self.box.requests)
        await self.clock.sleep(100.0)
        if late := self.box.requests[before:]:
            self.problems.append(f"requests for no caller: {[(r.method, r.path) for r in late]}")

    # What callers do

    async def step(self, step: Step) -> None:
        await self.clock.sleep(step.at)
        match step:
            case RerunBatch():
                await self._cancelled_after(step.cancel_after, self._rerun_batch(step))
            case Reruns():
                await self._reruns(step)
            case ManualGeneration():
                await self._manual(step)
            case PublishBatch():
                await self._cancelled_after(step.cancel_after, self._publish_batch(step))
            case Publish():
                await self._publish(step)
            case Read():
                await self._read(step)
            case _:
                await self.disturbances.happen(step)

    async def _cancelled_after(self, seconds: float | None, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        timer = None
        if seconds is not None:
            timer = self.clock.call_at(self.clock.now() + seconds, task.cancel)
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            if timer is not None:
                timer.cancel()
        if not task.cancelled():
            task.result()

    @contextmanager
    def _ends_within(self, seconds: float | None, what: str) -> Generator[None]:
        """Check that the block ends by its deadline."""
        began = self.clock.now()
        try:
            yield
        finally:
            took = self.clock.now() - began
            if seconds is not None and took > seconds + LATE:
                self.problems.append(f"{what} took {took:.2f} s, and its limit is {seconds} s")

    def _new_calls(self, what: str, keys: Iterable[str], *, optional: bool = False) -> dict[str, Call]:
        calls = {key: Call(what, key, optional=optional) for key in keys}
        self.calls.extend(calls.values())
        return calls

    def new_call_like(self, call: Call) -> Call:
        """The call by which ``call`` is retried."""
        call.retried = True
        self.calls.append(again := Call(call.what, call.key))
        return again

    def _users(self, first: int, count: int) -> list[str]:
        return self.names[first : first + count]

    async def _rerun_batch(self, step: RerunBatch) -> None:
        users = self._users(step.first, step.count)
        loose = step.cancel_after is not None or step.leave_after is not None
        calls = self._new_calls("rerun", users, optional=loose)
        try:
            batch = self.client.rerun_profiles_many(
                users,
                concurrency=step.concurrency,
                wait_timeout=step.wait_timeout,
                fail_fast=step.fail_fast,
            )
            report = await self._batch(batch, calls, step.streamed, step.stop_after, step.leave_after)
            if report is not None:
                self.retries.add(step, report, calls)
        except ReflexioError:
            if not self.left:
                raise

    async def _batch(
        self,
        batch: Batch[str, Any],
        calls: dict[str, Call],
        streamed: bool,  # noqa: FBT001
        stop_after: float | None,
        leave_after: int | None = None,
    ) -> BatchReport[str, Any] | None:
        timer = None
        if stop_after is not None:
            timer = self.clock.call_at(self.clock.now() + stop_after, batch.stop)
        try:
            if streamed:
                async with batch:
                    async for number, outcome in _numbered(batch):
                        self.note_outcome(calls, outcome)
                        if number == leave_after:
                            break
            else:
                report = await batch
                for outcome in report:
                    self.note_outcome(calls, outcome)
                return report
        except ReflexioError as error:
            self.check_error(error, "batch")
            if not self.left:
                raise
            for call in calls.values():
                call.optional = True
        finally:
            if timer is not None:
                timer.cancel()
        return None

    def note_outcome(self, calls: dict[str, Call], outcome: Outcome[str, Any]) -> None:
        call = calls[outcome.key]
        call.end(outcome.result, outcome.error)
        call.state = outcome.state
        if (outcome.state is OutcomeState.COMPLETED) != (outcome.error is None):
            self.problems.append(f"{outcome}: state and error disagree")
        if outcome.state is OutcomeState.LOST and not outcome.attempts:
            self.problems.append(f"{outcome}: lost, and its request was never sent")
        if outcome.error is not None and outcome.result is not None:
            self.problems.append(f"{outcome}: both a result and an error")

    async def _reruns(self, step: Reruns) -> None:
        if step.playbooks:
            calls = self._new_calls("playbook rerun", [f"agent-v{n}" for n in range(step.count)])
        else:
            calls = self._new_calls("rerun", self._users(step.first, step.count))
        tasks = [
            asyncio.create_task(self._one(call, step), name=f"one {call.key}") for call in calls.values()
        ]
        if step.disturb_after is not None:
            await self.clock.sleep(step.disturb_after)
            for number, (call, task) in enumerate(zip(calls.values(), tasks, strict=True)):
                await self._disturb(number, call, task)
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _disturb(self, number: int, call: Call, task: asyncio.Task[None]) -> None:
        if number % 4 == 0:
            call.abandoned = call.ends == 0
            task.cancel()
        elif number % 4 == 1 and call.job is not None:
            try:
                await call.job.cancel()
            except ReflexioError as error:
                self.check_error(error, "cancel")
        elif number % 4 == 2 and call.job is not None:
            try:
                await call.job.refresh()
            except ReflexioError as error:
                self.check_error(error, "refresh")

    async def _one(self, call: Call, step: Reruns) -> None:
        try:
            with self._ends_within(self.schedule.timeout, f"the start of {call.key}"):
                if step.playbooks:
                    job: Job[Any] = await self.client.rerun_playbook_generation(agent_version=call.key)
                else:
                    job = await self.client.rerun_profile_generation(user_id=call.key)
            call.job = job
            if step.watch:
                await self._watched(job)
            call.end(await self._result(job, step))
        except ReflexioError as error:
            call.end(error=error)

    async def _result(self, job: Job[Any], step: Reruns) -> Any:
        try:
            with self._ends_within(step.wait_timeout, f"{job}.result()"):
                return await job.result(wait_timeout=step.wait_timeout, poll_interval=step.poll_interval)
        except JobTimeout as timeout:
            if not step.resume or timeout.token is None:
                raise
            return await self.client.job(timeout.token).result(wait_timeout=700.0)

    async def _watched(self, job: Job[Any]) -> None:
        last = None
        with suppress(TimeoutError):
            async with self.clock.timeout(1000.0):
                async for status in job.watch():
                    if last is not None and last.done:
                        self.problems.append(f"watch went on after {last}")
                    last = status

    async def _manual(self, step: ManualGeneration) -> None:
        [call] = self._new_calls("manual", self._users(step.user, 1)).values()
        try:
            if step.forget:
                await self.client.manual_profile_generation(user_id=call.key)
                call.abandoned = True
            else:
                with self._ends_within(step.wait_timeout, f"manual_profile_generation of {call.key}"):
                    answer = await self.client.manual_profile_generation(
                        user_id=call.key, wait_for_response=True, wait_timeout=step.wait_timeout
                    )
                call.end(answer)
        except ReflexioError as error:
            call.end(error=error)

    def _text(self) -> str:
        return f"text {len(self.calls)}"

    async def _publish_batch(self, step: PublishBatch) -> None:
        calls: dict[str, Call] = {}
        items: list[dict[str, Any]] = []
        for number in range(step.count):
            [call] = self._new_calls(
                "publish", [self._text()], optional=step.cancel_after is not None
            ).values()
            request_id = f"own-{step.at}-{number}-{len(self.calls)}" if step.own_ids else f"made-{call.key}"
            calls[request_id] = call
            items.append(publish_of(call.key, request_id))
        try:
            batch = self.client.publish_many(items, concurrency=step.concurrency)
            report = await self._batch(batch, calls, step.streamed, step.stop_after)
            if report is not None:
                self.retries.add(step, report, calls)
        except ReflexioError:
            if not self.left:
                raise

    async def _publish(self, step: Publish) -> None:
        [call] = self._new_calls("publish", [self._text()]).values()
        try:
            with self._ends_within(
                max(self.schedule.timeout, _PUBLISH_DEADLINE), f"the publish of {call.key}"
            ):
                receipt = await self.client.publish_interaction(**publish_of(call.key, step.request_id))
        except ReflexioError as error:
            call.end(error=error)
            return
        call.end(receipt if receipt.success else None, None)
        if not receipt.success:
            call.abandoned = True
        elif step.learn and receipt.request_id is not None:
            try:
                await self.client.learning(receipt.request_id)
            except ReflexioError as error:
                self.check_error(error, "learning")

    async def _read(self, step: Read) -> None:
        try:
            with self._ends_within(step.timeout, f"{step}"):
                who = await self.client.with_options(timeout=step.timeout).whoami()
        except ReflexioError:
            return
        if who.org_id == FORGED:
            self.problems.append("whoami() has returned stray bytes")

    def check_error(self, error: BaseException, where: str) -> None:
        if not isinstance(error, ReflexioError):
            self.problems.append(f"{where}: {error!r} is no ReflexioError")


async def _numbered(batch: Batch[str, Any]) -> AsyncGenerator[tuple[int, Outcome[str, Any]]]:
    number = 0
    async for outcome in batch:
        number += 1
        yield number, outcome
