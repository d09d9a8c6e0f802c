"""Stands in for ``reflect-contracts``, which reflect-sdk 0.3.5 needs and no index has: its response types.

They have the attributes that a response has. What the official client sends does not depend on them.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

ReviewResult = str


class _Response(SimpleNamespace):
    @classmethod
    def model_validate(cls, value: dict[str, Any]) -> _Response:
        return cls(**value)


ApiKeyCreateResponse = ApiKeyResponse = BootstrapResponse = DeleteProjectResponse = _Response
DeleteTracesResponse = MemoryResponse = ReviewResponse = SkillResponse = _Response
TraceCreateResponse = TraceResponse = _Response
