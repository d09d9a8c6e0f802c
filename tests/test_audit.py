"""The audit of dependencies: it fails for a known vulnerability, and says when there is no data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import audit

if TYPE_CHECKING:
    from pathlib import Path

FINE: dict[str, Any] = {"name": "anyio", "version": "4.8", "vulns": []}
UNKNOWN: dict[str, Any] = {
    "name": "aiohttp",
    "version": "3.12",
    "skip_reason": "not found on PyPI",
}
BAD: dict[str, Any] = {
    "name": "aiohttp",
    "version": "3.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1"]}],
}


@pytest.mark.parametrize(
    ("dependencies", "passes", "says"),
    [
        ([FINE, FINE], True, "no known vulnerabilities in 2 packages; 0 not known"),
        ([FINE, UNKNOWN], True, "no known vulnerabilities in 1 packages; 1 not known"),
        ([UNKNOWN], True, "NOT AUDITED: the package index has no data on vulnerabilities"),
        ([UNKNOWN, BAD], False, "aiohttp 3.0: PYSEC-1, mended in 3.1"),
    ],
)
def test_the_verdict(dependencies: list[Any], says: str, *, passes: bool) -> None:
    assert audit.verdict({"dependencies": dependencies}) == (passes, says)


def test_everything_that_the_package_needs_is_audited_and_nothing_else() -> None:
    names = audit.installed().keys()
    assert {"aiohttp", "pydantic", "pydantic-core", "multidict", "rich"} <= names
    assert not {"pytest", "ruff", "reflexio-async"} & names


@pytest.mark.parametrize("program", ["echo no JSON", "exit 3"])
def test_without_an_answer_it_says_so_and_passes(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pip-audit").write_text(f"#!/bin/sh\n{program}\n")
    (tmp_path / "pip-audit").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert audit.main() == 0
    assert capsys.readouterr().out.startswith("NOT AUDITED")
