"""Memories: finding them, and what is found."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AliasChoices, Field

from reflexio_async._engine.models import (
    EMPTY_LIST,
    JsonObject,
    NotBlank,
    ResponseModel,
)
from reflexio_async.reflect.models.common import InProject, Weight


class Memory(ResponseModel):
    """A lesson from a run of an agent.

    Attributes:
        id: The id of the memory.
        task: The task of that run.
        reflection: The lesson as one text. The fields below hold its parts.
        q_value: How useful the memory has been, 0 to 1. Reviews of runs that used it change this.
        similarity: How similar its task is to the task of the query, at most 1.
        score: The value that the server ranks by.
        success: Whether that run passed its review; None: not known.
        summary: The lesson in one line.
        key_mistake: What went wrong.
        correct_action: What should have been done.
        applicable_tools: The tools that the lesson is about.
        guidance: What a later run should do.
        tools_used: The tools that the run used.
    """

    id: str
    task: str
    reflection: str
    q_value: float = 0.5
    similarity: float = 0.0
    score: float = 0.0
    success: bool | None = None
    summary: str = ""
    key_mistake: str = ""
    correct_action: str = ""
    applicable_tools: list[str] = EMPTY_LIST
    guidance: str = ""
    tools_used: list[str] = EMPTY_LIST


@dataclass(slots=True)
class AugmentedTask:
    """A prompt with memories.

    Attributes:
        augmented_task: The prompt: the task, and the memories below it.
        memories: The memories.
    """

    augmented_task: str
    memories: list[Memory]


class MemoryQuery(InProject, title="query_memories"):
    """The memories to find."""

    task: NotBlank = Field(description="What the agent is about to do.")
    limit: Annotated[int, Field(ge=1)] = 10
    lambda_: Weight = Field(
        default=0.5,
        validation_alias=AliasChoices("lambda_", "lambda"),
        serialization_alias="lambda",
        description="1 ranks by similarity alone, 0 by q-value alone.",
    )
    metadata_filter: JsonObject | None = Field(
        default=None, description="Only memories whose metadata has all these entries."
    )
    similarity_threshold: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None, description="The minimum similarity. None: the server's default."
    )
    mmr_lambda: Weight = Field(
        default=0.7, description="1 allows near-duplicates, 0 prefers memories that differ."
    )
