"""Provenance: where a learning came from."""

from __future__ import annotations

from reflexio_async._engine.routing.route import Route
from reflexio_async.reflexio.models.provenance import (
    GetLearningProvenanceRequest,
    LearningProvenanceViewResponse,
)


class ProvenanceAPI:
    """Where learnings came from."""

    get_learning_provenance = Route(
        "POST",
        "/api/get_learning_provenance",
        GetLearningProvenanceRequest,
        LearningProvenanceViewResponse,
        repeatable=True,
    )
    """The turns and lessons that one profile or playbook came from."""
