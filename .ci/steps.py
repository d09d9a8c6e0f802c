"""The steps of CI: everything that must hold for the current commit, in a clean clone of it.

Steps form chains. The steps of a chain run one after another; two chains run at once, one per core. A step
that fails stops no other step, unless it makes the environment of its chain. The list at the end has every
step with its result and its time. The exit status is 0 only if every step passed.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]

EVERYTHING = "3.11"
"""The version of Python that runs every check and every test."""

OTHERS = ("3.12", "3.13")
"""The versions that run the quick tests, those with frameworks, and the fast ones on the real server."""

DEBIAN_PACKAGES: Mapping[str, str] = {
    "chromium": "true",
    "postgresql": "mkdir -p /etc/postgresql-common && "
    "echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf",
}
"""What tests need from the system: installed by apt-get where it is missing. And the commands to run before.

Tests start their own Postgres server. The package must not start another.
"""

CHAINS_AT_ONCE = 2


@dataclass(frozen=True)
class Step:
    """One command of bash, run in the clone."""

    name: str
    command: str
    minutes: float = 5
    """A command that takes longer is interrupted, and has failed."""
    makes_environment: bool = False
    """If it fails, the rest of its chain is not run."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables."""


def preparation(work: Path) -> list[Step]:
    """The chain that comes before all others."""
    return [
        Step("clone", f"git clone --quiet {shlex.quote(str(ROOT))} .", makes_environment=True),
        *(_debian_package(name, before) for name, before in DEBIAN_PACKAGES.items()),
        _environment(work, EVERYTHING, extra="dev,frameworks"),
    ]


def chains(work: Path) -> list[list[Step]]:
    """The chains that may run at once, in the order in which they begin."""
    # "python3" in the README's commands is this version too.
    path = {"PATH": f"{work / EVERYTHING / 'bin'}:{os.environ['PATH']}"}
    # Of .pre-commit-config.yaml.
    hooks = ("ruff-check", "ruff-format", "import-linter", "codespell", "mypy")
    is_typed = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).getinfo('reflexio_async/py.typed')"
    # In steps of their own.
    elsewhere = "--ignore=tests/integrations --ignore=tests/docs --ignore=tests/pages/test_site.py"
    return [
        [
            # Every test, with the real server. The command is the README's; coverage is added from outside.
            # It installs no frameworks: see the steps for those and for the documentation.
            Step(
                "README: test",
                "python .ci/readme_commands.py test",
                minutes=45,
                variables=path | {"PYTEST_ADDOPTS": f"--cov --cov-report=term {elsewhere}"},
            ),
        ],
        [
            *(Step(hook, f"pre-commit run --all-files --verbose {hook}", variables=path) for hook in hooks),
            Step("pyright", f"pyright --pythonpath {work / EVERYTHING}/bin/python", variables=path),
            # The extra of README's command has no mypy, so that its tests skip this one.
            Step(
                "mypy with pydantic's plugin",
                "python -c 'import mypy' && "
                f"pytest tests/typing/test_pydantic_plugin.py -o cache_dir={work}/typing/cache",
                variables=path,
            ),
            Step(
                "wheel is typed",
                f"pip wheel --quiet --no-deps --wheel-dir {work}/wheel . && "
                f'python -c "{is_typed}" {work}/wheel/*.whl',
                variables=path,
            ),
            Step("audit of dependencies", "python .ci/audit.py", variables=path),
            Step("README: demo", "python .ci/readme_commands.py demo", variables=path),
            Step("README: quick", "python .ci/readme_commands.py quick", variables=path),
            # With the extra of README's command alone.
            Step(
                "documentation: environment",
                f"python -m venv {work}/docs/environment && "
                f"uv pip install --quiet --python {work}/docs/environment/bin/python --editable '.[docs]'",
                variables=path,
                makes_environment=True,
            ),
            Step(
                "documentation: site",
                f"{work}/docs/environment/bin/sphinx-build -q -W --keep-going docs build/site",
                variables=path,
            ),
            Step(
                "documentation: blocks, reference, pages in Chromium",
                f"pytest tests/docs tests/pages/test_site.py -o cache_dir={work}/docs/cache",
                minutes=15,
                variables=path,
            ),
            Step(
                "adapters of frameworks",
                f"pytest tests/integrations -o cache_dir={work}/frameworks/cache",
                minutes=15,
                variables=path,
            ),
        ],
        *(
            [
                _environment(work, version, extra="test,frameworks"),
                Step(
                    f"Python {version}: quick tests, frameworks, real server",
                    f"{work}/{version}/bin/pytest -m 'quick or frameworks or (real and not slow)' "
                    f"-o cache_dir={work}/{version}/cache",
                    minutes=25,
                ),
            ]
            for version in OTHERS
        ),
        [
            _environment(work, EVERYTHING, extra="test-http", lowest=True),
            Step(
                "Lowest versions: core and transport",
                f"{work}/lowest/bin/pytest tests/core tests/transport tests/test_aiohttp_pins.py "
                f"-o cache_dir={work}/lowest/cache",
                minutes=10,
            ),
        ],
        [Step("benchmarks", "python -m benchmarks --quick", minutes=10, variables=path)],
    ]


