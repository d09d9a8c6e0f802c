"""What a project learns from its traces, and what to change where it learns nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from reflexio_async.errors import printable
from reflexio_async.reflect.models.traces import IngestStatus, ReviewStatus
from reflexio_async.reflect.presets import COLD_START, COLD_START_MEMORIES, LATER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reflexio_async.reflect.api import ReflectAPI
    from reflexio_async.reflect.models.traces import Trace
    from reflexio_async.reflect.presets import Preset

MAX_QUERIES = 1000  # that a client remembers
MAX_TASK = 200  # characters of a query's task that it remembers

_SHOWN_IDS = 3


class SeenQuery(NamedTuple):
    """One query for memories that this client has sent.

    Attributes:
        project_id: The project.
        task: The task, up to 200 characters of it.
        limit: The maximum number of memories.
        lambda_: 1 ranked by similarity alone, 0 by q-value alone.
        similarity_threshold: The minimum similarity. None: the server's default.
        filtered: Whether there was a ``metadata_filter``.
        found: The number of memories that were found.
    """

    project_id: str
    task: str
    limit: int
    lambda_: float
    similarity_threshold: float | None
    filtered: bool
    found: int

    @property
    def was_cold_start(self) -> bool:
        """Whether it looked at least as widely as ``presets.COLD_START``."""
        threshold = self.similarity_threshold
        return threshold is not None and threshold <= COLD_START["similarity_threshold"]


class Finding(NamedTuple):
    """One reason why little is learnt.

    Attributes:
        problem: What is so.
        change: What to change.
    """

    problem: str
    change: str


@dataclass(frozen=True, slots=True)
class LearningReport:
    """What a project learns from its traces. ``str(report)`` is a text for people.

    Attributes:
        project_id: The project.
        traces: The number of traces that the server has stored.
        unreviewed_traces: The ids of those without a review.
        traces_without_memories: The number of those whose run had no memory.
        memories: The number of memories that these traces have made or used. The server does not list
            memories, so one that no stored trace names is not counted.
        unmoved_memories: The ids of the memories that no reviewed run has used. Reviews of runs that used a
            memory are what moves its q-value, so these have the q-value that they began with.
        unmoved_but_used: The ids of those among them that runs without a review have used.
        queries: The number of the queries for memories, in this project, among the last 1,000 that this
            client and its views have sent. Queries of other clients and processes are not known.
        empty_queries: Those that found nothing.
    """

    project_id: str
    traces: int
    unreviewed_traces: tuple[str, ...]
    traces_without_memories: int
    memories: int
    unmoved_memories: tuple[str, ...]
    unmoved_but_used: tuple[str, ...]
    queries: int
    empty_queries: tuple[SeenQuery, ...]

    @property
    def reviewed_traces(self) -> int:
        """The number of traces with a review."""
        return self.traces - len(self.unreviewed_traces)

    @property
    def preset(self) -> Preset:
        """The values that fit now: ``presets.COLD_START`` or ``presets.LATER``."""
        return COLD_START if self.memories < COLD_START_MEMORIES else LATER

    @property
    def findings(self) -> list[Finding]:
        """What keeps the project from learning, each with what to change."""
        found = [self._no_traces(), self._unreviewed(), self._unmoved(), self._empty()]
        return [finding for finding in found if finding is not None]

    def __str__(self) -> str:
        head = (
            f"Project {printable(self.project_id)!r}: {_count(self.traces, 'trace')}, "
            f"{self.reviewed_traces} with a review, {self.traces_without_memories} without memories; "
            f"{_count(self.memories, 'memory', 'memories')}; {_count(self.queries, 'query', 'queries')} "
            f"of this client, {len(self.empty_queries)} without a memory."
        )
        lines = [f"- {finding.problem}\n  {finding.change}" for finding in self.findings]
        name = "COLD_START" if self.preset is COLD_START else "LATER"
        tail = f"Values that fit now: presets.{name} ({_values(self.preset)})."
        return "\n".join((head, *(lines or ["- Nothing to change."]), tail))

    def _no_traces(self) -> Finding | None:
        if self.traces:
            return None
        return Finding(
            "The project has no traces, so it has nothing to learn from.",
            "Run the agent inside `async with client.trace(task)`, and call ctx.set_output.",
        )

    def _unreviewed(self) -> Finding | None:
        ids = self.unreviewed_traces
        if not ids:
            return None
        return Finding(
            f"Traces without a review, from which nothing is learnt: {len(ids)} of {self.traces}: "
            f"{_some(ids)}.",
            "Pass judge= to trace, or result= to ctx.set_output. These: review_trace(trace_id, result=…).",
        )

    def _unmoved(self) -> Finding | None:
        ids = self.unmoved_memories
        if not ids:
            return None
        problem = (
            f"Memories whose q-value never moved, since no reviewed run has used them: "
            f"{len(ids)} of {self.memories}: {_some(ids)}."
        )
        used = len(self.unmoved_but_used)
        changes: list[str] = []
        if used:
            changes.append(f"Used by runs without a review: {used}. Review those runs.")
        if len(ids) > used:
            changes.append(
                f"Used by no run: {len(ids) - used}. Use client.trace for the runs, with values that find "
                f"more: {_values(COLD_START)}."
            )
        return Finding(problem, " ".join(changes))

    def _empty(self) -> Finding | None:
        empty = self.empty_queries
        if not empty:
            return None
        problem = (
            f"Queries of this client that found no memory: {len(empty)} of {self.queries}. "
            f"(Queries of other clients and processes are not known here.)"
        )
        if not self.memories:
            change = "There are no memories yet: have traces reviewed."
        elif not all(query.was_cold_start for query in empty):
            change = f"Pass **presets.COLD_START to trace: {_values(COLD_START)}."
        elif any(query.filtered for query in empty):
            change = "Look at metadata_filter: only memories with all of its entries are found."
        else:
            change = (
                "Those that were sent before the first memory was made could find none. No task in store "
                "resembled that of the others: give short tasks, such as one sentence with the intent."
            )
        return Finding(problem, change)


async def read_learning_report(
    api: ReflectAPI, project_id: str, queries: Iterable[SeenQuery]
) -> LearningReport:
    """Read the traces of the project, and make its report."""
    return make_learning_report(project_id, await api.list_traces(), queries)


def make_learning_report(
    project_id: str, traces: Iterable[Trace], queries: Iterable[SeenQuery]
) -> LearningReport:
    """Make the report of a project from all of its traces, and from the queries of a client."""
    stored = [trace for trace in traces if trace.ingest_status != IngestStatus.FAILED]
    unreviewed = [trace for trace in stored if trace.review_status != ReviewStatus.REVIEWED]
    reviewed = [trace for trace in stored if trace.review_status == ReviewStatus.REVIEWED]
    used, moved = _used_by(stored), _used_by(reviewed)
    made = dict.fromkeys(trace.created_memory_id for trace in stored if trace.created_memory_id)
    memories = [*made, *(memory for memory in used if memory not in made)]
    unmoved = [memory for memory in memories if memory not in moved]
    seen = [query for query in queries if query.project_id == project_id]
    return LearningReport(
        project_id=project_id,
        traces=len(stored),
        unreviewed_traces=tuple(trace.id for trace in unreviewed),
        traces_without_memories=sum(not trace.retrieved_memory_ids for trace in stored),
        memories=len(memories),
        unmoved_memories=tuple(unmoved),
        unmoved_but_used=tuple(memory for memory in unmoved if memory in used),
        queries=len(seen),
        empty_queries=tuple(query for query in seen if not query.found),
    )


def _used_by(traces: Iterable[Trace]) -> dict[str, None]:
    """The ids of the memories that the runs used, in order."""
    return dict.fromkeys(memory for trace in traces for memory in trace.retrieved_memory_ids)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _some(ids: Sequence[str]) -> str:
    shown = ", ".join(printable(each, 100) for each in ids[:_SHOWN_IDS])
    return shown if len(ids) <= _SHOWN_IDS else f"{shown} and {len(ids) - _SHOWN_IDS} more"


def _values(preset: Preset) -> str:
    return ", ".join(f"{name}={value}" for name, value in preset.items())
