"""Clients that are broken on purpose, to show that the schedules find it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp

from reflexio_async import AsyncReflexioClient, BatchReport, Job, OutcomeState, ReflexioError
from reflexio_async._engine.batch import batch
from reflexio_async._engine.settings import Settings
from tests.faults import simulation
from tests.faults.schedules import (
    ForeignLoop,
    Outage,
    Publish,
    PublishBatch,
    Read,
    RerunBatch,
    Reruns,
    Schedule,
    ScheduledFault,
    StrayBytes,
)
from tests.scene import PUBLISH, STATUS

if TYPE_CHECKING:
    from collections.abc import Callable


class DeniesPublishes(AsyncReflexioClient):
    """Publishes, and reports an error all the same."""

    async def publish_interaction(self, *args: Any, **fields: Any) -> Any:
        await super().publish_interaction(*args, **fields)
        message = "nothing was sent"
        raise ReflexioError(message)


class AnswersEveryLoop(AsyncReflexioClient):
    """Does not look at the event loop that asks."""

    async def whoami(self) -> Any:
        return None


class ReadsStrayBytes(AsyncReflexioClient):
    """Takes whatever stands on a connection for its answer, as aiohttp itself does."""

    def __init__(self, **options: Any) -> None:
        self._session = aiohttp.ClientSession()
        super().__init__(session=self._session, **options)

    async def aclose(self, *, drain: bool = True) -> Any:
        summary = await super().aclose(drain=drain)
        await self._session.close()
        return summary


def break_the_client(patch: Callable[[Any, str, Any], object] = setattr) -> None:
    """Use ``DeniesPublishes`` in every simulation from now on."""
    patch(simulation, "AsyncReflexioClient", DeniesPublishes)


def answer_every_loop(patch: Callable[[Any, str, Any], object]) -> None:
    patch(simulation, "AsyncReflexioClient", AnswersEveryLoop)


def read_stray_bytes(patch: Callable[[Any, str, Any], object]) -> None:
    patch(simulation, "AsyncReflexioClient", ReadsStrayBytes)


def retry_no_lost_keys(patch: Callable[[Any, str, Any], object]) -> None:
    retry: Any = vars(BatchReport)["retry_failed"]

    def retry_failed(self: BatchReport[Any, Any], *states: Any) -> Any:
        return retry(self, *(state for state in states if state is not OutcomeState.LOST))

    patch(BatchReport, "retry_failed", retry_failed)


def retry_nothing_that_was_not_started(patch: Callable[[Any, str, Any], object]) -> None:
    retry: Any = vars(BatchReport)["retry_failed"]

    def retry_failed(self: BatchReport[Any, Any], *states: Any) -> Any:
        return retry(self, *(states or (OutcomeState.FAILED,)))

    patch(BatchReport, "retry_failed", retry_failed)


def retry_in_vain(patch: Callable[[Any, str, Any], object]) -> None:
    """The second batch stops before it has begun."""
    retry: Any = vars(BatchReport)["retry_failed"]

    def retry_failed(self: BatchReport[Any, Any], *states: Any) -> Any:
        again = retry(self, *states)
        again.start_nothing_more()
        return again

    patch(BatchReport, "retry_failed", retry_failed)


def call_the_unsent_lost(patch: Callable[[Any, str, Any], object]) -> None:
    state_of = batch._state_of

    def lost(error: BaseException) -> OutcomeState:
        state = state_of(error)
        return OutcomeState.LOST if state is OutcomeState.NOT_STARTED else state

    patch(batch, "_state_of", lost)


def ignore_wait_timeout(patch: Callable[[Any, str, Any], object]) -> None:
    result: Any = vars(Job)["result"]

    async def patient(self: Job[Any], **_: Any) -> Any:
        return await result(self)

    patch(Job, "result", patient)


def ignore_timeout(patch: Callable[[Any, str, Any], object]) -> None:
    with_options = Settings.with_options

    def without_timeout(self: Settings, **options: Any) -> Settings:
        options.pop("timeout", None)
        return with_options(self, **options)

    patch(Settings, "with_options", without_timeout)


class Breakage(NamedTuple):
    """A way to break the client, what the schedules say of it, and a schedule that shows it."""

    apply: Callable[[Callable[[Any, str, Any], object]], None]
    found: str
    schedule: Schedule


_STATUS_REFUSED = ScheduledFault("status", STATUS, (403,), times=None)
BREAKAGES = [
    Breakage(break_the_client, "was said to have failed and is stored", Schedule(steps=(Publish(),))),
    Breakage(answer_every_loop, "of another event loop was not refused", Schedule(steps=(ForeignLoop(),))),
    Breakage(
        read_stray_bytes,
        r"whoami\(\) has returned stray bytes",
        Schedule(steps=(Read(), StrayBytes(at=0.5), Read(at=1.0))),
    ),
    Breakage(
        retry_no_lost_keys,
        r"retry_failed\(\) reached \[\]",
        Schedule(
            steps=(PublishBatch(count=1),),
            timeout=3.0,
            scheduled_faults=(ScheduledFault("freeze", PUBLISH, after_effect=True, times=None),),
        ),
    ),
    Breakage(
        retry_nothing_that_was_not_started,
        r"retry_failed\(\) takes 0 of 1 keys",
        Schedule(steps=(RerunBatch(),), scheduled_faults=(_STATUS_REFUSED,)),
    ),
    Breakage(
        retry_in_vain,
        "not completed on a healthy server",
        Schedule(steps=(RerunBatch(),), scheduled_faults=(_STATUS_REFUSED,)),
    ),
    Breakage(
        call_the_unsent_lost,
        "is called lost, and was never sent",
        Schedule(steps=(RerunBatch(),), scheduled_faults=(ScheduledFault("html", STATUS, (200,)),)),
    ),
    Breakage(
        ignore_wait_timeout,
        r"its limit is 2\.0 s",
        Schedule(steps=(Reruns(wait_timeout=2.0),), rerun_seconds=45.0),
    ),
    Breakage(
        ignore_timeout,
        r"Read.* its limit is 3\.0 s",
        Schedule(steps=(Outage(seconds=600.0, kind="freeze"), Read(at=0.5))),
    ),
]
