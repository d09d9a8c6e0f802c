"""OpenTelemetry: the metrics of all clients of this process. Needs the extra ``otel``."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

from opentelemetry import metrics
from opentelemetry.metrics import Observation

from reflexio_async._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider

    from reflexio_async._engine.tracing import Tracing

T = TypeVar("T")

# Upper bounds of the buckets, in seconds. Those of calls are OpenTelemetry's for HTTP, with longer ones.
_CALLS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 300)
_JOBS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400)
_LAGS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60)


class Instruments:
    """The twelve metrics. ``clients`` are the clients that the last three are about."""

    def __init__(self, provider: MeterProvider | None) -> None:
        self.clients: WeakSet[Tracing] = WeakSet()
        self._lock = threading.Lock()
        """Metrics are read in a thread of their own."""
        meter = metrics.get_meter("reflexio_async", __version__, provider)
        self.call_duration = _seconds(
            meter, "reflexio.call.duration", "Duration of calls, with all their tries", _CALLS
        )
        self.retries = meter.create_counter("reflexio.call.retries", "{retry}", "Tries after the first")
        self.refused = meter.create_counter(
            "reflexio.call.refused", "{response}", "Responses with status 429 or success: false"
        )
        self.limit_wait = _seconds(
            meter, "reflexio.limit.wait", "Time that requests waited for the rate limit", _JOBS
        )
        self.job_queue_time = _seconds(
            meter, "reflexio.job.queue_time", "Time until the server accepted a job", _JOBS
        )
        self.job_run_time = _seconds(
            meter, "reflexio.job.run_time", "Time from then until its outcome was read", _JOBS
        )
        self.job_outcomes = meter.create_counter("reflexio.job.outcomes", "{job}", "Jobs that ended")
        self.batch_outcomes = meter.create_counter("reflexio.batch.outcomes", "{key}", "Keys that ended")
        self.poll_lag = _seconds(
            meter, "reflexio.poll.lag", "Time from when a status request was due until it was sent", _LAGS
        )
        meter.create_observable_up_down_counter(
            "reflexio.job.active", [self._active_jobs], "{job}", "Jobs that are queued or run"
        )
        meter.create_observable_up_down_counter(
            "reflexio.outbox.size", [self._outbox_size], "{call}", "Calls that wait in the outbox"
        )
        meter.create_observable_gauge(
            "reflexio.store.size", [self._store_size], "By", "Size of the file of the store"
        )

    def add(self, client: Tracing) -> None:
        """Observe ``client``, too."""
        with self._lock:
            self.clients.add(client)

    def _clients(self) -> list[Tracing]:
        with self._lock:
            return list(self.clients)

    def _active_jobs(self, _: CallbackOptions) -> Iterable[Observation]:
        counts: Counter[tuple[str, str]] = Counter()
        for client in self._clients():
            for manager in _snapshot(client.managers):
                counts += manager.active()
        return [
            Observation(count, {"reflexio.job.kind": kind, "reflexio.job.state": state})
            for (kind, state), count in counts.items()
        ]

    def _outbox_size(self, _: CallbackOptions) -> Iterable[Observation]:
        sizes = [outbox.size for client in self._clients() for outbox in _snapshot(client.outboxes)]
        known = [size for size in sizes if size is not None]
        return [Observation(sum(known))] if known else []

    def _store_size(self, _: CallbackOptions) -> Iterable[Observation]:
        size = 0
        for path in {client.store for client in self._clients() if client.store is not None}:
            for suffix in ("", "-wal"):
                with suppress(OSError):
                    size += Path(f"{path}{suffix}").stat().st_size
        return [Observation(size)] if size else []


def _seconds(meter: Meter, name: str, description: str, buckets: Sequence[float]) -> Histogram:
    return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=buckets)


def _snapshot(found: WeakSet[T]) -> list[T]:
    """The members of ``found``, which another thread may change."""
    for _ in range(3):
        with suppress(RuntimeError):
            return list(found)
    return []


@lru_cache(4)
def instruments(provider: MeterProvider | None) -> Instruments:
    """The metrics of ``provider``; None: of the global one. Each is made once, for all clients."""
    return Instruments(provider)
