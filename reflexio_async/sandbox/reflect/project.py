"""A project: its traces, its memories, its skill."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from reflexio_async.sandbox.reflect.memories import Bank, Lesson, Memory
from reflexio_async.sandbox.reflect.traces import Review, Trace
from reflexio_async.sandbox.storage.tables import Row, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.sandbox.reflect.schemas import InlineReview, ReviewCreate
    from reflexio_async.sandbox.reflect.settings import ReflectSettings
    from reflexio_async.sandbox.storage.tables import Changes


@dataclass(slots=True)
class Project(Row):
    """What is kept under one project id; ``owner`` is who bootstrapped it, if somebody did."""

    id: str
    settings: ReflectSettings
    changes: Changes
    owner: str | None = None
    skill: dict[str, Any] | None = None
    traces: Table[str, Trace] = field(init=False)
    """Those that are stored, oldest first."""
    waiting: Table[str, Trace] = field(init=False)
    """Those that are to be stored."""
    bank: Bank = field(init=False)

    def __post_init__(self) -> None:
        changes, name = self.changes, self.id
        self.traces = Table(changes, f"reflect_trace:{name}", Trace.restored, lambda row: row.id)
        self.waiting = Table(changes, f"reflect_waiting:{name}", Trace.restored, lambda row: row.id)
        self.bank = Bank(Table(changes, f"reflect_memory:{name}", Memory.restored, lambda row: row.id))

    def document(self) -> dict[str, Any]:
        """What is not in tables of its own."""
        return {"id": self.id, "owner": self.owner, "skill": self.skill}

    def clear(self) -> None:
        """Drop everything in it, for good."""
        for table in (self.traces, self.waiting, self.bank.memories):
            table.clear()
            del self.changes.tables[table.kind]

    def store(self, trace: Trace) -> None:
        """Show it from now on, whether it waited or not."""
        self.waiting.pop(trace.id, None)
        self.traces[trace.id] = trace

    def review(
        self,
        trace: Trace,
        verdict: ReviewCreate,
        mode: Literal["inline", "deferred"],
        authored: Lesson | None = None,
    ) -> None:
        """Work a verdict in: reward the memories that were used, and make one of what was learnt."""
        passed = verdict.result == "pass"
        alpha = self.settings.alpha if verdict.alpha is None else verdict.alpha
        for memory_id in dict.fromkeys(trace.retrieved_memory_ids):
            if (memory := self.bank.memories.get(memory_id)) is not None:
                memory.reward(float(passed), alpha)
        trace.review = Review(str(uuid.uuid4()), trace.id, verdict.result, verdict.feedback_text, mode)
        created = Memory(
            str(uuid.uuid4()),
            trace.task,
            authored or trace.lesson(verdict),
            self.settings.initial_q,
            success=passed,
            tools_used=trace.tools_used,
            metadata=trace.metadata,
        )
        self.bank.add(created)
        trace.created_memory_id = created.id

    def review_inline(self, trace: Trace, verdict: InlineReview) -> None:
        """Work in the verdict that came with the trace, and the lesson that came with the verdict."""
        written = verdict.reflection
        authored = None if written is None else Lesson(**written.model_dump())
        self.review(trace, verdict, "inline", authored)

    def make_skill(self, n_passed: int, n_failed: int, at: str) -> dict[str, Any]:
        """Consolidate the best lessons of each outcome; each making is a version."""
        passed = self.bank.best(n_passed, success=True)
        failed = self.bank.best(n_failed, success=False)
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


def _guide(name: str, passed: Sequence[Memory], failed: Sequence[Memory]) -> str:
    lines = ["---", f"name: {name}", "---", "", "## Proven strategies", ""]
    lines += [f"- {memory.task}: {memory.lesson.guidance}" for memory in passed] or ["None yet."]
    lines += ["", "## Pitfalls to avoid", ""]
    lines += [
        f"- {memory.task}: {memory.lesson.key_mistake or memory.lesson.guidance}" for memory in failed
    ] or ["None yet."]
    return "\n".join(lines) + "\n"
