"""The soak: its table, and its verdict on a client that leaks."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.soak import __main__ as command
from benchmarks.soak import measure
from benchmarks.soak.measure import Reading
from reflexio_async import AsyncReflexioClient

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = ["--minutes", "0.07", "--every", "0.5"]


class Leaky(AsyncReflexioClient):
    """Leaves a task and a large text behind with every ``whoami``."""

    kept: list[Any]

    async def whoami(self) -> Any:
        self.kept.append((asyncio.create_task(asyncio.sleep(3600)), "x" * 100_000))
        return await super().whoami()


def readings(value: Callable[[int], float], field: str = "tasks") -> list[Reading]:
    flat = Reading(0.0, 100, {}, 50.0, 5, 10, 20, 5, 100_000)
    made: list[Reading] = []
    for n in range(40):
        changes: dict[str, Any] = {"seconds": 15.0 * n, field: value(n)}
        made.append(flat._replace(**changes))
    return made


@pytest.mark.slow
def test_a_soak_prints_a_row_for_each_moment(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(QUICK)
    heading, *rows = capsys.readouterr().out.partition("\n\n")[0].splitlines()
    assert " ".join(heading.split()) == (
        "s calls failed MiB sockets files tasks timers objects failures by type"
    )
    assert len(rows) == 9
    for row in rows:
        assert re.match(r" +\d+ +\d+ +\d+ +\d+\.\d( +\d+){5}  ", row), row
    assert sum(int(row.split()[1]) for row in rows) > 100


@pytest.mark.slow
def test_a_client_that_leaks_is_found_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Leaky.kept = []
    monkeypatch.setitem(measure.ALLOWED, "memory", 1.0)
    assert command.main(QUICK, client_type=Leaky) == 1
    printed = capsys.readouterr().out
    assert re.search(r"tasks +\+\d+\.\d +GROWS", printed)
    assert re.search(r"timers +\+\d+\.\d +GROWS", printed)
    assert re.search("left after closing: [1-9]", printed)
    assert re.search(r"sockets +[+-]\d+\.\d +flat", printed)


@pytest.mark.parametrize("field", measure.ALLOWED)
def test_what_rises_steadily_grows(field: str) -> None:
    rise = 2 * measure.ALLOWED[field] / 20
    assert measure.rises(readings(lambda n: 50 + rise * n, field))[field][1]


STEADY: dict[str, Callable[[int], float]] = {
    "ups and downs": lambda n: 20 + 30 * (n % 2),
    "a rise in the first half": lambda n: 10 * min(n, 15),
    "a little": lambda n: 20 + 0.2 * n,
    "a fall": lambda n: 500 - 10 * n,
}


@pytest.mark.parametrize("value", STEADY.values(), ids=STEADY)
def test_else_it_is_flat(value: Callable[[int], float]) -> None:
    assert not measure.rises(readings(value))["tasks"][1]


def test_an_error_that_is_none_of_ours_fails_a_soak() -> None:
    text, flat = command.verdict(
        command.Soaked(readings(lambda _: 20), ["1 errors that are no ReflexioError"])
    )
    assert not flat
    assert "no ReflexioError" in text
    assert command.verdict(command.Soaked(readings(lambda _: 20), []))[1]


def test_too_few_rows_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--minutes", "1"])
    assert "at least 8 rows" in capsys.readouterr().err
