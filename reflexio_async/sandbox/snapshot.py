"""What is stored, as plain JSON, to look at or to print."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reflexio_async.sandbox.reflect.project import Project
    from reflexio_async.sandbox.reflect.state import Reflect
    from reflexio_async.sandbox.reflexio.state import World


def taken(world: World, reflect: Reflect) -> dict[str, Any]:
    """All of it, detached: what happens later does not change it."""
    store, projects = world.store, reflect.projects
    shown = {
        "requests": [row.view() for row in store.requests.values()],
        "profiles": [row.whole() for rows in store.profiles.values() for row in rows],
        "user_playbooks": [row.document() for row in store.playbooks.values()],
        "agent_playbooks": [row.document() for row in store.agent_playbooks.values()],
        "operations": {
            name: slot.latest.view() for name, slot in world.slots.items() if slot.latest is not None
        },
        "aggregation_operations": [row.view() for row in world.aggregator.operations.values()],
        "session_outcomes": [row.view() for row in world.outcomes.rows.values()],
        "tool_calls": [row.view() for row in world.tool_calls.latest()],
        "evaluation_results": [row.view() for row in world.grader.verdicts],
        "configuration": world.configuration.current.view(),
        "stall_state": world.stall.view(),
        "reflect": {name: _project(reflect, project) for name, project in projects.items()},
    }
    detached: dict[str, Any] = json.loads(json.dumps(shown))
    return detached


def _project(reflect: Reflect, project: Project) -> dict[str, Any]:
    return {
        "traces": [trace.view() for trace in project.traces.values()],
        "memories": [memory.document() for memory in project.bank.memories.values()],
        "skill": project.skill,
        "keys": [key.view() for key in reflect.keys.of_project(project.id)],
    }
