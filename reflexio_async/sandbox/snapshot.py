"""Everything that is stored, as plain JSON values."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_jsonable_python

from reflexio_async.sandbox.reflect.project import Project
from reflexio_async.sandbox.reflect.state import ReflectState
from reflexio_async.sandbox.reflexio.state import ReflexioState


def snapshot(reflexio: ReflexioState, reflect: ReflectState) -> dict[str, Any]:
    """A copy of all rows of both services. Later changes do not affect it."""
    store = reflexio.store
    shown = {
        "requests": [row.view() for row in store.requests.values()],
        "profiles": [row.with_nulls() for rows in store.profiles.values() for row in rows],
        "user_playbooks": [row.document() for row in store.playbooks.values()],
        "agent_playbooks": [row.document() for row in store.agent_playbooks.values()],
        "operations": {
            name: slot.latest.view() for name, slot in reflexio.slots.items() if slot.latest is not None
        },
        "aggregation_operations": [row.view() for row in reflexio.aggregator.operations.values()],
        "session_outcomes": [row.view() for row in reflexio.outcomes.rows.values()],
        "tool_calls": [row.view() for row in reflexio.tool_calls.latest()],
        "evaluation_results": [row.view() for row in reflexio.grader.grades],
        "configuration": reflexio.configuration.current.view(),
        "stall_state": reflexio.stall.view(),
        "reflect": {name: _project(reflect, project) for name, project in reflect.projects.items()},
    }
    detached: dict[str, Any] = to_jsonable_python(shown)
    return detached


def _project(reflect: ReflectState, project: Project) -> dict[str, Any]:
    return {
        "traces": [trace.view() for trace in project.traces.values()],
        "memories": [memory.document() for memory in project.memories.rows.values()],
        "skill": project.skill,
        "keys": [key.view() for key in reflect.keys.of_project(project.id)],
    }
