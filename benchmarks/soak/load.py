"""What the callers of a soak do, each again and again."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from benchmarks.soak.server import EMAIL, PASSWORD
from reflexio_async import JobState, JobTimeout, OutcomeState, ReflexioError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from reflexio_async import AsyncReflexioClient, Batch, BatchReport

USERS = 200
PAUSE = 0.02  # seconds between two rounds of one caller
_TURN = {"role": "user", "content": "I like tea"}
_TRACE: dict[str, Any] = {
    "task": "sort a list",
    "trajectory": [{"role": "user", "content": "sort [2, 1]"}, {"role": "assistant", "content": "[1, 2]"}],
    "review_result": "pass",
}


class Load:
    """The callers of one client, and how their calls ended.

    Args:
        client: The client that they share.
        make_client: Makes another client, for a caller that makes and closes one in each round.
    """

    def __init__(self, client: AsyncReflexioClient, make_client: Callable[[], AsyncReflexioClient]) -> None:
        self.client = client
        self.calls = 0
        self.failures: Counter[str] = Counter()
        """By type of error."""
        self.outside: Counter[str] = Counter()
        """Errors that are no ReflexioError."""
        self._make_client = make_client
        self._user = 0

    async def run(self) -> None:
        """Work until cancelled."""
        rounds = [
            self._reads, self._publish, self._rerun, self._dropped_rerun, self._rerun_batch,
            self._publish_batch, self._trace, self._trace_batch, self._login, self._short_client,
        ]  # fmt: skip
        async with asyncio.TaskGroup() as group:
            for one in rounds:
                group.create_task(self._again_and_again(one))

    async def _again_and_again(self, one: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await one()
            await asyncio.sleep(PAUSE)

    async def _made(self, call: Awaitable[Any]) -> Any:
        """The answer of one call. An error is counted, and None is returned."""
        self.calls += 1
        try:
            return await call
        except Exception as error:  # noqa: BLE001  # what is none of ours is told at the end
            self.count_failure(error)

    def count_failure(self, error: BaseException) -> None:
        name = type(error).__name__
        self.failures[name] += 1
        if not isinstance(error, ReflexioError):
            self.outside[f"{name}: {error}"] += 1

    def _next_user(self) -> str:
        self._user += 1
        return f"user-{self._user % USERS}"

    async def _reads(self) -> None:
        user, client = self._next_user(), self.client
        await self._made(client.get_profiles(user_id=user, force_refresh=True))
        await self._made(client.search_user_profiles(user_id=user, query="tea"))
        await self._made(client.get_interactions(user_id=user))
        await self._made(client.whoami())

    async def _publish(self) -> None:
        receipt = await self._made(
            self.client.publish_interaction(self._next_user(), [_TURN], session_id="s")
        )
        if receipt is not None and receipt.request_id is not None:
            await self._made(self.client.learning(receipt.request_id).result(wait_timeout=2.0))

    async def _rerun(self) -> None:
        job = await self._made(self.client.rerun_profile_generation(user_id=self._next_user()))
        if job is None:
            return
        self.calls += 1
        try:
            await job.result(wait_timeout=0.5)
        except JobTimeout as timeout:
            self.count_failure(timeout)
            if timeout.token is not None:
                await self._made(self.client.job(timeout.token).result(wait_timeout=5.0))
        except ReflexioError as error:
            self.count_failure(error)

    async def _dropped_rerun(self) -> None:
        job = await self._made(self.client.rerun_profile_generation(user_id=self._next_user()))
        # Else the queue would grow: nothing but the lane's width limits starts that nobody awaits.
        while job is not None and job.status.state is JobState.QUEUED:  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(PAUSE)

    async def _rerun_batch(self) -> None:
        users = [self._next_user() for _ in range(20)]
        await self._batch(self.client.rerun_profiles_many(users, wait_timeout=5.0, outage_timeout=5.0))

    async def _publish_batch(self) -> None:
        items = [
            {"user_id": self._next_user(), "session_id": "s", "interactions": [_TURN]} for _ in range(10)
        ]
        await self._batch(self.client.publish_many(items, outage_timeout=5.0))

    async def _trace(self) -> None:
        reflect = self.client.reflect
        trace = await self._made(reflect.create_trace_and_wait(**_TRACE, wait_timeout=5.0))
        if trace is not None:
            await self._made(reflect.get_trace(trace.id))
        await self._made(reflect.augment_with_memories("sort a list"))

    async def _trace_batch(self) -> None:
        reflect = self.client.reflect
        report = await self._batch(
            reflect.create_traces_many([_TRACE] * 10, wait_timeout=5.0, outage_timeout=5.0)
        )
        # A path of its own for each; what is learned of a path is forgotten some day.
        for outcome in report or ():
            if outcome.result is not None:
                await self._made(reflect.get_trace(outcome.result.id))

    async def _batch(self, batch: Batch[Any, Any]) -> BatchReport[Any, Any] | None:
        report: BatchReport[Any, Any] | None = await self._made(batch)
        if report is None:
            return None
        self.calls += len(report)
        for outcome in report:
            if outcome.error is not None:
                self.count_failure(outcome.error)
        if not report.ok:
            again = await report.retry_failed(*OutcomeState)
            self.calls += len(again)
        return report

    async def _login(self) -> None:
        await self._made(self.client.login(EMAIL, PASSWORD))
        await asyncio.sleep(0.5)

    async def _short_client(self) -> None:
        async with self._make_client() as client:
            await self._made(client.login(EMAIL, PASSWORD))
            await self._made(client.whoami())
