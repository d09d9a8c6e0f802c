"""Runs pytest in a process of its own, with our plugin and those that the test names."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ANYIO = ("-p", "anyio.pytest_plugin")
ANYIO_AUTO = (*ANYIO, "--anyio-mode=auto")
ASYNCIO = ("-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function")
ASYNCIO_AUTO = (*ASYNCIO, "--asyncio-mode=auto")


@dataclass(frozen=True)
class Report:
    """``outcomes`` by the test's name: passed, failed (the test), error (a fixture), skipped."""

    outcomes: Mapping[str, str]
    output: str


def run_pytest(folder: Path, source: str, *options: str, conftest: str = "") -> Report:
    """Run the tests in ``source``; every warning is an error."""
    (folder / "test_inner.py").write_text(source, encoding="utf-8")
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    results = folder / "results.xml"
    command = [sys.executable, "-W", "error", "-m", "pytest", "-W", "error", "--strict-markers", "-rA"]
    # Last, since pytest warns of plugins that are imported before it can rewrite their asserts.
    plugin = ("-p", "reflexio_async.pytest_plugin")
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", f"--junit-xml={results}", *options, *plugin],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    output = done.stdout + done.stderr
    assert results.exists(), output
    cases = ET.parse(results).iter("testcase")  # noqa: S314  # pytest wrote it just now
    outcomes = {case.attrib["name"]: next((child.tag for child in case), "passed") for case in cases}
    return Report({name: "failed" if tag == "failure" else tag for name, tag in outcomes.items()}, output)
