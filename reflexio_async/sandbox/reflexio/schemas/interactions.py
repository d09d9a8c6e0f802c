"""Schemas of publishing, and of reading back what was published."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from reflexio_async.sandbox.reflexio.schemas import common


class UserActionTypeSchema(Enum):
    """What the user did besides writing."""

    CLICK = "click"
    SCROLL = "scroll"
    TYPE = "type"
    NONE = "none"


class CitationKindSchema(Enum):
    """The kind of learning that was cited."""

    PLAYBOOK = "playbook"
    PROFILE = "profile"
    USER_PLAYBOOK = "user_playbook"
    AGENT_PLAYBOOK = "agent_playbook"


class RetrievedLearningKindSchema(Enum):
    """The kind of learning that was retrieved."""

    PROFILE = "profile"
    USER_PLAYBOOK = "user_playbook"
    AGENT_PLAYBOOK = "agent_playbook"


class ToolUsedSchema(BaseModel, extra="allow"):
    """A tool that the agent called. Unknown fields are kept, for a warning."""

    tool_name: str
    tool_data: dict[str, Any] = {}
    status: str = ""


class CitationSchema(BaseModel, extra="allow"):
    """A learning that was cited. Unknown fields are kept, for a warning."""

    kind: CitationKindSchema
    real_id: str
    tag: str = ""
    title: str = ""


class RetrievedLearningSchema(BaseModel, extra="allow"):
    """A learning that was retrieved. Unknown fields are kept, for a warning."""

    kind: RetrievedLearningKindSchema
    learning_id: Annotated[str, Field(min_length=1, max_length=1000)]
    exposure_receipt: Annotated[str, Field(max_length=8192)] | None = None
    exposure_receipt_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _digest_of_receipt(self) -> Self:
        receipt = self.exposure_receipt
        self.exposure_receipt_digest = receipt and hashlib.sha256(receipt.encode()).hexdigest()
        return self


class InteractionDataSchema(BaseModel, extra="allow"):
    """One interaction. Unknown fields are kept, for a warning. Without ``created_at`` it is of now."""

    role: Annotated[str, Field(max_length=1000)] = "User"
    content: Annotated[str, Field(max_length=1_000_000)] = ""
    created_at: int = 0
    shadow_content: Annotated[str, Field(max_length=1_000_000)] = ""
    expert_content: Annotated[str, Field(max_length=1_000_000)] = ""
    user_action: UserActionTypeSchema = UserActionTypeSchema.NONE
    user_action_description: Annotated[str, Field(max_length=10_000)] = ""
    interacted_image_url: Annotated[str, Field(max_length=2048)] = ""
    image_encoding: Annotated[str, Field(max_length=15_000_000)] = ""
    tools_used: Annotated[list[ToolUsedSchema], Field(max_length=1000)] = []
    citations: Annotated[list[CitationSchema], Field(max_length=1000)] = []
    retrieved_learnings: Annotated[list[RetrievedLearningSchema], Field(max_length=1000)] = []

    @property
    def empty(self) -> bool:
        """Whether the interaction has no content and no action."""
        texts = (self.content, self.shadow_content, self.expert_content, self.interacted_image_url)
        if any(text.strip() for text in (*texts, self.image_encoding)):
            return False
        return self.user_action is UserActionTypeSchema.NONE and not (
            self.tools_used or self.citations or self.retrieved_learnings
        )


_NAMED = 5
_EMPTY = (
    'every interaction is empty: at least one must set "content" (or any of: content, shadow_content, '
    "expert_content, interacted_image_url, image_encoding, tools_used, citations, retrieved_learnings, "
    'or a user_action other than "none")'
)


class PublishUserInteractionRequestSchema(BaseModel, extra="allow"):
    """Store interactions. Unknown fields are kept, for a warning."""

    user_id: common.NotBlank
    interaction_data_list: Annotated[list[InteractionDataSchema], Field(min_length=1, max_length=1000)]
    session_id: common.NotBlank
    request_id: common.NotBlank | None = None
    source: common.Source = ""
    agent_version: Annotated[str, Field(max_length=1000)] = ""
    session_finished: bool = False
    skip_aggregation: bool = False
    force_extraction: bool = False
    evaluation_only: bool = False
    override_learning_stall: bool = False
    retrieval_experiment_id: str | None = None
    retrieval_experiment_arm: Literal["treatment", "holdout"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.evaluation_only and self.force_extraction:
            message = "evaluation_only cannot be combined with force_extraction"
            raise ValueError(message)
        if (self.retrieval_experiment_id is None) != (self.retrieval_experiment_arm is None):
            message = "retrieval_experiment_id and retrieval_experiment_arm must be provided together"
            raise ValueError(message)
        for index, given in enumerate(self.interaction_data_list):
            acts = given.user_action is not UserActionTypeSchema.NONE
            if acts and not given.user_action_description.strip():
                message = f"interaction_data_list[{index}] user_action requires a user_action_description"
                raise ValueError(message)
        if all(given.empty for given in self.interaction_data_list):
            raise ValueError(_EMPTY)
        return self

    @property
    def interactions(self) -> list[InteractionDataSchema]:
        """The interactions to store: those that are not empty."""
        return [given for given in self.interaction_data_list if not given.empty]

    @property
    def warnings(self) -> list[str]:
        """What the server ignores."""
        found: list[str] = []
        for index, given in enumerate(self.interaction_data_list):
            parts = {
                f"{name}[{number}].": part
                for name in ("tools_used", "citations", "retrieved_learnings")
                for number, part in enumerate(getattr(given, name))
            }
            found += _unknown_fields(f"interaction_data_list[{index}]", {"": given, **parts})
        found += _unknown_fields("publish request", {"": self})
        if skipped := [index for index, given in enumerate(self.interaction_data_list) if given.empty]:
            where = ", ".join(map(str, skipped))
            found.append(
                f"skipped {len(skipped)} empty interaction(s) that carried no content, at index(es) {where}"
            )
        return found


def _unknown_fields(place: str, parts: Mapping[str, BaseModel]) -> list[str]:
    """A warning about the unknown fields of a place and its parts, by prefix; at most five are named."""
    unknown = sorted(prefix + name for prefix, part in parts.items() for name in part.model_extra or ())
    if not unknown:
        return []
    more = [f"+{len(unknown) - _NAMED} more"] if len(unknown) > _NAMED else []
    return [f"{place}: ignored unrecognised field(s) {', '.join([*unknown[:_NAMED], *more])}"]


class LearningStatusQuerySchema(BaseModel):
    """Read how far learning from a publish has come."""

    request_id: str


class GetRequestsRequestSchema(common.TimeRangeSchema):
    """Read requests by session."""

    user_id: str | None = None
    request_id: str | None = None
    session_id: str | None = None
    source: common.Source | None = None
    top_k: common.PositiveInt | None = 30
    offset: common.NonNegativeInt | None = 0


class GetInteractionsRequestSchema(common.TimeRangeSchema):
    """Read interactions of one user."""

    user_id: common.NotBlank
    top_k: common.PositiveInt | None = 30


class AllInteractionsQuerySchema(BaseModel):
    """Read interactions of all users."""

    limit: int = 100


class SearchInteractionRequestSchema(common.SearchSchema):
    """Search interactions of one user. The server ignores ``top_k``."""

    user_id: common.NotBlank
    top_k: common.PositiveInt | None = None
    most_recent_k: common.PositiveInt | None = None


class DeleteUserInteractionRequestSchema(BaseModel):
    """Delete an interaction."""

    user_id: common.NotBlank
    interaction_id: common.PositiveInt


class DeleteRequestRequestSchema(BaseModel):
    """Delete a request."""

    request_id: common.NotBlank


class DeleteRequestsByIdsRequestSchema(BaseModel):
    """Delete requests."""

    request_ids: Annotated[list[str], Field(min_length=1, max_length=10_000)]
