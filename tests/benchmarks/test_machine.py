"""What is said of the machine, and when it was too busy."""

from __future__ import annotations

import os
import platform
import time

import pytest

from benchmarks import machine


def test_the_machine_is_described_in_words() -> None:
    words = machine.describe()
    assert words["cores"] == os.cpu_count()
    assert platform.python_version() in str(words["python"])
    assert words["aiohttp"] != "not installed"


def test_neither_its_name_nor_a_folder_is_told() -> None:
    said = " ".join(map(str, machine.describe().values()))
    assert platform.node() not in said.split()
    assert "/" not in said


@pytest.mark.parametrize(("load", "busy"), [(0.0, False), (1000.0, True)])
def test_a_machine_with_much_to_do_is_busy(
    monkeypatch: pytest.MonkeyPatch,
    load: float,
    busy: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    assert bool(machine.load_warnings()) is busy


def test_what_this_process_does_is_not_what_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, own, now = iter((100.0, 110.0)), iter((20.0, 30.0)), iter((0.0, 10.0))
    monkeypatch.setattr(machine, "_busy_seconds", lambda: next(busy))
    monkeypatch.setattr(machine, "_own_seconds", lambda: next(own))
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    assert machine.Others().share() == 0.0


def test_what_others_do_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, own, now = iter((100.0, 110.0)), iter((20.0, 25.0)), iter((0.0, 10.0))
    monkeypatch.setattr(machine, "_busy_seconds", lambda: next(busy))
    monkeypatch.setattr(machine, "_own_seconds", lambda: next(own))
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert machine.Others().warnings() == ["other processes used 50% of the machine meanwhile"]


def test_where_the_system_does_not_say_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_busy_seconds", lambda: None)
    assert machine.Others().warnings() == []
