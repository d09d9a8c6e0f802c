"""A project: its traces, its memories and its skill."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from reflexio_async.sandbox.reflect.memories import Lesson, MemoryStore, StoredMemory
from reflexio_async.sandbox.reflect.schemas import InlineReviewSchema, ReviewCreateSchema
from reflexio_async.sandbox.reflect.settings import ReflectSettings
from reflexio_async.sandbox.reflect.traces import StoredReview, StoredTrace
from reflexio_async.sandbox.storage.tables import ChangeTracker, Row, Table


@dataclass(slots=True)
class Project(Row):
    """Everything under one project id.

    Attributes:
        owner: The user who bootstrapped it, if one did.
        skill: The latest version of the skill.
        traces: Stored traces, oldest first.
        waiting: Traces whose ingest has not stored them yet.
    """

    id: str
    settings: ReflectSettings
    changes: ChangeTracker
    owner: str | None = None
    skill: dict[str, Any] | None = None
    traces: Table[str, StoredTrace] = field(init=False)
    waiting: Table[str, StoredTrace] = field(init=False)
    memories: MemoryStore = field(init=False)

    def __post_init__(self) -> None:
        changes, name = self.changes, self.id
        self.traces = Table(changes, f"reflect_trace:{name}", StoredTrace.from_document, lambda row: row.id)
        self.waiting = Table(
            changes, f"reflect_waiting:{name}", StoredTrace.from_document, lambda row: row.id
        )
        self.memories = MemoryStore(
            Table(changes, f"reflect_memory:{name}", StoredMemory.from_document, lambda row: row.id)
        )

    def document(self) -> dict[str, Any]:
        """The fields that are not in tables of their own."""
        return {"id": self.id, "owner": self.owner, "skill": self.skill}

    def clear(self) -> None:
        """Delete everything in the project."""
        for table in (self.traces, self.waiting, self.memories.rows):
            table.clear()
            del self.changes.tables[table.name]

    def store(self, trace: StoredTrace) -> None:
        """Store a trace, whether it was waiting or not."""
        self.waiting.pop(trace.id, None)
        self.traces[trace.id] = trace

    def review(
        self,
        trace: StoredTrace,
        verdict: ReviewCreateSchema,
        mode: Literal["inline", "deferred"],
        authored: Lesson | None = None,
    ) -> None:
        """Apply a review: reward the memories that were used, and create one from the trace."""
        passed = verdict.result == "pass"
        alpha = self.settings.alpha if verdict.alpha is None else verdict.alpha
        for memory_id in dict.fromkeys(trace.retrieved_memory_ids):
            if (memory := self.memories.rows.get(memory_id)) is not None:
                memory.reward(float(passed), alpha)
        trace.review = StoredReview(str(uuid.uuid4()), trace.id, verdict.result, verdict.feedback_text, mode)
        created = StoredMemory(
            str(uuid.uuid4()),
            trace.task,
            authored or trace.lesson(verdict),
            self.settings.initial_q,
            success=passed,
            tools_used=trace.tools_used,
            metadata=trace.metadata,
        )
        self.memories.add(created)
        trace.created_memory_id = created.id

    def review_inline(self, trace: StoredTrace, verdict: InlineReviewSchema) -> None:
        """Apply the review that came with the trace, with its authored reflection if there is one."""
        reflection = verdict.reflection
        authored = None if reflection is None else Lesson(**reflection.model_dump())
        self.review(trace, verdict, "inline", authored)

    def make_skill(self, n_passed: int, n_failed: int, at: str) -> dict[str, Any]:
        """Make the next version of the skill from the best memories of each outcome."""
        passed = self.memories.best(n_passed, success=True)
        failed = self.memories.best(n_failed, success=False)
        version = 1 if self.skill is None else self.skill["version"] + 1
        self.skill = {
            "id": f"skill-{self.id}",
            "project_id": self.id,
            "name": self.id,
            "description": f"What {len(passed)} passed and {len(failed)} failed runs have taught",
            "content": _guide(self.id, passed, failed),
            "version": version,
            "n_passed": len(passed),
            "n_failed": len(failed),
            "created_at": at if self.skill is None else self.skill["created_at"],
            "updated_at": at,
        }
        return self.skill


def _guide(name: str, passed: Sequence[StoredMemory], failed: Sequence[StoredMemory]) -> str:
    lines = ["---", f"name: {name}", "---", "", "## Proven strategies", ""]
    lines += [f"- {memory.task}: {memory.lesson.guidance}" for memory in passed] or ["None yet."]
    lines += ["", "## Pitfalls to avoid", ""]
    lines += [
        f"- {memory.task}: {memory.lesson.key_mistake or memory.lesson.guidance}" for memory in failed
    ] or ["None yet."]
    return "\n".join(lines) + "\n"
