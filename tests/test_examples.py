"""The folders of ``examples`` that are programs: run with one command, in an empty folder, on a sandbox."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytestmark = pytest.mark.slow  # each program imports the package

EXAMPLES = Path(__file__).parents[1] / "examples"
TESTED_HERE = {"support_agent", "evaluation_loop", "nightly_rerun"}
TESTED_ELSEWHERE = {"reflect", "web"}  # by tests/reflect and tests/integrations


def run(name: str, folder: Path, *arguments: str) -> list[str]:
    """The lines that an example prints."""
    own = ("REFLEXIO", "REFLECT")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    result = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout.splitlines()


def test_every_folder_is_tested() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if any(path.glob("*.py"))}
    assert folders == TESTED_HERE | TESTED_ELSEWHERE


def test_the_support_agent_asks_a_user_only_once_and_no_user_learns_from_another(tmp_path: Path) -> None:
    lines = run("support_agent", tmp_path)
    assert lines[-1] == "The agent asked ana back [1, 0, 0] times in her sessions, and ben [1]."
    answers = [line for line in lines if line.startswith("  agent: Refund")]
    assert [("store credit" in answer, "photo" in answer) for answer in answers] == [
        (True, False),
        (True, False),
        (False, False),
        (True, True),
    ]
    assert answers[0].endswith("[0 memories]")
    assert not answers[1].endswith("[0 memories]")
    assert list(tmp_path.iterdir()) == []


def test_the_score_of_the_evaluation_loop_rises_and_its_plot_shows_what_is_printed(
    tmp_path: Path,
) -> None:
    lines = run("evaluation_loop", tmp_path, "score.svg")
    printed = [re.findall(r"\d+(?=%)", line) for line in lines[1 : lines.index("")]]
    memory, control = [[int(share[at]) for share in printed] for at in (0, 1)]
    assert len(memory) == 8
    assert memory[0] == control[0]  # without memories, both are the same agent
    assert memory == sorted(memory)
    assert memory[-1] == 100
    assert max(control) < 50
    summary = f"From {memory[0]}% in the first round to {memory[-1]}% in the last."
    assert summary in lines
    assert any("64 traces, 64 with a review" in line for line in lines)
    image = ET.parse(tmp_path / "score.svg").getroot()  # noqa: S314  # our own text
    for curve, shares in zip(
        image.iter("{http://www.w3.org/2000/svg}polyline"), (memory, control), strict=True
    ):
        heights = [230 - float(point.split(",")[1]) for point in curve.attrib["points"].split()]
        assert heights == pytest.approx([2 * share for share in shares], abs=2)


def test_the_nightly_rerun_continues_and_starts_each_user_once(tmp_path: Path) -> None:
    lines = run("nightly_rerun", tmp_path, "nights.db")
    assert re.fullmatch(r"120 users, 120 starts, 3 nights, 1 refused\.", lines[-1])
    done = [int(number) for line in lines for number in re.findall(r"the server has run (\d+)", line)]
    assert done == sorted(done)
    assert 0 < done[0] < done[1] < 120 == done[2]
    assert (tmp_path / "nights.db").exists()
