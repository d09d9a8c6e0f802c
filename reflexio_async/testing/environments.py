"""Separate environments for programs that must not share ours, such as the real server.

Each is built once, which needs a package index and uv, and kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from reflexio_async.testing.interpreters import find_python

_IS_POSIX = os.name == "posix"


class NotInstallable(RuntimeError):
    """A program cannot be installed on this machine. The message says what is missing."""


class NoPython(NotInstallable):
    """There is no interpreter of the wanted version."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with ``packages``, on a Python of ``version``.

    ``name`` is unique. ``without_dependencies`` are packages to install without their dependencies.
    ``overrides`` is a file of dependency overrides for uv. ``variable`` is an environment variable that may
    name the folder of the environment. Otherwise it is kept in ``~/.cache/reflexio-async``.
    """

    name: str
    version: str
    packages: tuple[str, ...]
    without_dependencies: tuple[str, ...] = ()
    overrides: str = ""
    variable: str = ""

    def python(self) -> Path:
        """The interpreter of the environment, which is built on the first call.

        Raises:
            NotInstallable: Python or uv is missing, or uv cannot install the packages. Or the system is not
                POSIX.
            RuntimeError: The folder holds something else.
        """
        if not _IS_POSIX:
            message = f"{self.name} needs a POSIX system, such as Linux or macOS"
            raise NotInstallable(message)
        import fcntl  # noqa: PLC0415  # other systems have no such module

        home = Path(os.environ.get(self.variable) or _cache() / self.name).absolute()
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
        self._uv("venv", "--quiet", "--python", str(base), str(partial))
        install = ("pip", "install", "--quiet", "--python", str(partial / "bin/python"))
        overrides = partial / "overrides.txt"
        overrides.write_text(self.overrides, encoding="utf-8")
        self._uv(*install, "--override", str(overrides), *self.packages)
        if self.without_dependencies:
            self._uv(*install, "--no-deps", *self.without_dependencies)
        (partial / "contents.txt").write_text(self._contents, encoding="utf-8")
        # A complete environment is renamed, so that a half-built one is never used.
        partial.rename(home)

    def _uv(self, *arguments: str) -> None:
        command = [find_uv(), *arguments]
        result = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if result.returncode:
            message = f"uv {' '.join(arguments)} failed:\n{result.stdout}"
            message += f"The first use of {self.name} needs a package index"
            if self.variable:
                message += f", or {self.variable} set to a folder in which it was installed before"
            raise NotInstallable(message)


def find_uv() -> str:
    """The path of uv: that of the package of this name, or of the command.

    Raises:
        NotInstallable: There is neither.
    """
    try:
        from uv import find_uv_bin  # noqa: PLC0415  # from an extra
    except ImportError:
        command = shutil.which("uv")
    else:
        command = find_uv_bin()
    if command is None:
        message = "uv is missing: pip install 'reflexio-async[real-server]'"
        raise NotInstallable(message)
    return command


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reflexio-async"
