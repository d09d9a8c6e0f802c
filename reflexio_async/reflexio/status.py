"""The status calls of the Reflexio service, for its jobs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from reflexio_async._engine.settings import RetryPolicy
from reflexio_async._engine.wire import Answer, model, refusal_of
from reflexio_async.reflexio.api.late import mixin
from reflexio_async.reflexio.jobs import AGGREGATION, LEARNING, REGENERATION, operation

if TYPE_CHECKING:
    from pydantic import BaseModel

    from reflexio_async._engine.call import Caller
    from reflexio_async._engine.jobs.kinds import Operation, PolledKind
    from reflexio_async._engine.routing.route import Route
    from reflexio_async._engine.settings import Settings
    from reflexio_async.reflexio.models.operations import OperationStatusInfo

T = TypeVar("T")

_TIMEOUT = 30.0  # seconds for one status call; the poller asks again anyway

_STATUSES = {
    LEARNING.name: ("interactions", "get_learning_status"),
    AGGREGATION.name: ("aggregation", "get_playbook_aggregation_operation"),
    REGENERATION.name: ("evaluation", "get_evaluation_regeneration_status"),
}
_STOPS = {REGENERATION.name: ("evaluation", "cancel_evaluation_regeneration")}


class ReflexioStatus:
    """The status calls. Each is sent once, without retries: the poller asks again anyway."""

    def __init__(self, caller: Caller, settings: Settings) -> None:
        self.url = settings.base_url
        self._caller = caller
        self._settings = settings.with_options(
            retry=RetryPolicy(max_attempts=1),
            timeout=min(settings.timeout, _TIMEOUT),
            raise_on_refusal=True,
        )

    async def operation(self, service: str) -> Operation | None:
        """The latest operation of ``service``, or None when it never ran."""
        row = _row("operations", "get_operation_status")
        answer = await self._ask(row, row.make(service_name=service), row.answer)
        if answer.operation_status is None and not (answer.msg or "").startswith("No operation found"):
            # The server cannot tell between the claim of a slot and its first write to it.
            refusal = refusal_of(row.endpoint, answer, self._caller.credentials.redacted)
            if refusal is not None:
                raise refusal
        info: OperationStatusInfo | None = answer.operation_status
        return None if info is None else operation(info)

    async def cancel(self, service: str) -> None:
        """Ask the server to stop the running operation of ``service``, no matter who started it."""
        row = _row("operations", "cancel_operation")
        await self._caller.call(row.endpoint, row.make(service_name=service), row.answer, self._settings)

    async def status(self, kind: PolledKind[T], job_id: str) -> T:
        """The answer of the status route of one job."""
        row = _row(*_STATUSES[kind.name])
        answer: Answer[T] = _learning() if kind.name == LEARNING.name else row.answer
        return await self._ask(row, row.make(job_id), answer)

    async def stop(self, kind: PolledKind[Any], job_id: str) -> None:
        """Ask the server to stop one job that has a status route of its own."""
        row = _row(*_STOPS[kind.name])
        await self._caller.call(row.endpoint, row.make(job_id), row.answer, self._settings)

    async def _ask(self, row: Route[..., Any, Any], request: BaseModel, answer: Answer[T]) -> T:
        return await self._caller.call(row.endpoint, request, answer, self._settings, limit_wait=0)


@cache
def _learning() -> Answer[Any]:
    """The whole answer, of which the row picks the one word that callers want."""
    from reflexio_async.reflexio.models.interactions import LearningStatusResponse  # noqa: PLC0415  # loads late

    return model(LearningStatusResponse)


def _row(noun: str, name: str) -> Route[..., Any, Any]:
    row: Route[..., Any, Any] = vars(mixin(noun))[name]
    return row
