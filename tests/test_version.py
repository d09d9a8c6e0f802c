"""The version stands in one file, and the changelog begins with it."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import reflexio_async

ROOT = Path(__file__).parents[1]


def test_the_build_reads_the_version_that_the_package_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" in project["project"]["dynamic"]
    built = runpy.run_path(str(ROOT / project["tool"]["hatch"]["version"]["path"]))
    assert built["__version__"] == reflexio_async.__version__


def test_the_changelog_begins_with_this_version_and_every_release_has_a_date() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    releases = re.findall(r"^## \[(.+)\](?: - (\d{4}-\d\d-\d\d))?$", changelog, re.MULTILINE)
    assert releases[0][0] == reflexio_async.__version__
    assert all(date for _, date in releases)
