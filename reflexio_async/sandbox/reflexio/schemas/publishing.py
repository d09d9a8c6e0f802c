"""What is published, and asking how far learning from it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from reflexio_async.sandbox.reflexio.schemas.common import (
    CitationKindSchema,
    NotBlank,
    RetrievedLearningKindSchema,
    Source,
    UserActionTypeSchema,
)


class Interaction(BaseModel, extra="allow"):
    """One turn; unknown fields are kept to be warned about."""

    role: Annotated[str, Field(max_length=1000)] = "User"
    content: Annotated[str, Field(max_length=1_000_000)] = ""
    created_at: int | None = None
    shadow_content: Annotated[str, Field(max_length=1_000_000)] = ""
    expert_content: Annotated[str, Field(max_length=1_000_000)] = ""
    user_action: UserActionTypeSchema = UserActionTypeSchema.NONE
    user_action_description: Annotated[str, Field(max_length=10_000)] = ""
    interacted_image_url: Annotated[str, Field(max_length=2048)] = ""
    image_encoding: Annotated[str, Field(max_length=15_000_000)] = ""
    tools_used: Annotated[list[dict[str, Any]], Field(max_length=1000)] = []
    citations: Annotated[list[Citation], Field(max_length=1000)] = []
    retrieved_learnings: Annotated[list[RetrievedLearning], Field(max_length=1000)] = []

    @property
    def empty(self) -> bool:
        """Whether the turn says and shows nothing."""
        told = (self.content, self.shadow_content, self.expert_content, self.interacted_image_url)
        if any(text.strip() for text in (*told, self.image_encoding)):
            return False
        return self.user_action is UserActionTypeSchema.NONE and not (
            self.tools_used or self.citations or self.retrieved_learnings
        )


class Citation(BaseModel):
    """A learning that was cited."""

    kind: CitationKindSchema
    real_id: str
    tag: str = ""
    title: str = ""


class RetrievedLearning(BaseModel):
    """A learning that was retrieved."""

    kind: RetrievedLearningKindSchema
    learning_id: Annotated[str, Field(min_length=1, max_length=1000)]


_EMPTY = (
    'every interaction is empty: at least one must set "content" (or any of: content, shadow_content, '
    "expert_content, interacted_image_url, image_encoding, tools_used, citations, retrieved_learnings, "
    'or a user_action other than "none")'
)


class Publish(BaseModel, extra="allow"):
    """Turns to store; unknown fields are kept to be warned about."""

    user_id: NotBlank
    interaction_data_list: Annotated[list[Interaction], Field(min_length=1, max_length=1000)]
    session_id: NotBlank
    request_id: NotBlank | None = None
    source: Source = ""
    agent_version: Annotated[str, Field(max_length=1000)] = ""
    session_finished: bool = False
    skip_aggregation: bool = False
    force_extraction: bool = False
    evaluation_only: bool = False
    override_learning_stall: bool = False
    retrieval_experiment_id: str | None = None
    retrieval_experiment_arm: Literal["treatment", "holdout"] | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.evaluation_only and self.force_extraction:
            message = "evaluation_only cannot be combined with force_extraction"
            raise ValueError(message)
        if (self.retrieval_experiment_id is None) != (self.retrieval_experiment_arm is None):
            message = "retrieval_experiment_id and retrieval_experiment_arm must be provided together"
            raise ValueError(message)
        for index, turn in enumerate(self.interaction_data_list):
            if turn.user_action is not UserActionTypeSchema.NONE and not turn.user_action_description.strip():
                message = f"interaction_data_list[{index}] user_action requires a user_action_description"
                raise ValueError(message)
        if all(turn.empty for turn in self.interaction_data_list):
            raise ValueError(_EMPTY)
        return self

    @property
    def turns(self) -> list[Interaction]:
        """Those that are stored."""
        return [turn for turn in self.interaction_data_list if not turn.empty]

    @property
    def warnings(self) -> list[str]:
        """What was ignored."""
        found: list[str] = []
        for index, turn in enumerate(self.interaction_data_list):
            found += _unknown(f"interaction_data_list[{index}]", turn)
        found += _unknown("publish request", self)
        if skipped := [index for index, turn in enumerate(self.interaction_data_list) if turn.empty]:
            where = ", ".join(map(str, skipped))
            found.append(
                f"skipped {len(skipped)} empty interaction(s) that carried no content, at index(es) {where}"
            )
        return found


def _unknown(place: str, given: BaseModel) -> list[str]:
    unknown = ", ".join(sorted(given.model_extra or ()))
    return [f"{place}: ignored unrecognised field(s) {unknown}"] if unknown else []


class LearningStatusQuery(BaseModel):
    """Names a request."""

    request_id: str
