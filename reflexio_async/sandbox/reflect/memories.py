"""A project's memories, found by similarity of their tasks and by their q-values."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

from reflexio_async.sandbox.reflect.schemas import MemoryQuerySchema
from reflexio_async.sandbox.reflect.similarity import Vector, cosine, rounded, vector
from reflexio_async.sandbox.storage.tables import Row, Table

_POOL_PER_RESULT: Final = 4
_LEAST_POOL: Final = 50
"""Diverse results are chosen from the best ``max(4 * limit, 50)``."""

_TOLERANCE: Final = 1e-9
"""The order of summing changes a similarity by less."""

_MISSING: Final = object()


@dataclass(slots=True)
class Lesson:
    """The content of a reflection, written by an agent or by the service."""

    summary: str
    guidance: str
    key_mistake: str = ""
    correct_action: str = ""
    applicable_tools: Sequence[str] = ()

    @property
    def text(self) -> str:
        """All parts as one text."""
        parts = (
            ("", self.summary),
            ("Mistake: ", self.key_mistake),
            ("Do: ", self.correct_action),
            ("Guidance: ", self.guidance),
        )
        return "\n".join(label + part for label, part in parts if part)


@dataclass(slots=True)
class StoredMemory(Row):
    """A lesson, the task it comes from, and its q-value.

    Attributes:
        success: Whether the task's trace passed. None without a review.
        metadata: The metadata of the trace.
    """

    id: str
    task: str
    lesson: Lesson
    q_value: float
    success: bool | None
    tools_used: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    vector: Vector = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.vector = vector(self.task)

    def reward(self, reward: float, alpha: float) -> None:
        """Move the q-value towards ``reward``, by the fraction ``alpha`` of the difference."""
        self.q_value += alpha * (reward - self.q_value)

    def matches(self, wanted: Mapping[str, Any]) -> bool:
        """Whether its metadata has all items of ``wanted``, or has them in lists.

        Server-behaviour: Conversations.
        """
        for key, value in wanted.items():
            held = self.metadata.get(key, _MISSING)
            if held != value and not (isinstance(held, list) and value in held):
                return False
        return True


@dataclass(frozen=True, slots=True)
class MemoryMatch:
    """A memory that matches a query."""

    memory: StoredMemory
    similarity: float
    score: float

    def view(self) -> dict[str, Any]:
        """As the server returns it."""
        memory, lesson = self.memory, self.memory.lesson
        return {
            "id": memory.id,
            "task": memory.task,
            "reflection": lesson.text,
            "q_value": memory.q_value,
            "similarity": self.similarity,
            "score": self.score,
            "success": memory.success,
            "summary": lesson.summary,
            "key_mistake": lesson.key_mistake,
            "correct_action": lesson.correct_action,
            "applicable_tools": list(lesson.applicable_tools),
            "guidance": lesson.guidance,
            "tools_used": list(memory.tools_used),
        }


class MemoryStore:
    """The memories of a project, oldest first. A memory is deleted only with its project."""

    def __init__(self, memories: Table[str, StoredMemory]) -> None:
        self.rows = memories
        self._indexed: list[StoredMemory] = []
        self._postings: dict[str, list[tuple[int, float]]] = {}

    def add(self, memory: StoredMemory) -> None:
        """Add a memory."""
        self._index(memory)
        self.rows[memory.id] = memory

    def index(self) -> None:
        """Index the memories that were read from a file."""
        for memory in self.rows.values():
            self._index(memory)

    def _index(self, memory: StoredMemory) -> None:
        for word, share in memory.vector.items():
            self._postings.setdefault(word, []).append((len(self._indexed), share))
        self._indexed.append(memory)

    def best(self, count: int, *, success: bool) -> list[StoredMemory]:
        """The memories of this outcome with the highest q-values; of equal ones the older first."""
        memories = (memory for memory in self._indexed if memory.success is success)
        return heapq.nlargest(count, memories, key=lambda memory: memory.q_value)

    def find(self, query: MemoryQuerySchema, default_threshold: float) -> list[MemoryMatch]:
        """The best matches, in the order in which they are chosen.

        The score is ``lambda * similarity + (1 - lambda) * q``. With ``mmr_lambda`` below 1, each further
        choice has the highest score after subtracting its similarity to the chosen ones.
        """
        given = query.similarity_threshold
        least = (default_threshold if given is None else given) - _TOLERANCE
        wanted, share = query.metadata_filter or {}, query.lambda_
        # Plain tuples: a project may have ten thousand memories, of which few are returned.
        scored = [
            (share * similarity + (1 - share) * memory.q_value, similarity, memory)
            for memory, similarity in zip(self._indexed, self._similarities(query.task), strict=True)
            if similarity >= least and (not wanted or memory.matches(wanted))
        ]
        diverse = query.mmr_lambda < 1
        pool = max(query.limit * _POOL_PER_RESULT, _LEAST_POOL) if diverse else query.limit
        ranked = [
            MemoryMatch(memory, rounded(similarity), rounded(score))
            for score, similarity, memory in heapq.nlargest(pool, scored, key=itemgetter(0))
        ]
        return _diverse(ranked, query.limit, query.mmr_lambda) if diverse else ranked

    def _similarities(self, task: str) -> list[float]:
        sums = [0.0] * len(self._indexed)
        for word, weight in vector(task).items():
            for row, share in self._postings.get(word, ()):
                sums[row] += weight * share
        return sums


def _diverse(ranked: Sequence[MemoryMatch], limit: int, relevance: float) -> list[MemoryMatch]:
    """Maximal marginal relevance."""
    left = {match.memory.id: (match, 0.0) for match in ranked}
    chosen: list[MemoryMatch] = []
    while left and len(chosen) < limit:
        best, _ = max(left.values(), key=lambda one: relevance * one[0].score - (1 - relevance) * one[1])
        chosen.append(best)
        del left[best.memory.id]
        for key, (match, similarity) in left.items():
            left[key] = (match, max(similarity, cosine(match.memory.vector, best.memory.vector)))
    return chosen
