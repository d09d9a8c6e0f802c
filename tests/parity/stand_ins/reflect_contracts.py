"""Stands in for ``reflect-contracts``, which reflect-sdk 0.3.5 needs and no index has: its response types.

They have what a response has, as attributes. What the official client sends does not depend on them.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Self

ReviewResult = str


class _Response(SimpleNamespace):
    @classmethod
    def model_validate(cls, value: dict[str, Any]) -> Self:
        return cls(**value)


class TraceCreateResponse(_Response):
    @property
    def id(self) -> str:
        return str(self.trace_id)


class TraceResponse(_Response):
    @classmethod
    def model_validate(cls, value: dict[str, Any]) -> Self:
        review = value.get("review")
        return cls(**{**value, "review": review and _Response(**review)})


ApiKeyCreateResponse = ApiKeyResponse = BootstrapResponse = DeleteProjectResponse = _Response
DeleteTracesResponse = MemoryResponse = ReviewResponse = SkillResponse = _Response
