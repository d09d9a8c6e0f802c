"""Operations: reruns and manual generations, their status and cancelling, and clearing a user."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import Response, refused, succeeded, timeout_response
from reflexio_async.sandbox.http.routing import Router
from reflexio_async.sandbox.reflexio.deadlines import deadline_of
from reflexio_async.sandbox.reflexio.schemas import operations as schemas
from reflexio_async.sandbox.reflexio.schemas.common import TimeRangeSchema
from reflexio_async.sandbox.reflexio.schemas.legacy import LegacyRerunProfileGenerationRequestSchema
from reflexio_async.sandbox.reflexio.simulation.generation import NO_MATCH, GenerationTask
from reflexio_async.sandbox.reflexio.state import ReflexioState
from reflexio_async.sandbox.reflexio.store.operation_slots import StoredOperation
from reflexio_async.sandbox.reflexio.store.rows import StoredRequest

_BUSY: Final = "Another generation attempt is already in progress"

routes: Final = Router()


@routes.post("/api/rerun_profile_generation", per_minute=5)
async def rerun_profile_generation(
    state: ReflexioState, context: RequestContext, body: schemas.RerunProfileGenerationRequestSchema
) -> Response:
    """Start a rerun for one user or all. Without a matching request it fails at once."""
    return await rerun_profiles(state, context, body)


async def rerun_profiles(
    state: ReflexioState,
    context: RequestContext,
    body: schemas.RerunProfileGenerationRequestSchema | LegacyRerunProfileGenerationRequestSchema,
) -> Response:
    """The same, for today's and January's route."""

    def selects(request: StoredRequest) -> bool:
        return body.source in (None, "", request.source) and body.includes(request.created_at)

    users = state.store.users_with(selects, body.user_id)
    params = {"user_id": body.user_id, **times(body), "source": body.source}
    task = GenerationTask(users, "pending", selects, source=body.source)
    return await rerun(state, context, "profile", task, claimed=body.model_dump(mode="json"), params=params)


@routes.post("/api/rerun_playbook_generation", per_minute=5)
async def rerun_playbook_generation(
    state: ReflexioState, context: RequestContext, body: schemas.RerunPlaybookGenerationRequestSchema
) -> Response:
    """Start a rerun for all users who published for an agent version."""

    def selects(request: StoredRequest) -> bool:
        return (
            request.agent_version == body.agent_version
            and body.source in (None, "", request.source)
            and body.includes(request.created_at)
        )

    params = {"agent_version": body.agent_version, **times(body)}
    task = GenerationTask(
        state.store.users_with(selects), "pending", selects, body.agent_version, body.source
    )
    return await rerun(state, context, "playbook", task, claimed=body.model_dump(mode="json"), params=params)


async def rerun(
    state: ReflexioState,
    context: RequestContext,
    noun: str,
    task: GenerationTask,
    *,
    claimed: dict[str, Any],
    params: dict[str, Any],
) -> Response:
    """Start a task in its service's slot, or refuse when it is busy (server-behaviour: Admission).

    Args:
        state: The state.
        context: The request.
        noun: What is generated: ``profile``, ``playbook`` or ``feedback``.
        task: The work.
        claimed: The ``request_params`` of the operation until its worker starts.
        params: Its ``request_params`` afterwards.
    """
    default_id = f"rerun_{noun}_generation"
    if state.settings.dialect == "synchronous":
        return await _rerun_synchronously(state, context, noun, task)
    slot = state.slots[f"{noun}_generation"]
    operation = slot.claim(claimed)
    if operation is None:
        return refused(msg=_BUSY, operation_id=default_id)
    if task.users:
        operation.params = params
    state.spawn(state.generation.run(slot, operation, task))
    operation_id = operation.operation_id if operation.correlated else default_id
    return succeeded(msg=f"{noun.capitalize()} generation started", operation_id=operation_id)


async def _rerun_synchronously(
    state: ReflexioState, context: RequestContext, noun: str, task: GenerationTask
) -> Response:
    answer: dict[str, Any] = {"operation_id": f"rerun_{noun}_generation", f"{noun}s_generated": 0}
    if not task.users:
        return refused(msg=NO_MATCH, **answer)
    await context.wait(None, state.spawn(state.generation.run_without_slot(task)))
    processed = [user for user in task.users if user not in state.generation.failing_users]
    answer[f"{noun}s_generated"] = state.generation.count(task, processed)
    whole = len(processed) == len(task.users)
    msg = f"Completed for {len(processed)} user(s)" if whole else _incomplete(len(processed), task)
    return Response({"success": whole, "msg": msg, **answer})


def times(body: TimeRangeSchema) -> dict[str, str | None]:
    """A span of time as ``request_params`` show it."""

    def iso(time: datetime | None) -> str | None:
        return None if time is None else time.isoformat()

    return {"start_time": iso(body.start_time), "end_time": iso(body.end_time)}


@routes.post("/api/manual_profile_generation", per_minute=5)
async def manual_profile_generation(
    state: ReflexioState, context: RequestContext, body: schemas.ManualProfileGenerationRequestSchema
) -> Response:
    """Generate for the named user, known or not, or for all. The source only shows in the rows."""
    users = [body.user_id] if body.user_id else state.store.users()
    params = {"user_id": body.user_id, "source": body.source, "mode": "manual_regular"}
    task = GenerationTask(users, None, lambda _: True, source=body.source)

    def done(count: int) -> str:
        return f"Generated {count} profiles for {len(users)} user(s)"

    no_users = "No users found to process"
    return await manual(state, context, "profile", task, params=params, no_users=no_users, done=done)


@routes.post("/api/manual_playbook_generation", per_minute=5)
async def manual_playbook_generation(
    state: ReflexioState, context: RequestContext, body: schemas.ManualPlaybookGenerationRequestSchema
) -> Response:
    """Generate for all users of the source, whichever version they published for."""

    def has_source(request: StoredRequest) -> bool:
        return body.source in (None, "", request.source)

    def selects(request: StoredRequest) -> bool:
        return has_source(request) and request.agent_version == body.agent_version

    params = {"agent_version": body.agent_version, "source": body.source, "mode": "manual_regular"}
    users = state.store.users_with(has_source)
    task = GenerationTask(users, None, selects, body.agent_version, body.source)

    def done(count: int) -> str:
        return f"Generated {count} playbook entries"

    no_users = "No interactions found to process"
    return await manual(state, context, "playbook", task, params=params, no_users=no_users, done=done)


async def manual(
    state: ReflexioState,
    context: RequestContext,
    noun: str,
    task: GenerationTask,
    *,
    params: dict[str, Any],
    no_users: str,
    done: Callable[[int], str],
) -> Response:
    """Run a task to its end while the caller waits (server-behaviour: Manual).

    Args:
        state: The state.
        context: The request.
        noun: What is generated: ``profile``, ``playbook`` or ``feedback``.
        task: The work.
        params: The ``request_params`` of the operation.
        no_users: The message when there are no users.
        done: Makes the message from the number of rows.
    """
    generated = f"{noun}s_generated"
    slot = state.slots[f"{noun}_generation"]
    slot.recover("IN_PROGRESS ")
    if slot.latest is not None and slot.latest.running:
        busy = f"A {slot.service} operation is already in progress. Please wait for it to complete."
        return Response({"success": False, "msg": busy, generated: 0})
    if not task.users:
        return Response({"success": True, "msg": no_users, generated: 0})
    operation = slot.claim(params)
    if operation is None:
        return Response({"success": False, "msg": _BUSY, generated: 0})
    work = state.spawn(state.generation.run(slot, operation, task))
    await context.wait(deadline_of(context), work)
    if not work.done():
        # The work continues. Its outcome is found by the mode in the request params.
        return timeout_response(context.correlation_id)
    return Response(_manual_outcome(state, operation, task, generated, done))


def _manual_outcome(
    state: ReflexioState,
    operation: StoredOperation,
    task: GenerationTask,
    generated: str,
    done: Callable[[int], str],
) -> dict[str, Any]:
    if operation.disowned:
        lost = "Generation attempt no longer owns progress"
        action = "run manual profile generation" if task.kind == "profile" else "generate playbook entries"
        return {"success": False, "msg": f"Failed to {action}: {lost}", generated: 0}
    whole = len(operation.processed) == len(task.users)
    count = state.generation.count(task, operation.processed)
    msg = done(count) if whole else _incomplete(len(operation.processed), task)
    return {"success": whole, "msg": msg, generated: count}


def _incomplete(processed: int, task: GenerationTask) -> str:
    return (
        f"Generation incomplete: completed {processed}/{len(task.users)} user(s); "
        "check generation status for failures or cancellation"
    )


@routes.get("/api/get_operation_status")
async def get_operation_status(state: ReflexioState, query: schemas.OperationStatusQuerySchema) -> Response:
    """The latest operation of a service. Reading a dead one marks it as failed."""
    slot = state.slots.get(query.service_name)
    if slot is None or slot.latest is None:
        return refused(msg=f"No operation found for service: {query.service_name}")
    slot.recover()
    return succeeded(operation_status=slot.latest.view(), msg="Retrieved operation status successfully")


@routes.post("/api/cancel_operation", per_minute=10)
async def cancel_operation(state: ReflexioState, body: schemas.CancelOperationRequestSchema) -> Response:
    """Ask the running operation to stop before its next user (server-behaviour: Cancel)."""
    names = [body.service_name] if body.service_name else list(state.slots)
    cancelled = [name for name in names if name in state.slots and state.slots[name].cancel()]
    msg = (
        f"Cancellation requested for: {', '.join(cancelled)}"
        if cancelled
        else "No in-progress operations found to cancel"
    )
    return succeeded(cancelled_services=cancelled, msg=msg)


@routes.post("/api/clear_user_data", per_minute=10)
async def clear_user_data(state: ReflexioState, body: schemas.ClearUserDataRequestSchema) -> Response:
    """Delete everything of one user. Agent playbooks belong to no user."""
    requests = list(state.store.requests_by_user.get(body.user_id, ()))
    playbooks = [key for key, row in state.store.playbooks.items() if row.user_id == body.user_id]
    for key in playbooks:
        del state.store.playbooks[key]
    counts = {
        "session_outcomes": state.outcomes.delete_user(body.user_id),
        "interactions": sum(len(stored.interactions) for stored in requests),
        "user_playbooks": len(playbooks),
        "profiles": state.store.delete_profiles(lambda row: row.user_id == body.user_id),
        "requests": state.store.delete_requests(requests),
        "purged_profiles": 0,
        "purged_user_playbooks": 0,
    }
    message = f"Cleared {sum(counts.values())} row(s) for user {body.user_id!r}"
    return succeeded(deleted_counts=counts, message=message)
