"""Operations: the one running generation of each service, and what the job desk asks of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from reflexio_async.api.late import mixin
from reflexio_async.core.cache import EVERYTHING
from reflexio_async.core.wire import Answer, model, refusal_of
from reflexio_async.jobs.kinds import AGGREGATION, LEARNING, REGENERATION
from reflexio_async.models.interactions import LearningStatusResponse, by_request
from reflexio_async.models.operations import (
    ByService,
    CancelOperationRequest,
    CancelOperationResponse,
    ClearUserDataRequest,
    ClearUserDataResponse,
    GetOperationStatusResponse,
    OperationStatusInfo,
    clear_user,
)
from reflexio_async.routing.route import Route
from reflexio_async.settings import RetryPolicy

if TYPE_CHECKING:
    from pydantic import BaseModel

    from reflexio_async.jobs.kinds import SingleKind
    from reflexio_async.pipeline import Pipeline
    from reflexio_async.settings import Settings

T = TypeVar("T")

_PROBE_TIMEOUT = 30.0  # seconds; the poller asks again anyway


class OperationsAPI:
    """The latest operation of each service."""

    get_operation_status = Route(
        "GET", "/api/get_operation_status", ByService, GetOperationStatusResponse, refusal="return"
    )
    """The latest operation of one service; ``success`` is False when it never ran."""

    cancel_operation = Route(
        "POST",
        "/api/cancel_operation",
        CancelOperationRequest,
        CancelOperationResponse,
        repeatable=True,
        refusal="return",
        per_minute=10,
    )
    """Ask for running operations to stop, whoever started them.

    ``job.cancel()`` makes sure first that the operation is its own.
    """

    clear_user_data = Route(
        "POST",
        "/api/clear_user_data",
        clear_user,
        ClearUserDataResponse,
        model=ClearUserDataRequest,
        repeatable=True,
        per_minute=10,
        forgets=EVERYTHING,
    )
    """Delete everything of one user; ``deleted_counts`` says how much of what."""


class StatusQuestions:
    """What the job desk asks of the server, one try at a time: polling is its own retry."""

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self.url = settings.base_url
        self._pipeline = pipeline
        self._settings = settings.with_options(
            retry=RetryPolicy(max_attempts=1),
            timeout=min(settings.timeout, _PROBE_TIMEOUT),
            raise_on_refusal=True,
        )

    async def operation(self, service: str) -> OperationStatusInfo | None:
        """The latest operation of ``service``, or None when it never ran."""
        endpoint = OperationsAPI.get_operation_status.endpoint
        answer = await self._pipeline.call(
            endpoint,
            ByService(service_name=service),
            model(GetOperationStatusResponse),
            self._settings,
            patience=0,
        )
        if answer.operation_status is None and not (answer.msg or "").startswith("No operation found"):
            # Between the claim of the slot and its first write the server cannot tell (fact).
            refusal = refusal_of(endpoint, answer, self._pipeline.credentials.redacted)
            if refusal is not None:
                raise refusal
        return answer.operation_status

    async def cancel(self, service: str) -> None:
        """Ask for the running operation of ``service`` to stop, whoever owns it."""
        request = CancelOperationRequest.model_validate({"service_name": service})
        row = OperationsAPI.cancel_operation
        await self._pipeline.call(row.endpoint, request, row.answer, self._settings)

    async def single(self, kind: SingleKind[T], job_id: str) -> T:
        """The status of one job that has a status route of its own."""
        if kind.name == LEARNING.name:
            answer: Answer[Any] = model(LearningStatusResponse)
            request: BaseModel = by_request(job_id)
            endpoint = _row("interactions", "get_learning_status").endpoint
        else:
            row = _row(*_STATUSES[kind.name])
            endpoint, request, answer = row.endpoint, row.make(job_id), row.answer
        status: T = await self._pipeline.call(endpoint, request, answer, self._settings, patience=0)
        return status

    async def stop_single(self, kind: SingleKind[Any], job_id: str) -> None:
        """Ask for such a job to stop."""
        row = _row(*_STOPS[kind.name])
        await self._pipeline.call(row.endpoint, row.make(job_id), row.answer, self._settings)


def _row(noun: str, name: str) -> Route[..., Any, Any]:
    row: Route[..., Any, Any] = vars(mixin(noun))[name]
    return row


_STATUSES = {
    AGGREGATION.name: ("aggregation", "get_playbook_aggregation_operation"),
    REGENERATION.name: ("evaluation", "get_evaluation_regeneration_status"),
}
_STOPS = {REGENERATION.name: ("evaluation", "cancel_evaluation_regeneration")}
