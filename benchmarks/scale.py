"""How much is measured: enough for valid figures, or just enough to see that the benchmarks work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """The extent of a run.

    Args:
        quick: A few short rounds.
        peers: Measure the official clients too.
        real: Use the real server too.
    """

    quick: bool = False
    peers: bool = True
    real: bool = False

    def of(self, full: int, quick: int) -> int:
        """Return ``quick`` for a quick run, else ``full``."""
        return quick if self.quick else full
