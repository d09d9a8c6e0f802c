"""The description of the machine, and when it is too busy."""

from __future__ import annotations

import os
import platform
import time

import pytest

from benchmarks import machine


def test_the_description_has_cores_and_versions() -> None:
    description = machine.describe()
    assert description["cores"] == os.cpu_count()
    assert platform.python_version() in str(description["python"])
    assert description["aiohttp"] != "not installed"


def test_the_description_has_neither_a_host_name_nor_a_folder() -> None:
    text = " ".join(map(str, machine.describe().values()))
    assert platform.node() not in text.split()
    assert "/" not in text


@pytest.mark.parametrize(("load", "busy"), [(0.0, False), (1000.0, True)])
def test_a_high_load_makes_a_warning(
    monkeypatch: pytest.MonkeyPatch,
    load: float,
    busy: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    assert bool(machine.load_warnings()) is busy


def test_the_time_of_this_process_does_not_count_as_that_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, own, now = iter((100.0, 110.0)), iter((20.0, 30.0)), iter((0.0, 10.0))
    monkeypatch.setattr(machine, "_busy_seconds", lambda: next(busy))
    monkeypatch.setattr(machine, "_own_seconds", lambda: next(own))
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    assert machine.OtherProcesses().share() == 0.0


def test_other_processes_that_use_much_make_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, own, now = iter((100.0, 110.0)), iter((20.0, 25.0)), iter((0.0, 10.0))
    monkeypatch.setattr(machine, "_busy_seconds", lambda: next(busy))
    monkeypatch.setattr(machine, "_own_seconds", lambda: next(own))
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert machine.OtherProcesses().warnings() == ["other processes used 50% of the machine meanwhile"]


def test_without_information_from_the_system_there_is_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_busy_seconds", lambda: None)
    assert machine.OtherProcesses().warnings() == []
