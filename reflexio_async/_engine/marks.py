"""Where a request's field travels, when it is not in the body. Apart from ``base``, which loads pydantic."""

from __future__ import annotations

from dataclasses import dataclass


class Query:
    """Marks a request field that travels in the query string."""


@dataclass(frozen=True)
class Header:
    """Marks a request field that travels as the header ``name``."""

    name: str
