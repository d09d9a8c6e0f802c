"""The operation slots: one per service, which keeps only the latest operation (server-behaviour: Slot)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from reflexio_async._engine.clock import Clock
from reflexio_async.sandbox.reflexio.store.rows import without_nulls
from reflexio_async.sandbox.storage.tables import Row, Table

STALE_AFTER: Final = 600
"""Seconds after its start an operation counts as dead (server-behaviour: Dead operations)."""

SERVICES: Final = ("profile_generation", "playbook_generation")
LEGACY_SERVICES: Final = ("profile_generation", "feedback_generation")


@dataclass(slots=True)
class StoredOperation(Row):
    """One rerun or manual generation.

    Attributes:
        correlated: Whether responses show the operation's id.
        total: How many users it works on.
        disowned: Whether another operation took its slot while it worked, so that its end is not reported.
        interactions: How many users were processed. It is only set at the end.
    """

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
    interactions: int = 0

    @property
    def running(self) -> bool:
        """Whether its status is in_progress."""
        return self.status == "in_progress"

    def view(self) -> dict[str, Any]:
        """As ``get_operation_status`` returns it. Nulls are absent, except in ``request_params``."""
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
        return without_nulls(shown)


class OperationSlot:
    """The latest operation of one service.

    Args:
        clock: For the age of operations.
        service: The service's name.
        latest: The latest operation of every service.
        correlated: Whether new operations show their ids.

    Attributes:
        history: All operations that this process has seen, oldest first.
    """

    def __init__(
        self, clock: Clock, service: str, latest: Table[str, StoredOperation], *, correlated: bool
    ) -> None:
        self._clock = clock
        self._correlated = correlated
        self._latest = latest
        self.service = service
        self.history: list[StoredOperation] = []

    @property
    def latest(self) -> StoredOperation | None:
        """The operation in the slot."""
        return self._latest.get(self.service)

    def resume(self) -> None:
        """Add the operation that was read from a file to the history."""
        if self.latest is not None:
            self.history.append(self.latest)

    def claim(self, params: dict[str, Any]) -> StoredOperation | None:
        """Start an operation. None when the slot is busy; a dead operation's slot is taken over."""
        now = int(self._clock.time())
        if self.latest is not None and self.latest.running and now - self.latest.started_at < STALE_AFTER:
            return None
        operation = StoredOperation(self.service, str(uuid.uuid4()), now, params, self._correlated)
        self._latest[self.service] = operation
        self.history.append(operation)
        return operation

    def recover(self, how: str = "") -> None:
        """Mark a dead operation as failed, as a status poll and a manual start do.

        If it is in fact alive, it continues to report and may end as completed, with this error.
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

    def owned_by(self, operation: StoredOperation) -> bool:
        """Whether an operation still has the slot, so that its progress is written."""
        return self.latest is operation

    def cancel(self) -> bool:
        """Ask the running operation to stop before its next user. False when none runs."""
        if self.latest is None or not self.latest.running:
            return False
        self.latest.cancel_requested = True
        return True
