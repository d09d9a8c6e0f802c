"""Whether learning has stopped because of billing or a missing key."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from reflexio_async.sandbox.storage.tables import Row


@dataclass(slots=True)
class LearningStall(Row):
    """The stall state. Times are ISO texts.

    Attributes:
        notified_in_cc: Whether a client has shown the stall to its user.
    """

    stalled: bool = False
    reason: Literal["billing_error", "auth_error"] | None = None
    stalled_at: str | None = None
    reset_estimate: str | None = None
    notified_in_cc: bool = False
    error_message: str | None = None

    @property
    def warnings(self) -> list[str]:
        """The warnings in the response to a publish."""
        if not self.stalled:
            return []
        first = (
            "reauthenticate the active coding-agent provider"
            if self.reason == "auth_error"
            else "wait for the limit/reset condition to clear"
        )
        then = "then run an explicit override retry to resume."
        return [f"Reflexio learning is paused ({self.reason}); {first}, {then}"]

    def view(self) -> dict[str, Any]:
        """As the server returns it, with nulls."""
        return asdict(self)
