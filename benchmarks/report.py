"""Figures: what was measured, how much it varied, and what makes a run not valid."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

TIMES = "\N{MULTIPLICATION SIGN}"
ENOUGH_ROUNDS = 7
WIDEST_SPREAD = 0.20  # between the quartiles, as a share of the median
LEAST_OCCUPANCY = 0.75  # of one core, for a process that has nothing to wait for but its own work


@dataclass(frozen=True)
class Target:
    """The limit for a figure. It is shown beside the figure and never asserted."""

    limit: float
    at_most: bool = True

    def met(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {number(self.limit)}"


def at_most(limit: float) -> Target:
    return Target(limit)


def at_least(limit: float) -> Target:
    return Target(limit, at_most=False)


@dataclass(frozen=True)
class Summary:
    """The median of some samples, and how much they vary."""

    median: float
    low: float
    high: float
    first_quartile: float
    third_quartile: float

    @property
    def spread(self) -> float:
        """The distance between the quartiles, as a share of the median."""
        return (self.third_quartile - self.first_quartile) / self.median if self.median else 0.0

    def as_json(self) -> dict[str, float]:
        return {
            "median": rounded(self.median),
            "min": rounded(self.low),
            "first_quartile": rounded(self.first_quartile),
            "third_quartile": rounded(self.third_quartile),
            "max": rounded(self.high),
        }


def summary(samples: list[float]) -> Summary:
    if len(samples) == 1:
        return Summary(samples[0], samples[0], samples[0], samples[0], samples[0])
    first, _, third = quantiles(samples, method="inclusive")
    return Summary(median(samples), min(samples), max(samples), first, third)


@dataclass
class Figure:
    """One measured quantity.

    Args:
        name: What was measured.
        unit: The unit of the samples.
        samples: One value per round.
        target: The limit for it.
        exact: It is counted, or measured on a virtual clock, so that one round is enough.
        drawn: It has a bar in the plot.
        occupancy: The share of one core that the measured process had in each round, if it never had to
            wait for anything else.
    """

    name: str
    unit: str
    samples: list[float] = field(default_factory=list[float])
    target: Target | None = None
    exact: bool = False
    drawn: bool = True
    occupancy: list[float] = field(default_factory=list[float])

    @property
    def summary(self) -> Summary:
        return summary(self.samples)

    @property
    def value(self) -> float:
        """The median, which the target is for."""
        return self.summary.median

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.target.met(self.value)

    def warnings(self) -> list[str]:
        found: list[str] = []
        if not self.exact and len(self.samples) < ENOUGH_ROUNDS:
            found.append(f"{self.name}: too few rounds ({len(self.samples)} of at least {ENOUGH_ROUNDS})")
        spread = self.summary.spread
        if not self.exact and spread > WIDEST_SPREAD:
            found.append(f"{self.name}: half of the rounds spread over {spread:.0%} of the median")
        if self.occupancy and (had := median(self.occupancy)) < LEAST_OCCUPANCY:
            found.append(
                f"{self.name}: it had a core for {had:.0%} of the time only, so something else was the limit"
            )
        return found

    def line(self) -> str:
        shown = self.summary
        spread = "" if len(self.samples) == 1 else f"({number(shown.low)} to {number(shown.high)})"
        return (
            f"{self.name:<58} {number(shown.median):>8} {self.unit:<6} {spread:<20} {_verdict(self)}".rstrip()
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "unit": self.unit,
            "rounds": len(self.samples),
            "value": self.summary.as_json(),
            "target": None if self.target is None else str(self.target),
            "met": self.met,
            "warnings": self.warnings(),
        }


@dataclass
class Ratio(Figure):
    """Our client and another one, measured in turns. A sample is the ratio of one round.

    Args:
        against: The other one.
        scale: The factor from the measured values to ``unit``.
        faster: The ratio is theirs / ours (how many times faster ours is), and not ours / theirs.
    """

    against: str = ""
    scale: float = 1.0
    faster: bool = False
    ours: list[float] = field(default_factory=list[float])
    theirs: list[float] = field(default_factory=list[float])

    def add(self, ours: float, theirs: float, *, occupancy: float | None = None) -> None:
        if ours <= 0 or theirs <= 0:
            message = f"{self.name}: {ours} against {theirs} is no measurement"
            raise ValueError(message)
        self.ours.append(ours)
        self.theirs.append(theirs)
        self.samples.append(theirs / ours if self.faster else ours / theirs)
        if occupancy is not None:
            self.occupancy.append(occupancy)

    def line(self) -> str:
        shown = self.summary
        ours, theirs = (number(median(side) * self.scale) for side in (self.ours, self.theirs))
        sides = f"{ours:>8} {theirs:>8} {self.unit:<4}"
        spread = f"({shown.low:.2f} to {shown.high:.2f})"
        return f"{self.name:<58} {sides} {shown.median:>7.2f}{TIMES} {spread:<18} {_verdict(self)}".rstrip()

    def as_json(self) -> dict[str, Any]:
        return {
            **super().as_json(),
            "against": self.against,
            "ratio": "theirs / ours" if self.faster else "ours / theirs",
            "ours": summary([value * self.scale for value in self.ours]).as_json(),
            "theirs": summary([value * self.scale for value in self.theirs]).as_json(),
        }


@dataclass(frozen=True)
class Series:
    """A quantity at several sizes, for a line in a plot; ``powers``: the axis of sizes is logarithmic."""

    name: str
    unit: str
    points: tuple[tuple[float, float], ...]
    powers: bool = True

    def as_json(self) -> dict[str, Any]:
        points = [[size, rounded(value)] for size, value in self.points]
        return {"name": self.name, "unit": self.unit, "points": points}


@dataclass
class Result:
    """The figures of one question."""

    name: str
    title: str
    figures: list[Figure] = field(default_factory=list[Figure])
    series: list[Series] = field(default_factory=list[Series])
    notes: list[str] = field(default_factory=list[str])
    seconds: float = 0.0

    def warnings(self) -> list[str]:
        return [f"{self.name}: {warning}" for figure in self.figures for warning in figure.warnings()]

    def text(self) -> str:
        lines = [f"## {self.title}"]
        pairs = [figure for figure in self.figures if isinstance(figure, Ratio)]
        if pairs:
            lines.append(f"{'':<58} {'client':>8} {'other':>8}      {'ratio':>7}")
        lines += [figure.line() for figure in self.figures]
        for series in self.series:
            shown = series.points if len(series.points) < 10 else (series.points[0], series.points[-1])
            points = ", ".join(f"{number(size)}: {number(value)}" for size, value in shown)
            lines.append(f"{series.name} ({series.unit}): {points}")
        return "\n".join([*lines, *self.notes])

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "seconds": round(self.seconds, 1),
            "figures": [figure.as_json() for figure in self.figures],
            "series": [series.as_json() for series in self.series],
            "notes": self.notes,
        }


def number(value: float) -> str:
    """Return ``value`` with three significant digits, in a form that is easy to read."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = 2 - math.floor(math.log10(abs(value)))
    if digits <= 0:
        return f"{value:,.0f}"
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if value == round(value) else text


def rounded(value: float) -> float:
    """Return ``value`` with five significant digits; more are noise."""
    return float(f"{value:.5g}")


def _verdict(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"target {figure.target}{'' if figure.met else '  MISSED'}"
