"""``worker``: drives the lanes and the outboxes of a store in Postgres, until it is stopped."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK
from reflexio_async.cli.inputs import load_extra, shown_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflexio_async.cli.reporting import Reporter
    from reflexio_async.cli.signals import Signals
    from reflexio_async.worker import WorkerStats

_BETWEEN_LOOKS = 1.0  # seconds


@dataclass(frozen=True)
class RunWorker:
    """Drive a store until a signal comes. The fields are the command's options."""

    store: str = field(repr=False)
    organisations: Mapping[str, tuple[str, str]] = field(repr=False)
    """The servers and keys, by name."""
    reporter: Reporter
    lanes: int
    as_json: bool = False

    def __post_init__(self) -> None:
        load_extra("reflexio_async.worker", what="the worker", extra="cluster")

    async def run(self, signals: Signals) -> int:
        """Return the exit code after a signal has come."""
        from reflexio_async.worker import Organisation, Worker  # noqa: PLC0415  # as above

        output.show_warnings()
        organisations = {name: Organisation(url, key) for name, (url, key) in self.organisations.items()}
        worker = Worker(self.store, organisations, lanes=self.lanes)
        working = asyncio.create_task(worker.run(), name="worker")

        def stop() -> None:
            self.reporter.say("stopping: waiting for what was sent (again to leave at once)", "yellow")
            working.cancel()

        signals.on_first(stop)
        names = ", ".join(self.organisations)
        self.reporter.say(
            f"worker {worker.name} drives {shown_store(self.store)} for {names} (Ctrl-C to stop)"
        )
        shown: WorkerStats | None = None
        try:
            while not working.done():
                stats = worker.stats()
                if stats != shown:
                    shown = stats
                    self._show(stats)
                await asyncio.wait([working], timeout=_BETWEEN_LOOKS)
        finally:
            working.cancel()
        if not working.cancelled():
            working.result()
        self.reporter.say("stopped")
        return OK

    def _show(self, stats: WorkerStats) -> None:
        if self.as_json:
            fields = {
                "driving": [lane._asdict() for lane in stats.driving],
                "without_key": [lane._asdict() for lane in stats.without_key],
                "unknown": stats.unknown,
            }
            output.write_line(json.dumps(fields, ensure_ascii=False))
            return
        lanes = ", ".join(f"{lane.name} of {lane.org or lane.url}" for lane in stats.driving)
        self.reporter.say(f"driving: {lanes or 'nothing'}")
        for lane in stats.without_key:
            self.reporter.say(f"no key for {lane.org!r} at {lane.url}: {lane.name} waits", "yellow")
        if stats.unknown:
            self.reporter.say(f"{stats.unknown} wait: their organisation is not known", "yellow")
