from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from reflexio_async.testing import NoPython, NotInstallable, environments
from reflexio_async.testing.environments import Environment
from reflexio_async.testing.interpreters import find_python

if TYPE_CHECKING:
    from pathlib import Path

FAKE_UV = """#!/bin/sh -eu
echo "$1" >> "{log}"
[ "$1" = venv ] || exit {status}
for home; do :; done
mkdir -p "$home/bin"
ln -s /bin/sh "$home/bin/python"
sleep 0.2
"""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    home = tmp_path / "cache" / "tool"
    monkeypatch.setenv("TOOL_VENV", str(home))
    monkeypatch.setattr(environments, "find_uv", lambda: str(tmp_path / "uv"))
    return home


@pytest.fixture
def tool(home: Path) -> Environment:
    assert not home.exists()
    return Environment("tool-1", "{}.{}".format(*sys.version_info), ("tool==1",), variable="TOOL_VENV")


def fake_uv(folder: Path, status: int) -> Path:
    """Put a program in place of uv, whose ``pip`` exits with ``status``. Returns its log."""
    log = folder / "uv.log"
    (folder / "uv").write_text(FAKE_UV.format(log=log, status=status))
    (folder / "uv").chmod(0o755)
    return log


def test_a_missing_interpreter_is_named(tool: Environment) -> None:
    assert find_python("3.99") is None
    with pytest.raises(NoPython, match=r"tool-1 needs Python 3\.99"):
        replace(tool, version="3.99").python()


def test_a_missing_uv_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstallable, match=r"uv is missing: pip install 'reflexio-async\[real-server\]'"):
        environments.find_uv()


def test_uv_may_be_a_command_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_uv(tmp_path, status=0)
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environments.find_uv() == str(tmp_path / "uv")


def test_a_missing_package_index_is_named(tool: Environment, tmp_path: Path) -> None:
    fake_uv(tmp_path, status=1)
    with pytest.raises(NotInstallable, match="needs a package index, or TOOL_VENV set to a folder in which"):
        tool.python()


def test_a_system_that_is_not_posix_is_named(tool: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "_IS_POSIX", False)
    with pytest.raises(NotInstallable, match="tool-1 needs a POSIX system"):
        tool.python()


def test_environments_are_kept_in_the_cache_of_the_user(
    tool: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_uv(tmp_path, status=0)
    monkeypatch.delenv("TOOL_VENV")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "of-the-user"))
    assert tool.python() == tmp_path / "of-the-user/reflexio-async/tool-1/bin/python"


def test_concurrent_builders_build_once(tool: Environment, home: Path, tmp_path: Path) -> None:
    log = fake_uv(tmp_path, status=0)
    with ThreadPoolExecutor() as builders:
        found = {future.result() for future in [builders.submit(tool.python) for _ in range(3)]}
    assert found == {home / "bin/python"}
    assert log.read_text().split() == ["venv", "pip"]


def test_an_interrupted_build_is_not_used(tool: Environment, home: Path, tmp_path: Path) -> None:
    fake_uv(tmp_path, status=1)
    with pytest.raises(RuntimeError, match=r"uv pip install .* failed"):
        tool.python()
    assert not home.exists()
    fake_uv(tmp_path, status=0)
    assert tool.python().exists()


def test_a_folder_with_other_contents_is_an_error_and_is_kept(
    tool: Environment, home: Path, tmp_path: Path
) -> None:
    log = fake_uv(tmp_path, status=0)
    home.mkdir(parents=True)
    with pytest.raises(RuntimeError, match="delete it, or set TOOL_VENV"):
        tool.python()
    assert not log.exists()


def test_another_version_in_the_folder_is_an_error(tool: Environment, tmp_path: Path) -> None:
    fake_uv(tmp_path, status=0)
    tool.python()
    with pytest.raises(RuntimeError, match="holds no working tool-1"):
        replace(tool, packages=("tool==2",)).python()


def test_packages_without_dependencies_are_installed_in_a_second_step(
    tool: Environment, tmp_path: Path
) -> None:
    log = fake_uv(tmp_path, status=0)
    replace(tool, without_dependencies=("other==1",)).python()
    assert log.read_text().split() == ["venv", "pip", "pip"]
