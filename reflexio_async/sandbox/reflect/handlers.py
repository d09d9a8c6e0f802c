"""The routes of the Reflect service and their handlers. The key has been checked before."""

from __future__ import annotations

from typing import Any, Final

from reflexio_async.sandbox.http.context import RequestContext
from reflexio_async.sandbox.http.responses import (
    RequestRejected,
    Response,
    ValidationFailed,
    error_response,
)
from reflexio_async.sandbox.http.routing import Router, parse_body
from reflexio_async.sandbox.reflect import schemas
from reflexio_async.sandbox.reflect.api_keys import (
    ALL_SCOPES,
    KEYS_MANAGE,
    MEMORY_READ,
    MEMORY_WRITE,
    TRACE_READ,
    TRACE_WRITE,
)
from reflexio_async.sandbox.reflect.project import Project
from reflexio_async.sandbox.reflect.state import ReflectState
from reflexio_async.sandbox.reflect.traces import StoredTrace

_DEFAULT_LESSONS: Final = 5
_MASTER_ONLY: Final = ()
_TRACE_READERS: Final = (TRACE_READ, TRACE_WRITE)

_PROJECT: Final = "/v1/projects/{project_id}"
_TRACES: Final = f"{_PROJECT}/traces"
_KEYS: Final = f"{_PROJECT}/api-keys"

ROUTER: Final = Router()


@ROUTER.get("/health")
async def health() -> Response:
    """Whether the server runs."""
    return Response({"status": "ok"})


@ROUTER.post("/v1/bootstrap")
async def bootstrap(state: ReflectState, context: RequestContext) -> Response:
    """Create a project for a user and a key with all scopes. The same user may do so again."""
    body = _bootstrap_body(context)
    if context.record.headers["X-Bootstrap-Token"] != state.settings.bootstrap_token:
        return error_response(403, "Invalid bootstrap token")
    existing = state.projects.get(body.project_id)
    if existing is not None and existing.owner != body.user_id:
        return error_response(409, "Project already exists")
    state.project(body.project_id, body.user_id)
    now = state.timestamp()
    key = state.keys.create(body.project_id, body.key_label, ALL_SCOPES, body.environment, now)
    return Response({"user_id": body.user_id, "project_id": body.project_id, "api_key": key.secret})


def _bootstrap_body(context: RequestContext) -> schemas.BootstrapRequestSchema:
    """The body. The header that is required is reported together with problems of the body."""
    problems: list[Any] = []
    if "X-Bootstrap-Token" not in context.record.headers:
        location = ["header", "x-bootstrap-token"]
        problems.append({"type": "missing", "loc": location, "msg": "Field required", "input": None})
    try:
        body = parse_body(schemas.BootstrapRequestSchema, context)
    except ValidationFailed as invalid:
        raise ValidationFailed([*problems, *invalid.errors]) from invalid
    if problems:
        raise ValidationFailed(problems)
    return body


@ROUTER.delete(_PROJECT, scopes=_MASTER_ONLY)
async def delete_project(state: ReflectState, project: Project) -> Response:
    """Delete a project with everything in it."""
    state.delete_project(project)
    return Response({"project_id": project.id, "deleted": True})


@ROUTER.post(f"{_PROJECT}/memory/query", scopes=(MEMORY_READ,))
async def query_memories(state: ReflectState, project: Project, body: schemas.MemoryQuerySchema) -> Response:
    """The best matches, best first."""
    found = project.memories.find(body, state.settings.similarity_threshold)
    return Response([match.view() for match in found])


@ROUTER.get(f"{_PROJECT}/skill", scopes=(MEMORY_READ,))
async def get_skill(project: Project) -> Response:
    """The latest version of the skill."""
    skill = project.skill
    return error_response(404, "Skill not found") if skill is None else Response(skill)


