"""Whether learning has stalled for want of money or a key, and whether somebody was told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from reflexio_async.sandbox.storage.tables import Row


@dataclass(slots=True)
class Stall(Row):
    """As the server shows it, nulls and all; times are ISO."""

    stalled: bool = False
    reason: Literal["billing_error", "auth_error"] | None = None
    stalled_at: str | None = None
    reset_estimate: str | None = None
    notified_in_cc: bool = False
    error_message: str | None = None

    @property
    def warnings(self) -> list[str]:
        """What a publish says about it."""
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
        """As the server shows it."""
        return asdict(self)
