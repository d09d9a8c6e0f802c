"""Starting generations, asking how far the latest one is, cancelling it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox.http.responses import Reply, late
from reflexio_async.sandbox.reflexio.simulation.generation import NO_MATCH, Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflexio.legacy.schemas import RerunProfiles as LegacyRerun
    from reflexio_async.sandbox.reflexio.schemas.common import TimeRange
    from reflexio_async.sandbox.reflexio.schemas.generation import (
        CancelOperation,
        ManualPlaybooks,
        ManualProfiles,
        OperationStatusQuery,
        RerunPlaybooks,
        RerunProfiles,
    )
    from reflexio_async.sandbox.reflexio.state import World
    from reflexio_async.sandbox.reflexio.store.operation_slots import Operation
    from reflexio_async.sandbox.reflexio.store.rows import StoredRequest

_DEADLINE, _PATIENT_DEADLINE = 60.0, 600.0


async def rerun_profiles(world: World, call: Call, body: RerunProfiles | LegacyRerun) -> Reply:
    """One user's, or everyone's; of those who match nothing, a job that fails at once."""

    def selects(request: StoredRequest) -> bool:
        return body.source in (None, "", request.source) and body.holds(request.created_at)

    known = world.store.requests_by_user
    named = [body.user_id] if body.user_id else world.store.users()
    users = [user for user in named if any(map(selects, known.get(user, ())))]
    params = {"user_id": body.user_id, **times(body), "source": body.source}
    job = Job(users, "pending", selects, source=body.source)
    return await rerun(world, call, "profile", job, claimed=body.model_dump(mode="json"), params=params)


async def rerun_playbooks(world: World, call: Call, body: RerunPlaybooks) -> Reply:
    """Those of everyone who published for an agent version."""

    def selects(request: StoredRequest) -> bool:
        return (
            request.agent_version == body.agent_version
            and body.source in (None, "", request.source)
            and body.holds(request.created_at)
        )

    users = [user for user in world.store.users() if any(map(selects, world.store.requests_by_user[user]))]
    params = {"agent_version": body.agent_version, **times(body)}
    job = Job(users, "pending", selects, body.agent_version, body.source)
    return await rerun(world, call, "playbook", job, claimed=body.model_dump(mode="json"), params=params)


async def rerun(
    world: World, call: Call, noun: str, job: Job, *, claimed: dict[str, Any], params: dict[str, Any]
) -> Reply:
    """Start a job in its service's slot, or refuse where that is taken."""
    default_id = f"rerun_{noun}_generation"
    if world.settings.dialect == "synchronous":
        return await _rerun_synchronously(world, call, noun, job)
    slot = world.slots[f"{noun}_generation"]
    operation = slot.claim(claimed)
    if operation is None:
        busy = "Another generation attempt is already in progress"
        return Reply({"success": False, "msg": busy, "operation_id": default_id})
    if job.users:
        # The claim shows the body as it came; the worker, once it has users, shows these.
        operation.params = params
    world.spawn(world.generator.run(slot, operation, job))
    operation_id = operation.operation_id if operation.correlated else default_id
    started = f"{noun.capitalize()} generation started"
    return Reply({"success": True, "msg": started, "operation_id": operation_id})


async def _rerun_synchronously(world: World, call: Call, noun: str, job: Job) -> Reply:
    answer: dict[str, Any] = {"operation_id": f"rerun_{noun}_generation", f"{noun}s_generated": 0}
    if not job.users:
        return Reply({"success": False, "msg": NO_MATCH, **answer})
    task = world.spawn(world.generator.run_unslotted(job))
    await call.wait(None, task)
    processed = [user for user in job.users if user not in world.generator.failing_users]
    answer[f"{noun}s_generated"] = world.generator.count(job, processed)
    whole = len(processed) == len(job.users)
    msg = f"Completed for {len(processed)} user(s)" if whole else _incomplete(len(processed), job)
    return Reply({"success": whole, "msg": msg, **answer})


def times(body: TimeRange) -> dict[str, str | None]:
    """As the status shows them."""

    def iso(time: datetime | None) -> str | None:
        return None if time is None else time.isoformat()

    return {"start_time": iso(body.start_time), "end_time": iso(body.end_time)}


