"""A project's memories, found by what they are about and by what they have been worth."""

from __future__ import annotations

import heapq
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from reflexio_async.sandbox.reflect.similarity import Vector, cosine, settled, vector
from reflexio_async.sandbox.storage.tables import Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reflexio_async.sandbox.reflect.schemas import MemoryQuery
    from reflexio_async.sandbox.storage.tables import Table

_POOL_OF_EACH: Final = 4
_LEAST_POOL: Final = 50
"""Diversity is sought among the best ``max(4 * limit, 50)`` alone."""

_TOLERANCE: Final = 1e-9
"""What the order of summing may do to a similarity."""

_MISSING: Final = object()


@dataclass(slots=True)
class Lesson:
    """What a reflection says, whether an agent wrote it or the service."""

    summary: str
    guidance: str
    key_mistake: str = ""
    correct_action: str = ""
    applicable_tools: Sequence[str] = ()

    @property
    def text(self) -> str:
        """All of it as one text."""
        parts = (
            ("", self.summary),
            ("Mistake: ", self.key_mistake),
            ("Do: ", self.correct_action),
            ("Guidance: ", self.guidance),
        )
        return "\n".join(label + part for label, part in parts if part)


@dataclass(slots=True)
class Memory(Row):
    """A lesson, the task that taught it, and what it has been worth so far."""

    id: str
    task: str
    lesson: Lesson
    q_value: float
    success: bool | None
    tools_used: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The trace's."""
    vector: Vector = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.vector = vector(self.task)

    def document(self) -> dict[str, Any]:
        """With the lesson's parts."""
        return {**Row.document(self), "lesson": asdict(self.lesson)}

    @classmethod
    def restored(cls, document: dict[str, Any]) -> Memory:
        """With its lesson."""
        whole: dict[str, Any] = {**document, "lesson": Lesson(**document["lesson"])}
        return cls(**whole)

    def reward(self, reward: float, alpha: float) -> None:
        """Move the q-value towards ``reward`` by ``alpha`` of the way."""
        self.q_value += alpha * (reward - self.q_value)

    def fits(self, wanted: Mapping[str, Any]) -> bool:
        """Whether its metadata say all of ``wanted``."""
        return all(self.metadata.get(key, _MISSING) == value for key, value in wanted.items())


@dataclass(frozen=True, slots=True)
class Match:
    """A memory as the answer to a query."""

    memory: Memory
    similarity: float
    score: float

    def view(self) -> dict[str, Any]:
        """As the server shows it."""
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


class Bank:
    """Memories in the order they came; none is ever forgotten but with its project."""

    def __init__(self, memories: Table[str, Memory]) -> None:
        self.memories = memories
        self._rows: list[Memory] = []
        self._postings: dict[str, list[tuple[int, float]]] = {}

    def add(self, memory: Memory) -> None:
        """Keep it."""
        self._index(memory)
        self.memories[memory.id] = memory

    def sort(self) -> None:
        """Find one's way among the memories that were read back."""
        for memory in self.memories.values():
            self._index(memory)

    def _index(self, memory: Memory) -> None:
        for word, share in memory.vector.items():
            self._postings.setdefault(word, []).append((len(self._rows), share))
        self._rows.append(memory)

    def best(self, count: int, *, success: bool) -> list[Memory]:
        """The memories of that outcome that have been worth most; the older of equals first."""
        rows = (memory for memory in self._rows if memory.success is success)
        return heapq.nlargest(count, rows, key=lambda memory: memory.q_value)

    def find(self, query: MemoryQuery, default_threshold: float) -> list[Match]:
        """The best matches, in the order they were chosen.

        The score is ``lambda * similarity + (1 - lambda) * q``. With ``mmr_lambda`` below 1 each further
        choice is the one whose score, less its likeness to what is chosen already, is the highest.
        """
        given = query.similarity_threshold
        least = (default_threshold if given is None else given) - _TOLERANCE
        wanted, share = query.metadata_filter or {}, query.lambda_
        # Plain tuples: a project may hold ten thousand memories, of which few are shown.
        scored = [
            (share * similarity + (1 - share) * memory.q_value, similarity, memory)
            for memory, similarity in zip(self._rows, self._similarities(query.task), strict=True)
            if similarity >= least and (not wanted or memory.fits(wanted))
        ]
        diverse = query.mmr_lambda < 1
        pool = max(query.limit * _POOL_OF_EACH, _LEAST_POOL) if diverse else query.limit
        ranked = [
            Match(memory, settled(similarity), settled(score))
            for score, similarity, memory in heapq.nlargest(pool, scored, key=itemgetter(0))
        ]
        return _diverse(ranked, query.limit, query.mmr_lambda) if diverse else ranked

    def _similarities(self, task: str) -> list[float]:
        sums = [0.0] * len(self._rows)
        for word, weight in vector(task).items():
            for row, share in self._postings.get(word, ()):
                sums[row] += weight * share
        return sums


def _diverse(ranked: Sequence[Match], limit: int, relevance: float) -> list[Match]:
    """Maximal marginal relevance."""
    left = {match.memory.id: (match, 0.0) for match in ranked}
    chosen: list[Match] = []
    while left and len(chosen) < limit:
        best, _ = max(left.values(), key=lambda one: relevance * one[0].score - (1 - relevance) * one[1])
        chosen.append(best)
        del left[best.memory.id]
        for name, (match, likeness) in left.items():
            left[name] = (match, max(likeness, cosine(match.memory.vector, best.memory.vector)))
    return chosen
