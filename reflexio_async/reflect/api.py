"""The calls of a Reflect server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reflexio_async._engine.jobs.job import check_waiting
from reflexio_async._engine.models import Empty
from reflexio_async._engine.wire import Answer, Endpoint
from reflexio_async.errors import NotFound
from reflexio_async.reflect.jobs import CREATE_TRACE, TraceJob, submit
from reflexio_async.reflect.models import (
    ApiKeyInfo,
    AugmentedTask,
    CreatedApiKey,
    DeleteProjectResponse,
    DeleteTracesResponse,
    Memory,
    Skill,
    Trace,
    TraceSubmission,
)
from reflexio_async.reflect.prompt import augment
from reflexio_async.reflect.requests import (
    ApiKeyCreate,
    AuthoredMemory,
    ByKey,
    ByTrace,
    DeleteTraces,
    ListTraces,
    MemoryQuery,
    NoFields,
    ReviewCreate,
    SkillCreate,
    TraceCreate,
    TraceCreateAndWait,
    by_key,
    by_trace,
    memory_query,
    review_of,
    these_traces,
)
from reflexio_async.reflect.rows import PROJECT, ProjectRoute, ReflectRoute

if TYPE_CHECKING:
    from reflexio_async._engine.engine import Engine


def _or_none(memories: list[Memory] | None) -> list[Memory]:
    return memories or []


_MEMORIES: Answer[list[Memory]] = Answer(list[Memory] | None, _or_none)
_TRACES: Answer[list[Trace]] = Answer(list[Trace])
_KEYS: Answer[list[ApiKeyInfo]] = Answer(list[ApiKeyInfo])
_SKILL: Answer[Skill | None] = Answer(Skill)
_SENT: Answer[TraceJob] = Answer(TraceSubmission)
_WAITED: Answer[Trace] = Answer(TraceSubmission)
_AUGMENTED: Answer[AugmentedTask] = Answer(list[Memory])


async def _augmented(
    engine: Engine,
    endpoint: Endpoint,
    request: MemoryQuery,
    answer: Answer[AugmentedTask],  # noqa: ARG001  # made of the memories
) -> AugmentedTask:
    memories = await engine.caller.call(endpoint, request, _MEMORIES, engine.settings)
    return AugmentedTask(augment(request.task, memories), memories)


async def _sent(
    engine: Engine,
    endpoint: Endpoint,  # noqa: ARG001  # the one that ``submit`` knows
    request: TraceCreate,
    answer: Answer[TraceJob],  # noqa: ARG001  # a job, made of it
) -> TraceJob:
    return await submit(engine, request)


async def _sent_as_trace(
    engine: Engine,
    endpoint: Endpoint,  # noqa: ARG001  # as above
    request: AuthoredMemory,
    answer: Answer[TraceJob],  # noqa: ARG001  # as above
) -> TraceJob:
    return await submit(engine, request.as_trace())


async def _waited(
    engine: Engine,
    endpoint: Endpoint,  # noqa: ARG001  # as above
    request: TraceCreateAndWait,
    answer: Answer[Trace],  # noqa: ARG001  # what is waited for
) -> Trace:
    check_waiting(request.poll_interval, request.wait_timeout)
    job = await submit(engine, request)
    return await job.result(poll_interval=request.poll_interval, wait_timeout=request.wait_timeout)


async def _none_if_unknown(
    engine: Engine, endpoint: Endpoint, request: Any, answer: Answer[Skill | None]
) -> Skill | None:
    try:
        return await engine.caller.call(endpoint, request, answer, engine.settings)
    except NotFound:
        return None


class ReflectAPI:
    """Traces, the memories made of them, skills, and the project's keys."""

    health = ReflectRoute("GET", "/health", Empty, dict[str, str], public=True)
    """What the server says of its health; asked without a key."""

    query_memories = ProjectRoute(
        "POST", PROJECT + "/memory/query", memory_query, _MEMORIES, model=MemoryQuery, repeatable=True
    )
    """The memories that may help with ``task``, best first: by similarity and by what they have been worth.

    ``lambda_`` blends the two, ``mmr_lambda`` leaves out near-duplicates.
    """

    augment_with_memories = ProjectRoute(
        "POST",
        PROJECT + "/memory/query",
        memory_query,
        _AUGMENTED,
        model=MemoryQuery,
        repeatable=True,
        via=_augmented,
    )
    """``task`` as a prompt, with the memories that may help with it written below; and those memories.

    Without any the prompt is the task itself.
    """

    create_trace = ProjectRoute("POST", CREATE_TRACE.path, TraceCreate, _SENT, via=_sent)
    """Send one run of an agent; returns a TraceJob at once, while the server takes it in.

    With ``review_result`` the server reflects on the run and makes a memory of it. Awaiting the job
    waits for that, or without a review until the trace is stored.
    """

    create_trace_and_wait = ProjectRoute("POST", CREATE_TRACE.path, TraceCreateAndWait, _WAITED, via=_waited)
    """``create_trace``, waiting inside the call: returns the Trace.

    Raises JobFailed with the server's reason, or JobTimeout, whose ``token`` resumes the wait.
    """

    create_memory = ProjectRoute("POST", CREATE_TRACE.path, AuthoredMemory, _SENT, via=_sent_as_trace)
    """Store a lesson that you have written, in place of one that the server would make of a run.

    Returns a TraceJob; its Trace names the memory in ``created_memory_id``.
    """

    list_traces = ProjectRoute("GET", PROJECT + "/traces", ListTraces, _TRACES)
    """The project's traces, all or by ``review_status``: pending or reviewed."""

    get_trace = ProjectRoute("GET", PROJECT + "/traces/{trace_id}", by_trace, Trace, model=ByTrace)
    """One trace; raises NotFound until it is stored."""

    review_trace = ProjectRoute(
        "POST", PROJECT + "/traces/{trace_id}/review", review_of, Trace, model=ReviewCreate
    )
    """Judge a trace that was sent without a review; ``wait_for_trace`` tells what becomes of it."""

    delete_traces = ProjectRoute(
        "POST",
        PROJECT + "/traces/delete",
        these_traces,
        DeleteTracesResponse,
        model=DeleteTraces,
        repeatable=True,
    )
    """Delete traces by id."""

    get_skill = ProjectRoute("GET", PROJECT + "/skill", NoFields, _SKILL, via=_none_if_unknown)
    """What the project's runs have taught, as one text; None while there is none."""

    create_skill = ProjectRoute("POST", PROJECT + "/skill/create", SkillCreate, Skill)
    """Let the server make the project's skill anew, of so many passed and failed traces."""

    list_api_keys = ProjectRoute("GET", PROJECT + "/api-keys", NoFields, _KEYS)
    """The project's keys, without their secrets."""

    create_api_key = ProjectRoute("POST", PROJECT + "/api-keys", ApiKeyCreate, CreatedApiKey)
    """A new key; its secret is told this once."""

    revoke_api_key = ProjectRoute(
        "POST",
        PROJECT + "/api-keys/{key_id}/revoke",
        by_key,
        ApiKeyInfo,
        model=ByKey,
        repeatable=True,
    )
    """Make a key worthless."""

    delete_project = ProjectRoute("DELETE", PROJECT, NoFields, DeleteProjectResponse, repeatable=True)
    """Delete the client's project and everything in it."""

    query_memories_async = query_memories.alias()
    """``query_memories`` by its other documented name; so with every name below."""

    augment_with_memories_async = augment_with_memories.alias()
    """``augment_with_memories``."""

    create_trace_async = create_trace.alias()
    """``create_trace``."""

    create_trace_and_wait_async = create_trace_and_wait.alias()
    """``create_trace_and_wait``."""

    get_trace_async = get_trace.alias()
    """``get_trace``."""

    create_memory_async = create_memory.alias()
    """``create_memory``."""

    get_skill_async = get_skill.alias()
    """``get_skill``."""
