"""The quick tests are those of the folders named, and no others are imported for them."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.quick import FRAMEWORKS, QUICK, TESTS, imports_frameworks, is_quick


def test_every_place_exists() -> None:
    assert [place for place in (*QUICK, *FRAMEWORKS) if not (TESTS / place).exists()] == []


def test_a_file_belongs_to_its_folder() -> None:
    assert is_quick(TESTS / "core")
    assert is_quick(TESTS / "core/test_retry.py")
    assert not is_quick(TESTS / "core_of_something_else/test_retry.py")
    assert not is_quick(TESTS / "sandbox/test_state.py")
    assert not is_quick(TESTS / FRAMEWORKS[0])
    assert imports_frameworks(TESTS / FRAMEWORKS[0])
    assert not imports_frameworks(TESTS / "core/test_retry.py")


def test_quick_tests_are_collected_without_real_and_slow_ones_and_without_other_files() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-m",
        "quick",
        "-p",
        "no:cacheprovider",
    ]
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}
    result = subprocess.run(
        command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=True
    )
    collected = {line.partition("::")[0] for line in result.stdout.splitlines() if "::" in line}
    assert "tests/core/test_retry.py" in collected
    assert all(is_quick(TESTS.parent / file) for file in collected)
    assert "[real" not in result.stdout
    assert "test_five_thousand_traces_all_end" not in result.stdout  # which is slow
