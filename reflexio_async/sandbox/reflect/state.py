"""The state of the Reflect service, which tests may read."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reflexio_async._engine.clock import Clock
from reflexio_async.sandbox.checks import check_all
from reflexio_async.sandbox.reflect.api_keys import ApiKeyStore
from reflexio_async.sandbox.reflect.ingest import TraceIngest
from reflexio_async.sandbox.reflect.memories import Lesson, StoredMemory
from reflexio_async.sandbox.reflect.project import Project
from reflexio_async.sandbox.reflect.settings import ReflectSettings
from reflexio_async.sandbox.reflect.traces import StoredTrace
from reflexio_async.sandbox.storage.tables import ChangeTracker, Table


class ReflectState:
    """What the Reflect service has stored. Tests reach it as ``box.reflect``."""

    def __init__(self, clock: Clock, settings: ReflectSettings, changes: ChangeTracker) -> None:
        self.clock = clock
        self.settings = settings
        self._changes = changes
        self.projects = Table(
            changes, "reflect_project", self._project_from_document, lambda project: project.id
        )
        self.keys = ApiKeyStore(changes)
        self.ingest = TraceIngest(clock, settings)

    def _project_from_document(self, document: dict[str, Any]) -> Project:
        return Project(settings=self.settings, changes=self._changes, **document)

    def resume(self) -> None:
        """Continue with rows that were read from a file. The queue waits for ``ingest.resume()``."""
        self.keys.index()
        for project in self.projects.values():
            project.memories.index()
            self.ingest.restore(project)

    @property
    def queued(self) -> Sequence[StoredTrace]:
        """Traces of all projects whose ingest has not ended, oldest first."""
        return self.ingest.queued

    def traces(self, project_id: str = "default") -> Sequence[StoredTrace]:
        """The stored traces of a project, failed ones included, oldest first."""
        project = self.projects.get(project_id)
        return [] if project is None else list(project.traces.values())

    def memories(self, project_id: str = "default") -> Sequence[StoredMemory]:
        """The memories of a project, oldest first."""
        project = self.projects.get(project_id)
        return [] if project is None else list(project.memories.rows.values())

    def seed_memory(
        self,
        task: str,
        *,
        guidance: str = "",
        summary: str = "",
        key_mistake: str = "",
        correct_action: str = "",
        applicable_tools: Sequence[str] = (),
        tools_used: Sequence[str] = (),
        success: bool | None = True,
        q_value: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        project_id: str = "default",
    ) -> StoredMemory:
        """Store a memory. ``q_value`` is the configured initial one by default.

        Raises:
            ValueError: An argument is wrong. The message names it.
        """
        check_all(
            "seed_memory",
            task=(task, "text that is not blank"),
            guidance=(guidance, "stored text"),
            summary=(summary, "stored text"),
            key_mistake=(key_mistake, "stored text"),
            correct_action=(correct_action, "stored text"),
            applicable_tools=(applicable_tools, "a list of texts"),
            tools_used=(tools_used, "a list of texts"),
            success=(success, "True, False or None"),
            q_value=(q_value, "a number from 0 to 1, or None"),
            metadata=(metadata, "JSON by names, or None"),
            project_id=(project_id, "text that is not blank"),
        )
        lesson = Lesson(summary or f"About {task}", guidance, key_mistake, correct_action, applicable_tools)
        memory = StoredMemory(
            str(uuid.uuid4()),
            task,
            lesson,
            self.settings.initial_q if q_value is None else q_value,
            success,
            tools_used,
            dict(metadata or {}),
        )
        self.project(project_id).memories.add(memory)
        return memory

    def project(self, project_id: str, owner: str | None = None) -> Project:
        """The project with this id. It is created for ``owner`` if it does not exist."""
        if (project := self.projects.get(project_id)) is None:
            project = self.projects[project_id] = Project(project_id, self.settings, self._changes, owner)
        return project

    def delete_project(self, project: Project) -> None:
        """Delete a project with its traces, memories and keys, also from the queue."""
        del self.projects[project.id]
        self.keys.delete_project(project.id)
        self.ingest.delete_project(project)
        project.clear()

    def timestamp(self) -> str:
        """The time now as ISO text."""
        return datetime.fromtimestamp(self.clock.time(), UTC).isoformat()
