"""Frameworks that a test needs: without them it is skipped, and in CI that is a failure."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest


def require(*packages: str) -> None:
    """Skip the module that calls this, unless all ``packages`` are installed."""
    missing = [package for package in packages if not _is_installed(package)]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)} (the extra `frameworks` has all of them)"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False
