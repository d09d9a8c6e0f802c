"""The status source of the Reflexio service: the requests that the engine's jobs make."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from reflexio_async._engine.models import Empty
from reflexio_async._engine.settings import RetryPolicy
from reflexio_async._engine.wire import encode, refusal_of
from reflexio_async.errors import NotFound
from reflexio_async.reflexio.api.aggregation import GET_PLAYBOOK_AGGREGATION_OPERATION
from reflexio_async.reflexio.api.evaluation import (
    CANCEL_EVALUATION_REGENERATION,
    GET_EVALUATION_REGENERATION_STATUS,
)
from reflexio_async.reflexio.api.identity import WHOAMI
from reflexio_async.reflexio.api.interactions import GET_LEARNING_STATUS
from reflexio_async.reflexio.api.operations import CANCEL_OPERATION, GET_OPERATION_STATUS
from reflexio_async.reflexio.jobs import AGGREGATION, LEARNING, REGENERATION, operation
from reflexio_async.reflexio.models.aggregation import ByOperation
from reflexio_async.reflexio.models.evaluation import ByRegeneration, CancelRegenerationRequest
from reflexio_async.reflexio.models.interactions import ByRequest
from reflexio_async.reflexio.models.operations import ByService, CancelOperationRequest

if TYPE_CHECKING:
    from pydantic import BaseModel

    from reflexio_async._engine.availability import Availability
    from reflexio_async._engine.call import Caller
    from reflexio_async._engine.jobs.kinds import Operation, PolledKind
    from reflexio_async._engine.settings import Settings
    from reflexio_async._engine.wire import EncodedRequest, Endpoint

T = TypeVar("T")

_TIMEOUT = 30.0  # seconds of one status request; the poller asks again anyway


class ReflexioStatus:
    """The status source of one Reflexio server. Every request is sent once: the next poll is its retry."""

    def __init__(self, caller: Caller, settings: Settings) -> None:
        self.url = settings.base_url
        self._caller = caller
        self._settings = settings.with_options(
            retry=RetryPolicy(max_attempts=1),
            timeout=min(settings.timeout, _TIMEOUT),
            raise_on_refusal=True,
        )
        self._operation_limiter = caller.rate_limiter(GET_OPERATION_STATUS.path)

    @property
    def availability(self) -> Availability:
        """Whether the server answers."""
        return self._caller.availability

    async def operation(self, service: str) -> Operation | None:
        """The latest operation of ``service``, or None when it never ran."""
        response = await self._caller.send(
            GET_OPERATION_STATUS,
            _operation_request(service),
            self._settings,
            limit_wait=0,
            rate_limiter=self._operation_limiter,
        )
        info = response.operation_status
        if info is not None:
            return operation(info)
        if not (response.msg or "").startswith("No operation found"):
            # Between claiming the slot and its first write the server cannot tell (server-behaviour: Status).
            caller = self._caller
            refusal = refusal_of(GET_OPERATION_STATUS, caller.service, response, caller.credentials.redact)
            if refusal is not None:
                raise refusal
        return None

    async def cancel(self, service: str) -> None:
        """Ask the server to stop the running operation of ``service``, no matter who started it."""
        request = CancelOperationRequest(service_name=service)
        await self._caller.send(CANCEL_OPERATION, encode(CANCEL_OPERATION, request), self._settings)

    async def organisation(self) -> str:
        """The id of the credential's organisation; empty at servers that do not tell (January's)."""
        try:
            return (await self._ask(WHOAMI, Empty())).org_id
        except NotFound as error:
            if not error.from_api:
                raise
            return ""

    async def status(self, kind: PolledKind[T], job_id: str) -> T:
        """The status of one job that has a status route of its own."""
        endpoint, request = _status_request(kind, job_id)
        return cast("T", await self._ask(endpoint, request))

    async def stop(self, kind: PolledKind[Any], job_id: str) -> None:
        """Ask the server to stop such a job. Only regenerations can be stopped."""
        assert kind is REGENERATION  # noqa: S101  # the only kind that is cancellable
        request = CancelRegenerationRequest(job_id=job_id)
        await self._caller.send(
            CANCEL_EVALUATION_REGENERATION, encode(CANCEL_EVALUATION_REGENERATION, request), self._settings
        )

    async def _ask(self, endpoint: Endpoint[T], request: BaseModel) -> T:
        return await self._caller.send(endpoint, encode(endpoint, request), self._settings, limit_wait=0)


@cache  # it is sent once a second
def _operation_request(service: str) -> EncodedRequest:
    return encode(GET_OPERATION_STATUS, ByService(service_name=service))


def _status_request(kind: PolledKind[Any], job_id: str) -> tuple[Endpoint[Any], BaseModel]:
    """The endpoint and the request that read the status of a job of ``kind``."""
    if kind is LEARNING:
        return GET_LEARNING_STATUS, ByRequest(request_id=job_id)
    if kind is AGGREGATION:
        return GET_PLAYBOOK_AGGREGATION_OPERATION, ByOperation(operation_id=job_id)
    assert kind is REGENERATION, kind.name  # noqa: S101  # a new kind needs a branch of its own
    return GET_EVALUATION_REGENERATION_STATUS, ByRegeneration(job_id=job_id)
