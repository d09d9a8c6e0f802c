"""The progress record of each service: one slot, one operation at a time, only the latest kept."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from reflexio_async.sandbox.storage.tables import Row

if TYPE_CHECKING:
    from reflexio_async._engine.clock import Clock
    from reflexio_async.sandbox.storage.tables import Table

STALE_AFTER: Final = 600
"""Seconds from its start after which an operation is taken for dead, whether it is or not."""

SERVICES: Final = ("profile_generation", "playbook_generation")
LEGACY_SERVICES: Final = ("profile_generation", "feedback_generation")


@dataclass(slots=True)
class Operation(Row):
    """One rerun or manual generation."""

    service: str
    operation_id: str
    started_at: int
    params: dict[str, Any]
    correlated: bool = True
    status: str = "in_progress"
    completed_at: int | None = None
    total: int = 0
    current_user: str | None = None
    processed: list[str] = field(default_factory=list[str])
    failed: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    error: str | None = None
    generated: int = 0
    percentage: float = 0.0
    cancel_requested: bool = False
    disowned: bool = False
    """Another one took its slot while it worked, so that its end went unreported."""
    interactions: int = 0
    """Users, in truth; counted only at the end."""

    @property
    def running(self) -> bool:
        """Whether the record says so."""
        return self.status == "in_progress"

    def view(self) -> dict[str, Any]:
        """As ``get_operation_status`` shows it: what is None is absent, but not within the params."""
        ids = {"operation_id": self.operation_id} if self.correlated else {}
        shown = {
            "service_name": self.service,
            "status": self.status,
            "started_at": self.started_at,
            "completed_at": self.completed_at,
            "total_users": self.total,
            "processed_users": len(self.processed),
            "failed_users": len(self.failed),
            "current_user_id": self.current_user,
            "processed_user_ids": list(self.processed),
            "failed_user_ids": list(self.failed),
            "request_params": {**self.params, **ids},
            "stats": {
                "total_interactions_processed": self.interactions,
                "total_generated": self.generated,
            },
            "error_message": self.error,
            "progress_percentage": self.percentage,
        }
        return {name: value for name, value in shown.items() if value is not None}


class Slot:
    """Holds the latest operation of one service, in its place of ``latest``."""

    def __init__(
        self, clock: Clock, service: str, latest: Table[str, Operation], *, correlated: bool
    ) -> None:
        self._clock = clock
        self._correlated = correlated
        self._latest = latest
        self.service = service
        self.history: list[Operation] = []
        """All that this process has seen."""

    @property
    def latest(self) -> Operation | None:
        """What the server remembers."""
        return self._latest.get(self.service)

    def resume(self) -> None:
        """Take up what was read back."""
        if self.latest is not None:
            self.history.append(self.latest)

    def claim(self, params: dict[str, Any]) -> Operation | None:
        """Take the slot, or None when it is busy; a dead operation's slot is taken over silently."""
        now = int(self._clock.time())
        if self.latest is not None and self.latest.running and now - self.latest.started_at < STALE_AFTER:
            return None
        operation = Operation(self.service, str(uuid.uuid4()), now, params, self._correlated)
        self._latest[self.service] = operation
        self.history.append(operation)
        return operation

    def recover(self, how: str = "") -> None:
        """Declare a dead operation failed, as a status poll or a manual start does.

        When it lives after all it goes on reporting, and may end as completed, with that error.
        """
        operation, now = self.latest, int(self._clock.time())
        if operation is None or not operation.running:
            return
        elapsed = now - operation.started_at
        if elapsed > STALE_AFTER:
            operation.status = "failed"
            operation.completed_at = now
            operation.error = (
                f"Auto-recovered: operation was stuck {how}for {elapsed}s (threshold: {STALE_AFTER}s)"
            )

    def owned_by(self, operation: Operation) -> bool:
        """Whether its progress may still be written: until another one has its place."""
        return self.latest is operation

    def cancel(self) -> bool:
        """Ask the running operation to stop before its next user; whether there was one."""
        if self.latest is None or not self.latest.running:
            return False
        self.latest.cancel_requested = True
        return True
