"""What a rerun would do: what it goes over, what would be sent, and how long that takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from reflexio_async._engine.batch.progress import BatchPlan
from reflexio_async.cli import output
from reflexio_async.cli.stored_batch import PROFILES, batch_fields, ended_text, left_of
from reflexio_async.reflexio.api.playbooks import RERUN_PLAYBOOK_GENERATION
from reflexio_async.reflexio.api.profiles import RERUN_PROFILE_GENERATION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.durable.entries import BatchEntry

_SHOWN_IDS = 5


class Target(NamedTuple):
    """What is rerun: the word for one and for many, the service of the server, and the request of a start."""

    one: str
    many: str
    service: str
    request: str


USERS = Target("user", "users", PROFILES, f"POST {RERUN_PROFILE_GENERATION.path}")
AGENT_VERSIONS = Target(
    "agent version", "agent versions", "playbook_generation", f"POST {RERUN_PLAYBOOK_GENERATION.path}"
)


@dataclass(frozen=True)
class Plan:
    """What ``--dry-run`` shows.

    Attributes:
        server: The address of the server.
        target: What is rerun.
        ids: All of the batch.
        per_minute: How many a server begins a minute.
        kept: What the store has of the batch; None: nothing.
        retry_failed: Whether those are run again that did not complete.
    """

    server: str
    target: Target
    ids: Sequence[str]
    per_minute: int | None
    kept: BatchEntry | None
    retry_failed: bool

    def write(self, *, as_json: bool) -> None:
        """Write it to stdout."""
        target, ids, kept, first = self.target, self.ids, self.kept, list(self.ids[:_SHOWN_IDS])
        left = len(ids) if kept is None else left_of(kept, len(ids), again=self.retry_failed)
        to_send = BatchPlan.of(left, self.per_minute)
        if as_json:
            fields = {
                "event": "plan",
                "server": self.server,
                target.many.replace(" ", "_"): len(ids),
                "first": first,
                "request": target.request,
                "requests": left,
                "per_minute": self.per_minute,
                "seconds": to_send.seconds,
                "batch": None if kept is None else batch_fields(kept),
            }
            output.write_line(json.dumps(fields, ensure_ascii=False))
            return
        more = ", …" if len(ids) > len(first) else ""
        lines = [
            f"{self.server} answers, and takes this key",
            plan_text(target, len(ids), to_send),
            f"would send: {target.request}, {left} times, one after another",
            f"the first: {', '.join(map(repr, first))}{more}",
            *([] if kept is None else [f"in the store: {kept.id}: {ended_text(kept)}"]),
            "nothing was started, because of --dry-run",
        ]
        for line in lines:
            output.print_line(output.console(), line)


def plan_text(target: Target, count: int, to_send: BatchPlan) -> str:
    """How many are to be rerun, and how long that takes."""
    text = f"{count} {target.one if count == 1 else target.many} to rerun"
    if to_send.total != count:
        text += f", {to_send.total} of them still to be started"
    if to_send.per_minute is not None and to_send.seconds:
        text += (
            f": about {output.duration(to_send.seconds)} where a server begins {to_send.per_minute} a "
            "minute (the published limit), sooner where it begins more"
        )
    return text