@ROUTER.post(f"{_PROJECT}/skill/create", scopes=(MEMORY_WRITE,))
async def create_skill(state: ReflectState, project: Project, body: schemas.SkillCreateSchema) -> Response:
    """Make a new version of the skill from the memories."""
    counts = (body.n_passed, body.n_failed)
    n_passed, n_failed = (_DEFAULT_LESSONS if count is None else count for count in counts)
    return Response(project.make_skill(n_passed, n_failed, state.timestamp()))


@ROUTER.post(_TRACES, scopes=(TRACE_WRITE,))
async def submit_trace(state: ReflectState, project: Project, body: schemas.TraceCreateSchema) -> Response:
    """Queue a trace. With an authored reflection, store it at once."""
    trace = StoredTrace.of(body)
    if body.review is None or body.review.reflection is None:
        state.ingest.submit(project, trace)
    else:
        trace.ingest_status = "completed"
        project.store(trace)
        project.review_inline(trace, body.review)
    return Response({"trace_id": trace.id, "ingest_status": trace.ingest_status})


@ROUTER.get(_TRACES, scopes=_TRACE_READERS)
async def list_traces(project: Project, query: schemas.TracesQuerySchema) -> Response:
    """Stored traces, newest first."""
    traces = reversed(project.traces.values())
    wanted = query.review_status
    return Response([trace.view() for trace in traces if wanted in (None, trace.review_status)])


# Before the routes with {trace_id}, which match this path too.
@ROUTER.post(f"{_TRACES}/delete", scopes=(TRACE_WRITE,))
async def delete_traces(project: Project, body: schemas.DeleteTracesSchema) -> Response:
    """Delete those that are stored. Their memories remain; unknown ids are ignored."""
    traces = project.traces
    deleted = [trace_id for trace_id in dict.fromkeys(body.trace_ids) if traces.pop(trace_id, None)]
    return Response({"deleted": len(deleted), "trace_ids": deleted})


@ROUTER.get(f"{_TRACES}/{{trace_id}}", scopes=_TRACE_READERS)
async def get_trace(project: Project, trace_id: str) -> Response:
    """A stored trace."""
    return Response(_trace(project, trace_id).view())


@ROUTER.post(f"{_TRACES}/{{trace_id}}/review", scopes=(TRACE_WRITE,))
async def review_trace(project: Project, trace_id: str, body: schemas.ReviewCreateSchema) -> Response:
    """Review a trace. Only one review is accepted (server-behaviour: Reviews)."""
    trace = _trace(project, trace_id)
    if trace.review is not None:
        return error_response(409, "Trace already reviewed")
    if trace.ingest_status != "completed":
        return error_response(409, f"Trace ingest is {trace.ingest_status}")
    project.review(trace, body, "deferred")
    return Response(trace.view())


@ROUTER.get(_KEYS, scopes=(KEYS_MANAGE,))
async def list_keys(state: ReflectState, project: Project) -> Response:
    """The project's keys, revoked ones included."""
    return Response([key.view() for key in state.keys.of_project(project.id)])


@ROUTER.post(_KEYS, scopes=(KEYS_MANAGE,))
async def create_key(state: ReflectState, project: Project, body: schemas.ApiKeyCreateSchema) -> Response:
    """Create a key. Only this response has its plaintext."""
    now = state.timestamp()
    key = state.keys.create(project.id, body.label, body.scopes, body.environment, now)
    return Response({"api_key": key.secret, "key": key.view()})


@ROUTER.post(f"{_KEYS}/{{key_id}}/revoke", scopes=(KEYS_MANAGE,))
async def revoke_key(
    state: ReflectState, project: Project, key_id: str, _body: schemas.ApiKeyRevokeSchema
) -> Response:
    """Revoke a key. Revoking it again changes nothing."""
    key = state.keys.find(project.id, key_id)
    if key is None:
        return error_response(404, "API key not found")
    key.revoked_at = key.revoked_at or state.timestamp()
    return Response(key.view())


def _trace(project: Project, trace_id: str) -> StoredTrace:
    trace = project.traces.get(trace_id)
    if trace is None:
        raise RequestRejected(error_response(404, "Trace not found"))
    return trace
