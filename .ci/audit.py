"""Looks for known vulnerabilities in what a user installs with the package: python .ci/audit.py.

pip-audit asks the package index. Where that has no such data, or cannot be reached, this says so, and passes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

PACKAGE = "reflexio-async"
EXTRAS = ("", "cli", "otel", "uvloop")
TIMEOUT = 120  # seconds

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def installed(package: str = PACKAGE, extras: tuple[str, ...] = EXTRAS) -> dict[str, str]:
    """Name → version of everything that ``package`` needs, as it is installed here."""
    found: dict[str, str] = {}
    waiting = [(package, extras)]
    while waiting:
        name, wanted = waiting.pop()
        for requirement in distribution(name).requires or ():
            extra = _EXTRA.search(requirement)
            if extra is not None and extra[1] not in wanted:
                continue
            match = _NAME.match(requirement)
            needed = match[0].lower() if match else ""
            try:
                version = distribution(needed).version
            except PackageNotFoundError:  # not needed on this system
                continue
            if needed not in found and needed != package:
                found[needed] = version
                waiting.append((needed, ()))
    return found


def verdict(report: dict[str, Any]) -> tuple[bool, str]:
    """Whether the audit passes, and what it found, from pip-audit's report."""
    dependencies: list[dict[str, Any]] = report["dependencies"]
    lines = [
        f"{dependency['name']} {dependency['version']}: {problem['id']}, "
        f"mended in {', '.join(problem['fix_versions']) or 'no version'}"
        for dependency in dependencies
        for problem in dependency.get("vulns", ())
    ]
    if lines:
        return False, "\n".join(lines)
    unknown = sum("skip_reason" in dependency for dependency in dependencies)
    if unknown == len(dependencies):
        return True, "NOT AUDITED: the package index has no data on vulnerabilities"
    return True, f"no known vulnerabilities in {len(dependencies) - unknown} packages; {unknown} not known"


def main() -> int:
    """Audit what is installed. Returns the exit status."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pinned:
        pinned.writelines(f"{name}=={version}\n" for name, version in installed().items())
        pinned.flush()
        command = ["pip-audit", "--requirement", pinned.name, "--no-deps", "--disable-pip"]
        try:
            done = subprocess.run(
                [*command, "--format", "json"], capture_output=True, text=True, timeout=TIMEOUT, check=False
            )
            passed, found = verdict(json.loads(done.stdout))
        except (subprocess.TimeoutExpired, ValueError):
            passed, found = True, "NOT AUDITED: the data on vulnerabilities cannot be reached"
    print(found)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
