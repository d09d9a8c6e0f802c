"""How a job ended, as JSON in its row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from reflexio_async import errors
from reflexio_async._engine.jobs.status import JobState, JobStatus
from reflexio_async.errors import JobError, ReflexioError, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async._engine.jobs.record import JobRecord

_STATUS = ("progress", "processed_users", "total_users", "failed_users", "message", "error", "started_at")
WITHDRAWN = "withdrawn"
"""The key of outcomes of starts that were withdrawn, and that a batch which goes on queues again."""


def outcome_of(status: JobStatus, result: Any, error: BaseException | None) -> dict[str, Any]:
    """The outcome of a job that has ended: its state, and its result or its error."""
    outcome: dict[str, Any] = {"state": status.state.value}
    for name in (*_STATUS, "finished_at"):
        if (value := getattr(status, name)) is not None:
            outcome[name] = value
    if error is not None:
        outcome["failure"] = _described(error)
    elif isinstance(result, BaseModel):
        outcome["result"] = result.model_dump(mode="json")
    return outcome


def _described(error: BaseException) -> dict[str, Any]:
    known = {
        name: value
        for name, value in vars(error).items()
        if value is None or isinstance(value, str | int | float) or name == "failed_users"
    }
    described: dict[str, Any] = {"type": type(error).__name__, "message": str(error), "fields": known}
    response = getattr(error, "response", None)
    if isinstance(response, BaseModel):
        described["response"] = response.model_dump(mode="json")
    return described


def finish(record: JobRecord[Any], outcome: dict[str, Any], read: Callable[[bytes], Any]) -> None:
    """End ``record`` with the ``outcome`` of its row. ``read`` reads the response to a start."""
    fields = {name: outcome[name] for name in (*_STATUS, "finished_at") if name in outcome}
    status = JobStatus(JobState(outcome["state"]), **fields)
    result = outcome.get("result")
    failure = outcome.get("failure")
    record.finish(
        status,
        result=None if result is None else read(json.dumps(result).encode()),
        error=None if failure is None else _error_from(failure, status, read),
    )


def _error_from(failure: dict[str, Any], status: JobStatus, read: Callable[[bytes], Any]) -> ReflexioError:
    kind = getattr(errors, failure["type"], None)
    message = failure["message"]
    if not (isinstance(kind, type) and issubclass(kind, ReflexioError)):
        return ReflexioError(f"{failure['type']}: {message}")
    state: dict[str, Any] = failure["fields"]
    if issubclass(kind, JobError):
        state = {**state, "status": status}
    elif issubclass(kind, errors.APIStatusError):
        state = {**state, "headers": {}}
    elif issubclass(kind, RequestRefused):
        response = failure.get("response")
        state = {**state, "response": None if response is None else read(json.dumps(response).encode())}
    return errors.restore(kind, (message,), state)
