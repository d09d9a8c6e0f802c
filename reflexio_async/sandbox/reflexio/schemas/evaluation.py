"""Schemas of evaluation: grading sessions and reading the grades."""

from __future__ import annotations

from itertools import chain
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from reflexio_async.sandbox.reflexio.schemas import common


class GetAgentSuccessEvaluationResultsRequestSchema(common.TimeRangeSchema):
    """Read grades."""

    limit: common.PositiveInt | None = 100
    agent_version: str | None = None


class GetRetrievedLearningEvaluationResultsRequestSchema(common.TimeRangeSchema):
    """Read verdicts on retrieved learnings."""

    user_id: str | None = None
    session_id: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class RegenerateRequestSchema(BaseModel):
    """Grade every session of a span of time again."""

    from_ts: common.NonNegativeInt
    to_ts: common.NonNegativeInt
    evaluation_name: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ts >= self.to_ts:
            message = "from_ts must be strictly before to_ts"
            raise ValueError(message)
        return self


class GradeOnDemandRequestSchema(BaseModel):
    """Grade one session now."""

    session_id: common.NotBlank
    agent_version: common.NotBlank
    evaluation_name: str | None = None


class EvaluationSourceSetRequestSchema(BaseModel):
    """A set of sources to compare with others."""

    label: common.NotBlank
    sources: Annotated[list[str], Field(min_length=1)]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        if len(set(self.sources)) != len(self.sources):
            message = "source set sources must be unique"
            raise ValueError(message)
        return self


class GetEvaluationOverviewRequestSchema(BaseModel):
    """Read a summary of all evaluations of a span of time."""

    from_ts: common.NonNegativeInt
    to_ts: common.NonNegativeInt
    bucket: Literal["day", "week"] = "week"
    include_shadow: bool = True
    source_sets: list[EvaluationSourceSetRequestSchema] = []

    @model_validator(mode="after")
    def _consistent(self) -> Self:
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


class RecentShadowComparisonsQuerySchema(BaseModel):
    """Read the latest shadow comparisons."""

    limit: int = 10
