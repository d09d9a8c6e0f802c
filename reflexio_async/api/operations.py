"""Operations: the one running generation of each service, and what the job desk asks of the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pydantic import BaseModel

from reflexio_async.api.aggregation import AggregationAPI
from reflexio_async.api.evaluation import EvaluationAPI
from reflexio_async.core.wire import Answer, Endpoint, model, refusal_of
from reflexio_async.jobs.kinds import AGGREGATION, LEARNING, REGENERATION
from reflexio_async.models.interactions import LearningStatusResponse, by_request
from reflexio_async.models.operations import (
    ByService,
    CancelOperationRequest,
    CancelOperationResponse,
    GetOperationStatusResponse,
    OperationStatusInfo,
)
from reflexio_async.routing.route import Route
from reflexio_async.settings import RetryPolicy

if TYPE_CHECKING:
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
            endpoint, ByService(service_name=service), model(GetOperationStatusResponse), self._settings
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
        endpoint, by_id, answer = _STATUSES[kind.name]
        status: T = await self._pipeline.call(endpoint, by_id(job_id), answer, self._settings)
        return status

    async def stop_single(self, kind: SingleKind[Any], job_id: str) -> None:
        """Ask for such a job to stop."""
        endpoint, by_id, answer = _STOPS[kind.name]
        await self._pipeline.call(endpoint, by_id(job_id), answer, self._settings)


_ById: TypeAlias = tuple[Endpoint, Callable[[str], BaseModel], Answer[Any]]


def _of(row: Route[..., Any, Any]) -> _ById:
    return row.endpoint, row.make, row.answer


_LEARNING = Endpoint("GET", "/api/learning_status", repeatable=True, per_minute=120)
_STATUSES: Mapping[str, _ById] = {
    LEARNING.name: (_LEARNING, by_request, model(LearningStatusResponse)),
    AGGREGATION.name: _of(AggregationAPI.get_playbook_aggregation_operation),
    REGENERATION.name: _of(EvaluationAPI.get_evaluation_regeneration_status),
}
_STOPS: Mapping[str, _ById] = {REGENERATION.name: _of(EvaluationAPI.cancel_evaluation_regeneration)}