def _debian_package(name: str, before: str) -> Step:
    command = (
        f"dpkg-query --show --showformat='${{Status}}' {name} 2>/dev/null | grep -q 'ok installed' || "
        f"({before} && apt-get update -qq && apt-get install -qq --no-install-recommends {name})"
    )
    variables = {"DEBIAN_FRONTEND": "noninteractive"}
    return Step(f"Debian: {name}", command, variables=variables, makes_environment=True)


def _environment(work: Path, version: str, extra: str, *, lowest: bool = False) -> Step:
    """``lowest``: with the lowest versions of everything that pyproject.toml names."""
    folder = work / ("lowest" if lowest else version)
    resolution = "--resolution lowest-direct " if lowest else ""
    command = (
        f"python=$(python3 reflexio_async/testing/interpreters.py {version}) && $python -m venv {folder} && "
        # uv takes a fifth of pip's time.
        f"{folder}/bin/pip install --quiet uv && "
        f"{folder}/bin/uv pip install --quiet --python {folder}/bin/python {resolution}"
        f"--editable '.[{extra}]'"
    )
    name = "Lowest versions: environment" if lowest else f"Python {version}: environment"
    return Step(name, command, makes_environment=True)


class Runner:
    """Runs chains of steps, and keeps what became of them."""

    def __init__(self, work: Path) -> None:
        self.results: dict[str, tuple[str, float]] = {}
        """By the step's name: its outcome, and how many seconds it took."""
        self.work = work
        (work / "clone").mkdir()
        self._variables = {
            **os.environ,
            "CI": "true",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PRE_COMMIT_HOME": str(work / "pre-commit"),
            "REFLEXIO_SERVER_VENV": os.environ.get("REFLEXIO_SERVER_VENV") or str(work / "reflexio-server"),
        }
        self._printing = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopping = False

    def run(self, chain: Sequence[Step]) -> bool:
        """Run the steps one after another. Returns whether all passed."""
        has_environment = True
        for step in chain:
            outcome, seconds = self._run(step) if has_environment else ("NOT RUN", 0.0)
            self.results[step.name] = outcome, seconds
            if step.makes_environment and outcome != "passed":
                has_environment = False
        return all(self.results[step.name][0] == "passed" for step in chain)

    def stop(self) -> None:
        """Interrupt what runs, and begin no further step."""
        self._stopping = True
        for process in list(self._running):
            _interrupt(process)

    def _run(self, step: Step) -> tuple[str, float]:
        if self._stopping:
            return "NOT RUN", 0.0
        began = time.monotonic()
        with tempfile.TemporaryFile("w+b", dir=self.work) as log:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", step.command],
                cwd=self.work / "clone",
                env={**self._variables, **step.variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(process)
            try:
                status = process.wait(step.minutes * 60)
                outcome = "passed" if status == 0 else f"FAILED with exit status {status}"
            except subprocess.TimeoutExpired:
                _interrupt(process)
                outcome = f"FAILED: interrupted after {step.minutes} minutes"
            self._running.discard(process)
            seconds = time.monotonic() - began
            log.seek(0)
            output = log.read().decode(errors="replace")
        with self._printing:
            print(f"\n=== {step.name}\n$ {step.command}\n{output}")
            print(f"--- {step.name}: {outcome}, {seconds:.0f} s", flush=True)
        return outcome, seconds


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """End a step's processes. An interrupt, unlike TERM, lets pytest stop its servers and sum up."""
    try:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    except ProcessLookupError:
        pass


def main() -> int:
    """Run everything. Returns the exit status."""
    began = time.monotonic()
    if subprocess.check_output(["git", "status", "--porcelain"], cwd=ROOT):
        print("note: uncommitted changes are not checked")
    with tempfile.TemporaryDirectory(prefix="ci-", ignore_cleanup_errors=True) as folder:
        first, others = preparation(Path(folder)), chains(Path(folder))
        runner = Runner(Path(folder))
        with ThreadPoolExecutor(CHAINS_AT_ONCE) as pool:
            try:
                if pool.submit(runner.run, first).result():
                    list(pool.map(runner.run, others))
            except BaseException:
                runner.stop()
                raise
    print("\n=== Steps")
    results = [
        (step.name, *runner.results.get(step.name, ("NOT RUN", 0.0)))
        for chain in (first, *others)
        for step in chain
    ]
    for name, outcome, seconds in results:
        print(f"{seconds:6.0f} s  {name}: {outcome}")
    print(f"{time.monotonic() - began:6.0f} s  in all")
    return 0 if all(outcome == "passed" for _, outcome, _ in results) else 1


if __name__ == "__main__":
    # A shell that starts this in the background has it ignore interrupts; its steps must not.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
