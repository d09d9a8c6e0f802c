"""The command: what it prints, and which files it writes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import __main__ as command
from benchmarks import machine, peers
from benchmarks.report import Figure, Result
from benchmarks.scale import Scale

if TYPE_CHECKING:
    from pathlib import Path

FIGURE = Figure("a", "µs", samples=[1.0] * 7)


def report_of(*figures: Figure, warnings: list[str] | None = None, quick: bool = False) -> dict[str, Any]:
    result = Result("calls", "Calls", figures=list(figures))
    scale = Scale(quick=quick)
    return command.as_json([result], warnings or [], description=machine.describe(), scale=scale)


@pytest.mark.slow
@pytest.mark.parametrize("question", ["calls", "batches", "sandbox", "store", "bookkeeping", "tracing"])
def test_a_quick_run_writes_figures_and_a_plot(tmp_path: Path, question: str) -> None:
    kept, plots = tmp_path / "figures.json", tmp_path / "plots"
    command.main(["--quick", "--no-peers", "--only", question, "--json", str(kept), "--plots", str(plots)])
    report = json.loads(kept.read_text(encoding="utf-8"))
    assert list(report["questions"]) == [question]
    assert report["questions"][question]["figures"]
    assert ET.parse(plots / f"{question}.svg").getroot().tag.endswith("svg")  # noqa: S314  # our own


def test_a_quick_run_has_no_targets(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    command.main(["--quick", "--no-peers", "--only", "memory", "--json", str(kept)])
    assert "target" not in capsys.readouterr().out
    figures = json.loads(kept.read_text(encoding="utf-8"))["questions"]["memory"]["figures"]
    assert {figure["met"] for figure in figures} == {None}


def test_a_quick_run_is_not_valid(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"
    command.main(["--quick", "--no-peers", "--only", "memory", "--json", str(kept)])
    assert json.loads(kept.read_text(encoding="utf-8"))["valid"] is False
    assert "its numbers mean nothing" in capsys.readouterr().out


def test_a_report_has_the_date_the_machine_and_every_question() -> None:
    report = report_of(FIGURE)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", report["date"])
    assert report["machine"]["cores"]
    assert report["questions"]["calls"]["figures"][0]["value"]["median"] == 1.0


def test_a_report_without_warnings_is_valid() -> None:
    assert report_of(FIGURE)["valid"] is True


def test_a_report_with_a_warning_is_not_valid() -> None:
    assert report_of(FIGURE, warnings=["the machine was busy"])["valid"] is False


def test_no_file_has_the_name_of_a_folder_of_this_machine(tmp_path: Path) -> None:
    result = Result("calls", "Calls", figures=[FIGURE])
    command.draw([result], tmp_path, date="2026-11-22", description=machine.describe(), valid=True)
    kept = json.dumps(report_of(FIGURE)) + (tmp_path / "calls.svg").read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|tmp|usr|work|Users)\b", kept)


def test_a_plot_of_a_run_that_is_not_valid_says_so(tmp_path: Path) -> None:
    result = Result("calls", "Calls", figures=[FIGURE])
    command.draw([result], tmp_path, date="2026-11-22", description=machine.describe(), valid=False)
    assert "not a valid run" in (tmp_path / "calls.svg").read_text(encoding="utf-8")


def test_an_unknown_question_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--only", "weather"])
    assert "invalid choice: 'weather'" in capsys.readouterr().err


def test_a_run_ends_when_peers_that_were_asked_for_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peers, "missing", lambda: "there is no Python 3.12")
    with pytest.raises(SystemExit, match="no Python"):
        command.main(["--peers", "--only", "memory"])


def test_a_quick_run_builds_no_environment_for_the_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        pytest.fail("an environment was built")

    monkeypatch.setattr(peers, "are_built", lambda: False)
    monkeypatch.setattr(peers, "missing", missing)
    command.main(["--quick", "--only", "memory"])
