"""Two measurements side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median


@dataclass
class Pair:
    """Ours and theirs, measured in alternating rounds; ``scale`` turns a value into ``unit``."""

    name: str
    unit: str
    scale: float
    ours: list[float] = field(default_factory=list[float])
    theirs: list[float] = field(default_factory=list[float])

    def add(self, ours: float, theirs: float) -> None:
        assert ours > 0
        assert theirs > 0
        self.ours.append(ours)
        self.theirs.append(theirs)

    @property
    def ratios(self) -> list[float]:
        """Ours over theirs, round by round."""
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    def line(self) -> str:
        ratios = self.ratios
        return (
            f"{self.name:<34}{median(self.ours) * self.scale:>9.0f} {median(self.theirs) * self.scale:>9.0f} "
            f"{self.unit:<3} ratio {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        )


def table(pairs: list[Pair]) -> str:
    head = f"{'':<34}{'client':>9} {'by hand':>9}     median of {len(pairs[0].ratios)} rounds (min to max)"
    return "\n".join([head, *(pair.line() for pair in pairs)])
