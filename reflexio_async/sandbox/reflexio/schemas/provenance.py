"""Schema of provenance: which interactions a learning comes from."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class GetLearningProvenanceRequestSchema(BaseModel):
    """Read the provenance of a learning."""

    kind: Literal["profile", "user_playbook", "agent_playbook"]
    id: str
