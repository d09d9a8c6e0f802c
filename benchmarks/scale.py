"""How much is measured: enough to say something, or just enough to prove that it still works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """``quick``: a few short rounds. ``peers``: the official clients as well. ``real``: the real server."""

    quick: bool = False
    peers: bool = True
    real: bool = False

    def of(self, full: int, quick: int) -> int:
        return quick if self.quick else full
