"""Grading sessions, and trying out what retrieval is worth."""

from __future__ import annotations

from itertools import chain
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from reflexio_async.sandbox.reflexio.schemas.common import NotBlank, Positive, TimeRange

Epoch = Annotated[int, Field(ge=0)]


class GetResults(TimeRange):
    """Grades given."""

    limit: Positive | None = 100
    agent_version: str | None = None


class GetLearningResults(TimeRange):
    """Verdicts on learnings that were retrieved."""

    user_id: str | None = None
    session_id: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class Regenerate(BaseModel):
    """Grade every session of a time again."""

    from_ts: Epoch
    to_ts: Epoch
    evaluation_name: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ts >= self.to_ts:
            message = "from_ts must be strictly before to_ts"
            raise ValueError(message)
        return self


class Grade(BaseModel):
    """Grade one session."""

    session_id: NotBlank
    agent_version: NotBlank
    evaluation_name: str | None = None


class SourceSet(BaseModel):
    """Sources to compare with others."""

    label: NotBlank
    sources: Annotated[list[str], Field(min_length=1)]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        if len(set(self.sources)) != len(self.sources):
            message = "source set sources must be unique"
            raise ValueError(message)
        return self


class Overview(BaseModel):
    """The evaluations of a time, in one page."""

    from_ts: Epoch
    to_ts: Epoch
    bucket: Literal["day", "week"] = "week"
    include_shadow: bool = True
    source_sets: list[SourceSet] = []

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.from_ts > self.to_ts:
            message = "from_ts must be <= to_ts"
            raise ValueError(message)
        labels = [each.label for each in self.source_sets]
        if len(set(labels)) != len(labels):
            message = "source set labels must be unique"
            raise ValueError(message)
        sources = list(chain.from_iterable(each.sources for each in self.source_sets))
        if repeated := sorted({repr(source) for source in sources if sources.count(source) > 1}):
            message = f"source values cannot appear in multiple source sets: {', '.join(repeated)}"
            raise ValueError(message)
        return self


class RecentShadows(BaseModel):
    """How many; more than a hundred means a hundred."""

    limit: int = 10


class StartExperiment(BaseModel):
    """Withhold learnings from some users."""

    experiment_id: Annotated[NotBlank, Field(max_length=128)]
    holdout_percentage: Annotated[float, Field(gt=0, lt=100)]


class StopExperiment(BaseModel):
    """End the running experiment."""

    experiment_id: Annotated[NotBlank, Field(max_length=128)]
