"""What the Reflect routes answer; who asks has been admitted to the project that the path names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reflexio_async.sandbox.http.responses import Refused, Reply, problem
from reflexio_async.sandbox.reflect.api_keys import ALL_SCOPES
from reflexio_async.sandbox.reflect.traces import Trace

if TYPE_CHECKING:
    from reflexio_async.sandbox.http.context import Call
    from reflexio_async.sandbox.reflect.project import Project
    from reflexio_async.sandbox.reflect.schemas import (
        ApiKeyCreate,
        Bootstrap,
        DeleteTraces,
        MemoryQuery,
        ReviewCreate,
        SkillCreate,
        TraceCreate,
        TraceFilter,
    )
    from reflexio_async.sandbox.reflect.state import Reflect
    from reflexio_async.sandbox.reflexio.schemas.common import Nothing

_LESSONS_OF_EACH: Final = 5


async def health(_reflect: Reflect, _call: Call, _body: Nothing) -> Reply:
    """Alive."""
    return Reply({"status": "ok"})


async def bootstrap(reflect: Reflect, call: Call, body: Bootstrap) -> Reply:
    """A project for its user, and a key to all of it; again for the same user, a further key."""
    if call.record.headers["X-Bootstrap-Token"] != reflect.settings.bootstrap_token:
        return problem(403, "Invalid bootstrap token")
    existing = reflect.projects.get(body.project_id)
    if existing is not None and existing.owner != body.user_id:
        return problem(409, "Project already exists")
    reflect.project(body.project_id, body.user_id)
    made = reflect.timestamp()
    key = reflect.keys.create(body.project_id, body.key_label, ALL_SCOPES, body.environment, made)
    return Reply({"user_id": body.user_id, "project_id": body.project_id, "api_key": key.secret})


async def delete_project(reflect: Reflect, call: Call, _body: Nothing) -> Reply:
    """All of it, at once."""
    project = _project(reflect, call)
    reflect.delete_project(project)
    return Reply({"project_id": project.id, "deleted": True})


async def query_memories(reflect: Reflect, call: Call, body: MemoryQuery) -> Reply:
    """The best matches, best first."""
    found = _project(reflect, call).bank.find(body, reflect.settings.similarity_threshold)
    return Reply([match.view() for match in found])


async def submit_trace(reflect: Reflect, call: Call, body: TraceCreate) -> Reply:
    """Queue it; with a reflection that its author wrote, store it at once."""
    project, trace = _project(reflect, call), Trace.of(body)
    if body.review is None or body.review.reflection is None:
        reflect.ingest.submit(project, trace)
    else:
        trace.ingest_status = "completed"
        project.store(trace)
        project.review_inline(trace, body.review)
    return Reply({"trace_id": trace.id, "ingest_status": trace.ingest_status})


async def list_traces(reflect: Reflect, call: Call, body: TraceFilter) -> Reply:
    """Those that are stored, newest first."""
    traces = reversed(_project(reflect, call).traces.values())
    wanted = body.review_status
    return Reply([trace.view() for trace in traces if wanted in (None, trace.review_status)])


async def get_trace(reflect: Reflect, call: Call, _body: Nothing) -> Reply:
    """One that is stored."""
    return Reply(_trace(reflect, call).view())


async def review_trace(reflect: Reflect, call: Call, body: ReviewCreate) -> Reply:
    """Work a verdict in, once."""
    trace = _trace(reflect, call)
    if trace.review is not None:
        return problem(409, "Trace already reviewed")
    if trace.ingest_status != "completed":
        return problem(409, f"Trace ingest is {trace.ingest_status}")
    _project(reflect, call).review(trace, body, "deferred")
    return Reply(trace.view())


async def delete_traces(reflect: Reflect, call: Call, body: DeleteTraces) -> Reply:
    """Those that are stored go, what they taught stays; ids of others are passed over."""
    traces = _project(reflect, call).traces
    gone = [trace_id for trace_id in dict.fromkeys(body.trace_ids) if traces.pop(trace_id, None)]
    return Reply({"deleted": len(gone), "trace_ids": gone})


async def get_skill(reflect: Reflect, call: Call, _body: Nothing) -> Reply:
    """The latest."""
    skill = _project(reflect, call).skill
    return problem(404, "Skill not found") if skill is None else Reply(skill)


async def create_skill(reflect: Reflect, call: Call, body: SkillCreate) -> Reply:
    """A new version, of what is known by now."""
    counts = (body.n_passed, body.n_failed)
    n_passed, n_failed = (_LESSONS_OF_EACH if count is None else count for count in counts)
    return Reply(_project(reflect, call).make_skill(n_passed, n_failed, reflect.timestamp()))


async def list_keys(reflect: Reflect, call: Call, _body: Nothing) -> Reply:
    """The project's, revoked ones too."""
    return Reply([key.view() for key in reflect.keys.of_project(_project(reflect, call).id)])


async def create_key(reflect: Reflect, call: Call, body: ApiKeyCreate) -> Reply:
    """The only time its plaintext is shown."""
    project, made = _project(reflect, call), reflect.timestamp()
    key = reflect.keys.create(project.id, body.label, body.scopes, body.environment, made)
    return Reply({"api_key": key.secret, "key": key.view()})


async def revoke_key(reflect: Reflect, call: Call, _body: Nothing) -> Reply:
    """From now on it opens nothing; revoking again changes nothing."""
    key = reflect.keys.find(_project(reflect, call).id, call.names["key_id"])
    if key is None:
        return problem(404, "API key not found")
    key.revoked_at = key.revoked_at or reflect.timestamp()
    return Reply(key.view())


def _project(reflect: Reflect, call: Call) -> Project:
    return reflect.projects[call.names["project_id"]]


def _trace(reflect: Reflect, call: Call) -> Trace:
    trace = _project(reflect, call).traces.get(call.names["trace_id"])
    if trace is None:
        raise Refused(problem(404, "Trace not found"))
    return trace
