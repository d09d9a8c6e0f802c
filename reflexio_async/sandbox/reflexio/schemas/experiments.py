"""Schemas of retrieval experiments."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from reflexio_async.sandbox.reflexio.schemas.common import NotBlank

ExperimentId = Annotated[NotBlank, Field(max_length=128)]
Percentage = Annotated[float, Field(gt=0, lt=100)]


class StartRetrievalExperimentRequestSchema(BaseModel):
    """Start to withhold learnings from some users."""

    experiment_id: ExperimentId
    holdout_percentage: Percentage


class StopRetrievalExperimentRequestSchema(BaseModel):
    """Stop the running experiment."""

    experiment_id: ExperimentId
