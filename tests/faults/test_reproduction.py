"""A schedule that fails prints a small program that shows the failure again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from tests.faults import simulation
from tests.faults.broken_client import BREAKAGES, Breakage, DeniesPublishes
from tests.faults.running import Violation, run_schedule
from tests.faults.schedules import Publish, Reruns, Schedule, ScheduledFault
from tests.faults.test_schedules import run_and_print, schedules

_ROOT = Path(__file__).parents[2]
_BROKEN = (
    f"import runpy, sys; sys.path.insert(0, {str(_ROOT)!r}); "
    "from tests.faults.broken_client import break_the_client; break_the_client(); "
    "runpy.run_path(sys.argv[1], run_name='__main__')"
)


def _run(script: Path, *how: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *how, str(script)]
    return subprocess.run(command, cwd=script.parent, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.slow
def test_a_broken_client_is_found_out_and_the_printed_program_shows_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(simulation, "AsyncReflexioClient", DeniesPublishes)
    search = given(schedule=schedules)(run_and_print)
    with pytest.raises(Violation, match="was said to have failed and is stored") as raised:
        settings(database=None, derandomize=True, deadline=None, phases=[Phase.generate, Phase.shrink])(
            search
        )()
    [printed] = (text for text in raised.value.__notes__ if "asyncio.run" in text)
    script = tmp_path / "found.py"
    script.write_text(printed, encoding="utf-8")
    assert len(printed.splitlines()) < 20, printed
    shown = _run(script, "-c", _BROKEN)
    assert shown.returncode == 1
    assert "was said to have failed and is stored" in shown.stderr
    repaired = _run(script)
    assert repaired.returncode == 0, repaired.stderr


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: str(breakage.apply.__name__))
async def test_a_broken_client_is_found_out(breakage: Breakage, monkeypatch: pytest.MonkeyPatch) -> None:
    await run_schedule(breakage.schedule)
    breakage.apply(monkeypatch.setattr)
    with pytest.raises(Violation, match=breakage.found):
        await run_schedule(breakage.schedule)


def test_the_program_has_every_part_of_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = Schedule(
        steps=(Publish(at=1.0, learn=True), Reruns(count=2, wait_timeout=3.0)),
        scheduled_faults=(ScheduledFault("status", "/api/publish_interaction", (503,), times=None),),
        users=2,
        rate_limits=True,
        leave_at=5.0,
    )
    program = schedule.script.replace("asyncio.run(run_schedule(", "made = ((")
    monkeypatch.setattr(sys, "path", [*sys.path])
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102  # what else would show that it is one
    assert names["made"] == schedule
