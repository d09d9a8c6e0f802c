"""CI fails when a step fails, and says which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import steps
from steps import Runner, Step

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def test_a_step_that_fails_stops_no_other_step(runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    assert not runner.run([Step("bad", "echo no good; exit 3"), Step("good", "echo fine")])
    assert runner.results["bad"][0] == "FAILED with exit status 3"
    assert runner.results["good"][0] == "passed"
    printed = capsys.readouterr().out
    assert "no good" in printed
    assert "--- bad: FAILED with exit status 3, 0 s" in printed


def test_a_failing_part_of_a_command_fails_the_step(runner: Runner) -> None:
    assert not runner.run([Step("first", "false; true"), Step("pipe", "false | cat")])
    assert {outcome for outcome, _ in runner.results.values()} == {"FAILED with exit status 1"}


def test_without_its_environment_the_rest_of_a_chain_is_not_run(runner: Runner) -> None:
    assert not runner.run([Step("environment", "false", makes_environment=True), Step("tests", "true")])
    assert runner.results["tests"][0] == "NOT RUN"


def test_a_step_that_takes_too_long_is_interrupted_with_its_processes(runner: Runner, tmp_path: Path) -> None:
    program = "trap 'echo interrupted >> log; exit' INT; (sleep 50; touch ended) & wait"
    assert not runner.run([Step("slow", program, minutes=0.01)])
    assert runner.results["slow"][0] == "FAILED: interrupted after 0.01 minutes"
    assert (tmp_path / "clone/log").read_text() == "interrupted\n"


def test_after_stop_no_step_begins(runner: Runner) -> None:
    runner.stop()
    assert not runner.run([Step("lint", "true")])
    assert runner.results["lint"][0] == "NOT RUN"


def run_main(monkeypatch: pytest.MonkeyPatch, preparation: str, lint: str) -> int:
    def first(_: Path) -> list[Step]:
        return [Step("clone", preparation)]

    def others(_: Path) -> list[list[Step]]:
        return [[Step("tests", "true")], [Step("lint", lint)]]

    monkeypatch.setattr(steps, "preparation", first)
    monkeypatch.setattr(steps, "chains", others)
    return steps.main()


def test_the_exit_status_is_0_when_every_step_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_main(monkeypatch, "true", "true") == 0


def test_one_failed_step_makes_the_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "true", "exit 7") == 1
    listed = capsys.readouterr().out.partition("=== Steps")[2]
    assert "lint: FAILED with exit status 7" in listed
    assert "tests: passed" in listed


def test_nothing_else_is_run_when_the_preparation_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "false", "true") == 1
    assert "tests: NOT RUN" in capsys.readouterr().out


def test_a_missing_interpreter_fails(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "EVERYTHING", "3.99")
    clone, *_, environment = steps.preparation(runner.work)
    assert runner.run([clone])
    assert not runner.run([environment])
    assert "Python 3.99 is missing" in capsys.readouterr().out


def test_the_names_of_steps_tell_them_apart(tmp_path: Path) -> None:
    names = [step.name for chain in (steps.preparation(tmp_path), *steps.chains(tmp_path)) for step in chain]
    assert sorted(names) == sorted(set(names))
