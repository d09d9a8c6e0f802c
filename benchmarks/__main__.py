"""The command ``python -m benchmarks``: it measures, prints, and writes what it found to files."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import machine, peers, plots
from benchmarks.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.report import Result

QUESTIONS = (
    "calls",
    "waiting",
    "batches",
    "memory",
    "imports",
    "growth",
    "sandbox",
    "store",
    "bookkeeping",
    "tracing",
)
"""The modules in ``benchmarks.questions``."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    warnings = machine.load_warnings()
    scale = Scale(
        quick=options.quick, peers=_peers(options.peers, options.quick, warnings), real=options.real
    )
    if scale.quick:
        warnings.append("--quick only shows that the benchmarks work; its numbers mean nothing")
    description = machine.describe()
    print(", ".join(f"{name} {value}" for name, value in description.items()), end="\n\n", flush=True)
    other_processes = machine.OtherProcesses()
    results: list[Result] = []
    for name in options.only or QUESTIONS:
        began = time.perf_counter()
        result: Result = import_module(f"benchmarks.questions.{name}").measure(scale)
        result.seconds = time.perf_counter() - began
        if scale.quick:
            for figure in result.figures:
                figure.target = None
        results.append(result)
        print(f"{result.text()}\ntook {result.seconds:.0f} s", end="\n\n", flush=True)
    warnings += other_processes.warnings()
    if not scale.quick:
        warnings += [warning for result in results for warning in result.warnings()]
    report = as_json(results, warnings, description=description, scale=scale)
    if options.json:
        text = json.dumps(report, indent=2, ensure_ascii=False)
        options.json.write_text(f"{text}\n", encoding="utf-8")
    if options.plots:
        draw(results, options.plots, date=report["date"], description=description, valid=not warnings)
    if warnings:
        print("This run is not valid:", *warnings, sep="\n- ")
    else:
        print("This run is valid.")


def as_json(
    results: list[Result], warnings: list[str], *, description: dict[str, str | int], scale: Scale
) -> dict[str, Any]:
    """The report of one run; ``description`` is that of the machine."""
    return {
        "command": "python -m benchmarks",
        "date": datetime.now(UTC).date().isoformat(),
        "valid": not warnings,
        "warnings": warnings,
        "quick": scale.quick,
        "machine": description,
        "questions": {result.name: result.as_json() for result in results},
    }


def draw(
    results: list[Result], folder: Path, *, date: str, description: dict[str, str | int], valid: bool
) -> None:
    """Write one plot per question into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    caption = f"{description['processor']}, {description['cores']} cores, {description['python']}"
    if not valid:
        caption += "; not a valid run"
    for result in results:
        path = folder / f"{result.name}.svg"
        path.write_text(plots.drawing(result, date=date, machine=caption), encoding="utf-8")


def _peers(wanted: bool | None, quick: bool, warnings: list[str]) -> bool:  # noqa: FBT001
    """Whether to measure the official clients: if asked to, or if it is possible here.

    A quick run does not build their environments by itself.
    """
    if wanted is False or (wanted is None and quick and not peers.are_built()):
        return False
    reason = peers.missing()
    if reason is None:
        return True
    if wanted:
        sys.exit(f"--peers: {reason}")
    warnings.append(f"the official clients were not measured: {reason}")
    return False


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the client, side by side with others."
    )
    parser.add_argument("--quick", action="store_true", help="a few short rounds, to see that it works")
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw one plot per question")
    parser.add_argument(
        "--peers",
        action=argparse.BooleanOptionalAction,
        help="measure the official clients too (the default where they can be installed; needs Python 3.12)",
    )
    parser.add_argument("--real", action="store_true", help="use the real server too; takes two minutes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