async def manual_profiles(world: World, call: Call, body: ManualProfiles) -> Reply:
    """Runs whoever is named, known or not; the source is noted and ignored."""
    users = [body.user_id] if body.user_id else world.store.users()
    params = {"user_id": body.user_id, "source": body.source, "mode": "manual_regular"}
    job = Job(users, None, lambda _: True, source=body.source)

    def done(count: int) -> str:
        return f"Generated {count} profiles for {len(users)} user(s)"

    nobody = "No users found to process"
    return await manual(world, call, "profile", job, params=params, nobody=nobody, done=done)


async def manual_playbooks(world: World, call: Call, body: ManualPlaybooks) -> Reply:
    """Runs every user of the source, whatever version they published for."""

    def selects(request: StoredRequest) -> bool:
        return body.source in (None, "", request.source)

    users = [user for user in world.store.users() if any(map(selects, world.store.requests_by_user[user]))]
    params = {"agent_version": body.agent_version, "source": body.source, "mode": "manual_regular"}
    job = Job(
        users,
        None,
        lambda request: selects(request) and request.agent_version == body.agent_version,
        body.agent_version,
        body.source,
    )

    def done(count: int) -> str:
        return f"Generated {count} playbook entries"

    nobody = "No interactions found to process"
    return await manual(world, call, "playbook", job, params=params, nobody=nobody, done=done)


async def manual(
    world: World,
    call: Call,
    noun: str,
    job: Job,
    *,
    params: dict[str, Any],
    nobody: str,
    done: Callable[[int], str],
) -> Reply:
    """Run a job to its end while the caller waits."""
    generated = f"{noun}s_generated"
    slot = world.slots[f"{noun}_generation"]
    slot.recover("IN_PROGRESS ")
    if slot.latest is not None and slot.latest.running:
        busy = f"A {slot.service} operation is already in progress. Please wait for it to complete."
        return Reply({"success": False, "msg": busy, generated: 0})
    if not job.users:
        return Reply({"success": True, "msg": nobody, generated: 0})
    operation = slot.claim(params)
    if operation is None:
        busy = "Another generation attempt is already in progress"
        return Reply({"success": False, "msg": busy, generated: 0})
    task = world.spawn(world.generator.run(slot, operation, job))
    await call.wait(_PATIENT_DEADLINE if call.waits else _DEADLINE, task)
    if not task.done():
        # The work goes on; its outcome is found by the mode in the request params.
        return late(call.correlation_id)
    return Reply(_manual_outcome(world, operation, job, generated, done))


def _manual_outcome(
    world: World, operation: Operation, job: Job, generated: str, done: Callable[[int], str]
) -> dict[str, Any]:
    if operation.disowned:
        lost = "Generation attempt no longer owns progress"
        noun = "run manual profile generation" if job.agent_version is None else "generate playbook entries"
        return {"success": False, "msg": f"Failed to {noun}: {lost}", generated: 0}
    whole = len(operation.processed) == len(job.users)
    count = world.generator.count(job, operation.processed)
    msg = done(count) if whole else _incomplete(len(operation.processed), job)
    return {"success": whole, "msg": msg, generated: count}


def _incomplete(processed: int, job: Job) -> str:
    return (
        f"Generation incomplete: completed {processed}/{len(job.users)} user(s); "
        "check generation status for failures or cancellation"
    )


async def operation_status(world: World, _call: Call, query: OperationStatusQuery) -> Reply:
    """The latest operation of a service; looking at a dead one declares it failed."""
    slot = world.slots.get(query.service_name)
    if slot is None or slot.latest is None:
        return Reply({"success": False, "msg": f"No operation found for service: {query.service_name}"})
    slot.recover()
    return Reply(
        {
            "success": True,
            "operation_status": slot.latest.view(),
            "msg": "Retrieved operation status successfully",
        }
    )


async def cancel_operation(world: World, _call: Call, body: CancelOperation) -> Reply:
    """Ask whoever owns the slot to stop before its next user, which on the last user comes too late."""
    names = [body.service_name] if body.service_name else list(world.slots)
    cancelled = [name for name in names if name in world.slots and world.slots[name].cancel()]
    msg = (
        f"Cancellation requested for: {', '.join(cancelled)}"
        if cancelled
        else "No in-progress operations found to cancel"
    )
    return Reply({"success": True, "cancelled_services": cancelled, "msg": msg})
