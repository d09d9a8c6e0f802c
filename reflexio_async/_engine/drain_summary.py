"""What a client had not finished when it was closed."""

from __future__ import annotations

from typing import NamedTuple

from reflexio_async.errors import printable

_MAX_NAMES = 20  # of one kind in a log record; the summary has all of them


class DrainSummary(NamedTuple):
    """What was not finished when a client was closed.

    Attributes:
        calls: The names of the calls that were cut short. Their callers got ClientClosed.
        background_calls: The names of the background calls that had no response.
        unsent_starts: The names of the starts that were not sent, or were sent and not answered.
        batches: The batches that were stopped, and how far they were.
        running_jobs: The tokens of the jobs that go on at the server, as far as is known here.
            ``client.job(token)`` of another client returns such a job.
        stored_jobs: How many jobs wait in the store, or run. Any client with this store goes on with them.
        stored_publishes: How many calls of ``publish_later`` wait in the store. They are delivered by any
            client with this store, of the same organisation.
        stored_traces: How many calls of ``create_trace_later`` do.
    """

    calls: tuple[str, ...] = ()
    background_calls: tuple[str, ...] = ()
    unsent_starts: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    running_jobs: tuple[str, ...] = ()
    stored_jobs: int = 0
    stored_publishes: int = 0
    stored_traces: int = 0

    @property
    def complete(self) -> bool:
        """Whether everything was finished. What runs at the server or is in the store does not count."""
        return not (self.calls or self.background_calls or self.unsent_starts or self.batches)

    def as_text(self) -> str:
        """The names, for a log record; of a long list only the first."""
        kinds = {
            "calls without a response": self.calls,
            "background calls without a response": self.background_calls,
            "starts not sent": self.unsent_starts,
            "batches": self.batches,
            "jobs at the server": self.running_jobs,
        }
        texts = [f"{kind}: {_first_of(names)}" for kind, names in kinds.items() if names]
        stored = {"jobs": self.stored_jobs, "publishes": self.stored_publishes, "traces": self.stored_traces}
        texts += [f"{count} {kind} wait in the store" for kind, count in stored.items() if count]
        return "; ".join(texts)


def _first_of(names: tuple[str, ...]) -> str:
    shown = printable(", ".join(names[:_MAX_NAMES]))
    return shown if len(names) <= _MAX_NAMES else f"{shown} and {len(names) - _MAX_NAMES} more"
