"""The version of this package. The build reads it from this file."""

from __future__ import annotations

__version__ = "0.2.0"
