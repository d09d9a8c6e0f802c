"""Ingest: what happens to a trace after its submission was answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from reflexio_async._engine.clock import Clock, Timer
from reflexio_async.sandbox.reflect.project import Project
from reflexio_async.sandbox.reflect.settings import ReflectSettings
from reflexio_async.sandbox.reflect.traces import StoredTrace


@dataclass(slots=True)
class _Queued:
    project: Project
    trace: StoredTrace
    timer: Timer | None = None


@dataclass(slots=True)
class TraceIngest:
    """A durable queue of traces. Each trace has a timer of its own, as if there were enough workers."""

    clock: Clock
    settings: ReflectSettings
    _queue: dict[str, _Queued] = field(default_factory=dict[str, _Queued])

    @property
    def queued(self) -> list[StoredTrace]:
        """Traces whose ingest has not ended, oldest first."""
        return [entry.trace for entry in self._queue.values()]

    def submit(self, project: Project, trace: StoredTrace) -> None:
        """Queue a trace."""
        entry = _Queued(project, trace)
        self._schedule(entry)
        self._queue[trace.id] = entry
        project.waiting[trace.id] = trace

    def restore(self, project: Project) -> None:
        """Queue the traces of a project that was read from a file, if their ingest has not ended."""
        started = (trace for trace in project.traces.values() if trace.ingest_status == "processing")
        for trace in (*started, *project.waiting.values()):
            self._queue[trace.id] = _Queued(project, trace)

    def delete_project(self, project: Project) -> None:
        """Remove the traces of a project from the queue."""
        for trace_id in [name for name, entry in self._queue.items() if entry.project is project]:
            self._remove(trace_id)

    def stop(self) -> None:
        """Stop all work. The queue stays."""
        for entry in self._queue.values():
            if entry.timer is not None:
                entry.timer.cancel()

    def resume(self) -> None:
        """Start all work in the queue again."""
        for entry in self._queue.values():
            self._schedule(entry)

    def _schedule(self, entry: _Queued) -> None:
        if entry.trace.ingest_status == "processing":
            seconds, step = self.settings.review_seconds, partial(self._finish, entry)
        else:
            seconds, step = self.settings.seconds_of(entry.trace.task), partial(self._attempt, entry)
        entry.timer = self.clock.call_at(self.clock.now() + seconds, step)

    def _attempt(self, entry: _Queued) -> None:
        trace, settings = entry.trace, self.settings
        trace.ingest_attempts += 1
        if settings.failing(trace.task, trace.ingest_attempts):
            trace.last_ingest_error = settings.ingest_error
            if trace.ingest_attempts < settings.max_attempts:
                self._schedule(entry)
                return
            trace.ingest_status = "failed"
            entry.project.store(trace)
            self._remove(trace.id)
            return
        trace.last_ingest_error = None
        entry.project.store(trace)
        if trace.submitted is not None and settings.review_seconds > 0:
            trace.ingest_status = "processing"
            self._schedule(entry)
            return
        self._finish(entry)

    def _finish(self, entry: _Queued) -> None:
        trace = entry.trace
        trace.ingest_status = "completed"
        # A trace that was deleted meanwhile creates no memory.
        if trace.submitted is not None and trace.id in entry.project.traces:
            entry.project.review_inline(trace, trace.submitted)
        self._remove(trace.id)

    def _remove(self, trace_id: str) -> None:
        entry = self._queue.pop(trace_id)
        entry.project.waiting.pop(trace_id, None)
        if entry.timer is not None:
            entry.timer.cancel()
