"""What happens to a trace after its submission was answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reflexio_async._engine.clock import Clock, Timer
    from reflexio_async.sandbox.reflect.project import Project
    from reflexio_async.sandbox.reflect.settings import ReflectSettings
    from reflexio_async.sandbox.reflect.traces import Trace


@dataclass(slots=True)
class _Queued:
    project: Project
    trace: Trace
    timer: Timer | None = None


@dataclass(slots=True)
class Ingest:
    """A durable queue that any number of workers empty, each trace on a timer of its own."""

    clock: Clock
    settings: ReflectSettings
    _queue: dict[str, _Queued] = field(default_factory=dict[str, _Queued])

    @property
    def queued(self) -> list[Trace]:
        """What is not done with, oldest first."""
        return [entry.trace for entry in self._queue.values()]

    def submit(self, project: Project, trace: Trace) -> None:
        """Store it in due time."""
        entry = _Queued(project, trace)
        self._schedule(entry)
        self._queue[trace.id] = entry
        project.waiting[trace.id] = trace

    def take_up(self, project: Project) -> None:
        """Queue what was read back of a project and is not done with."""
        begun = (trace for trace in project.traces.values() if trace.ingest_status == "processing")
        for trace in (*begun, *project.waiting.values()):
            self._queue[trace.id] = _Queued(project, trace)

    def forget(self, project: Project) -> None:
        """Drop what a project that goes has in the queue."""
        for trace_id in [name for name, entry in self._queue.items() if entry.project is project]:
            self._drop(trace_id)

    def stop(self) -> None:
        """Work no more; the queue stays."""
        for entry in self._queue.values():
            if entry.timer is not None:
                entry.timer.cancel()

    def resume(self) -> None:
        """Go on with the queue: the work that was under way begins anew."""
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
            self._drop(trace.id)
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
        # A trace that was deleted meanwhile teaches nothing.
        if trace.submitted is not None and trace.id in entry.project.traces:
            entry.project.review_inline(trace, trace.submitted)
        self._drop(trace.id)

    def _drop(self, trace_id: str) -> None:
        entry = self._queue.pop(trace_id)
        entry.project.waiting.pop(trace_id, None)
        if entry.timer is not None:
            entry.timer.cancel()
