"""The recorded data of the official packages: what ``python -m tests.parity.refresh`` wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "official"


@dataclass(frozen=True)
class Package:
    """One official package."""

    version: str
    names: list[str]
    """Its ``__all__``."""
    described: dict[str, Any]
    """By name: what ``tests.parity.described`` says of it."""
    calls: dict[str, list[dict[str, Any]]]
    """By call: the requests that the official client sends."""


OFFICIAL = {file.stem: Package(**json.loads(file.read_text())) for file in sorted(FOLDER.glob("*.json"))}
"""By the name of the distribution."""
