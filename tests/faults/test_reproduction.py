"""What a schedule that fails prints: a small program that anybody can run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from tests.faults import stage
from tests.faults.breaking import DeniesPublishes
from tests.faults.playing import Broken
from tests.faults.schedules import Gathered, Mishap, Publish, Schedule
from tests.faults.test_schedules import play_and_print, schedules

_ROOT = Path(__file__).parents[2]
_BROKEN = (
    f"import runpy, sys; sys.path.insert(0, {str(_ROOT)!r}); "
    "from tests.faults.breaking import break_the_client; break_the_client(); "
    "runpy.run_path(sys.argv[1], run_name='__main__')"
)


def _run(script: Path, *how: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *how, str(script)]
    return subprocess.run(command, cwd=script.parent, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.slow
def test_a_broken_client_is_found_out_and_the_printed_program_shows_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stage, "AsyncReflexioClient", DeniesPublishes)
    hunt = given(schedule=schedules)(play_and_print)
    with pytest.raises(Broken, match="was said to have failed and is stored") as raised:
        settings(database=None, derandomize=True, deadline=None, phases=[Phase.generate, Phase.shrink])(
            hunt
        )()
    [printed] = (text for text in raised.value.__notes__ if "asyncio.run" in text)
    script = tmp_path / "found.py"
    script.write_text(printed, encoding="utf-8")
    assert len(printed.splitlines()) < 20, printed
    shown = _run(script, "-c", _BROKEN)
    assert shown.returncode == 1
    assert "was said to have failed and is stored" in shown.stderr
    healed = _run(script)
    assert healed.returncode == 0, healed.stderr


def test_the_program_has_every_part_of_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = Schedule(
        steps=(Publish(at=1.0, learn=True), Gathered(count=2, wait_timeout=3.0)),
        mishaps=(Mishap("status", "/api/publish_interaction", (503,), times=None),),
        users=2,
        rate_limits=True,
        leave_at=5.0,
    )
    program = schedule.script.replace("asyncio.run(play(", "made = ((")
    monkeypatch.setattr(sys, "path", [*sys.path])
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102  # what else would show that it is one
    assert names["made"] == schedule
