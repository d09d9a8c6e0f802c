"""The Reflect service's memory, which tests may look into."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reflexio_async.sandbox.checks import check_all
from reflexio_async.sandbox.reflect.api_keys import Keyring
from reflexio_async.sandbox.reflect.ingest import Ingest
from reflexio_async.sandbox.reflect.memories import Lesson, Memory
from reflexio_async.sandbox.reflect.project import Project
from reflexio_async.sandbox.storage.tables import Changes, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.reflect.settings import ReflectSettings
    from reflexio_async.sandbox.reflect.traces import Trace


class Reflect:
    """What is stored, as ``box.reflect``."""

    def __init__(self, clock: Clock, settings: ReflectSettings, changes: Changes | None = None) -> None:
        self.clock = clock
        self.settings = settings
        self._changes = changes = Changes() if changes is None else changes
        self.projects = Table(changes, "reflect_project", self._restored, lambda project: project.id)
        """By id."""
        self.keys = Keyring(changes)
        self.ingest = Ingest(clock, settings)

    def _restored(self, document: dict[str, Any]) -> Project:
        return Project(settings=self.settings, changes=self._changes, **document)

    def resume(self) -> None:
        """Go on with what was read back from a file; the queue waits for ``ingest.resume()``."""
        self.keys.sort()
        for project in self.projects.values():
            project.bank.sort()
            self.ingest.take_up(project)

    @property
    def queued(self) -> Sequence[Trace]:
        """Traces whose ingest is not over, of every project, oldest first."""
        return self.ingest.queued

    def traces(self, project_id: str = "default") -> Sequence[Trace]:
        """The stored traces of a project, failed ones too, oldest first."""
        project = self.projects.get(project_id)
        return [] if project is None else list(project.traces.values())

    def memories(self, project_id: str = "default") -> Sequence[Memory]:
        """The memories of a project, oldest first."""
        project = self.projects.get(project_id)
        return [] if project is None else list(project.bank.memories.values())

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
    ) -> Memory:
        """Store a memory, as if learnt long ago; ``q_value`` is the initial one unless given.

        Raises ValueError, which says what is wrong with it.
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
        memory = Memory(
            str(uuid.uuid4()),
            task,
            lesson,
            self.settings.initial_q if q_value is None else q_value,
            success,
            tools_used,
            dict(metadata or {}),
        )
        self.project(project_id).bank.add(memory)
        return memory

    def project(self, project_id: str, owner: str | None = None) -> Project:
        """The project of this id; a new one of ``owner``'s where there was none."""
        if (project := self.projects.get(project_id)) is None:
            project = self.projects[project_id] = Project(project_id, self.settings, self._changes, owner)
        return project

    def delete_project(self, project: Project) -> None:
        """Drop it with its traces, memories, keys, and what it has in the queue."""
        del self.projects[project.id]
        self.keys.forget(project.id)
        self.ingest.forget(project)
        project.clear()

    def timestamp(self) -> str:
        """Now, in ISO."""
        return datetime.fromtimestamp(self.clock.time(), UTC).isoformat()
