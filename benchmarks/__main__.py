"""Measure, print, and keep: ``python -m benchmarks --help`` says how."""

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

QUESTIONS = ("calls", "waiting", "fanout", "memory", "large", "imports", "growth", "sandbox")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    warnings = machine.load_warnings()
    scale = Scale(
        quick=options.quick, peers=_peers(options.peers, options.quick, warnings), real=options.real
    )
    if scale.quick:
        warnings.append("--quick proves that everything works; its numbers mean nothing, so none is judged")
    words = machine.describe()
    print(", ".join(f"{name} {value}" for name, value in words.items()), end="\n\n", flush=True)
    others = machine.Others()
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
    warnings += others.warnings()
    warnings += _of_the_results(results, quick=scale.quick)
    report = as_json(results, warnings, machine_words=words, scale=scale)
    if options.json:
        text = json.dumps(report, indent=2, ensure_ascii=False)
        options.json.write_text(f"{text}\n", encoding="utf-8")
    if options.plots:
        draw(results, options.plots, date=report["date"], words=words, valid=not warnings)
    if warnings:
        print("What makes this run invalid:", *warnings, sep="\n- ")
    else:
        print("Nothing speaks against this run.")


def as_json(
    results: list[Result], warnings: list[str], *, machine_words: dict[str, str | int], scale: Scale
) -> dict[str, Any]:
    """What is kept of a run."""
    return {
        "command": "python -m benchmarks",
        "date": datetime.now(UTC).date().isoformat(),
        "valid": not warnings,
        "warnings": warnings,
        "quick": scale.quick,
        "machine": machine_words,
        "questions": {result.name: result.as_json() for result in results},
    }


def draw(results: list[Result], folder: Path, *, date: str, words: dict[str, str | int], valid: bool) -> None:
    """A plot per question into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    said = f"{words['processor']}, {words['cores']} cores, {words['python']}"
    if not valid:
        said += "; not a valid run"
    for result in results:
        path = folder / f"{result.name}.svg"
        path.write_text(plots.drawing(result, date=date, machine=said), encoding="utf-8")


def _of_the_results(results: list[Result], *, quick: bool) -> list[str]:
    # Of a quick run it has been said already.
    return [] if quick else [warning for result in results for warning in result.warnings()]


def _peers(wanted: bool | None, quick: bool, warnings: list[str]) -> bool:  # noqa: FBT001
    """Whether to measure the official clients: asked for, or possible without building anything first."""
    if wanted is False or (wanted is None and quick and not peers.are_there()):
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
    parser.add_argument("--quick", action="store_true", help="a few short rounds, to prove that it works")
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw a plot per question")
    parser.add_argument(
        "--peers",
        action=argparse.BooleanOptionalAction,
        help="the official clients too (the default where they can be installed; needs Python 3.12)",
    )
    parser.add_argument("--real", action="store_true", help="the real server too; takes two minutes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
