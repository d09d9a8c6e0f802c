"""Separate environments for programs that must not share ours: the real server, the official clients.

Each is built once, which needs a package index, and kept under ``.cache`` in this repository.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from tests.interpreters import find_python

_CACHE = Path(__file__).parents[1] / ".cache"


class NoPython(RuntimeError):
    """There is no interpreter of the wanted version."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with ``packages``, on a Python of ``version``.

    ``name`` is unique. ``without_dependencies`` are packages to install without their dependencies.
    ``overrides`` is a file of dependency overrides for uv. ``variable`` is an environment variable that may
    name a folder to use in place of the one under ``.cache``.
    """

    name: str
    version: str
    packages: tuple[str, ...]
    without_dependencies: tuple[str, ...] = ()
    overrides: str = ""
    variable: str = ""

    def python(self) -> Path:
        """The interpreter of the environment, which is built on the first call."""
        home = Path(os.environ.get(self.variable) or _CACHE / self.name).absolute()
        if not self._is_in(home):
            home.parent.mkdir(parents=True, exist_ok=True)
            with home.with_name(f"{home.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel releases it, even if the builder is killed
                if not self._is_in(home):
                    self._build(home)
        return home / "bin/python"

    @property
    def _contents(self) -> str:
        return "\n".join((*self.packages, *self.without_dependencies, self.overrides))

    def _is_in(self, home: Path) -> bool:
        contents = home / "contents.txt"
        return (home / "bin/python").exists() and contents.exists() and contents.read_text() == self._contents

    def _build(self, home: Path) -> None:
        if home.exists():
            message = f"{home} holds no working {self.name}: delete it"
            if self.variable:
                message += f", or set {self.variable}"
            raise RuntimeError(message)
        base = find_python(self.version)
        if base is None:
            message = f"{self.name} needs Python {self.version}: no python{self.version} on PATH or in pyenv"
            raise NoPython(message)
        partial = home.with_name(f"{home.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        _uv("venv", "--quiet", "--python", str(base), str(partial))
        install = ("pip", "install", "--quiet", "--python", str(partial / "bin/python"))
        overrides = partial / "overrides.txt"
        overrides.write_text(self.overrides, encoding="utf-8")
        _uv(*install, "--override", str(overrides), *self.packages)
        if self.without_dependencies:
            _uv(*install, "--no-deps", *self.without_dependencies)
        (partial / "contents.txt").write_text(self._contents, encoding="utf-8")
        # A complete environment is renamed, so that a half-built one is never used.
        partial.rename(home)


def _uv(*arguments: str) -> None:
    result = subprocess.run(
        [find_uv_bin(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        message = f"uv {' '.join(arguments)} failed:\n{result.stdout}"
        raise RuntimeError(message)


REFLEXIO_AI_VERSION = "0.2.32"
REFLEXIO_CLIENT_VERSION = "0.2.16"
REFLECT_SDK_VERSION = "0.3.5"
"""The newest official packages on PyPI. After a change: ``python -m tests.parity.refresh``."""

REFLEXIO_COMMONS = Environment(
    "reflexio-commons-0.1.0.0", "3.12", ("reflexio-commons==0.1.0.0", "pydantic==2.14.4")
)
"""The models of January 2026, which that server and that client shared."""

REFLEXIO_SERVER = Environment(
    f"reflexio-server-{REFLEXIO_AI_VERSION}",
    "3.12",
    (f"reflexio-ai=={REFLEXIO_AI_VERSION}",),
    # The server runs without torch, which takes gigabytes (server-behaviour: Installing it).
    overrides="torch; sys_platform == 'never'\ntriton; sys_platform == 'never'\n",
    variable="REFLEXIO_SERVER_VENV",
)
"""The open-source server, and the official client inside the same package."""

REFLEXIO_CLIENT = Environment(
    f"reflexio-client-{REFLEXIO_CLIENT_VERSION}", "3.12", (f"reflexio-client=={REFLEXIO_CLIENT_VERSION}",)
)
"""The official Reflexio client on its own."""

REFLECT_SDK = Environment(
    f"reflect-sdk-{REFLECT_SDK_VERSION}",
    "3.12",
    ("httpx==0.28.1",),
    (f"reflect-sdk=={REFLECT_SDK_VERSION}",),
)
"""The official Reflect client. It needs ``tests/parity/stand_ins``, for a package that no index has."""

WHOLE_REFLECT_SDK_VERSION = "0.3.3"
WHOLE_REFLECT_SDK = Environment(
    f"reflect-sdk-{WHOLE_REFLECT_SDK_VERSION}",
    "3.12",
    ("httpx==0.28.1",),
    (f"reflect-sdk=={WHOLE_REFLECT_SDK_VERSION}",),
)
"""The last official Reflect client that runs as it is on PyPI. Of its dependencies only httpx is needed."""
