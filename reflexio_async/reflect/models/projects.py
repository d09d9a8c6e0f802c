"""A project: its API keys, its skill, making it and deleting it."""

from typing import Annotated

from pydantic import Field

from reflexio_async._engine.models import (
    EMPTY_LIST,
    Header,
    ListOf,
    NotBlank,
    ResponseModel,
    SecretText,
)
from reflexio_async.reflect.models.common import InProject, ReflectRequest


class Skill(ResponseModel):
    """What was learned from the runs of a project. Its fields are the server's: see ``model_extra``."""


class SkillCreate(InProject):
    """The number of traces to make the skill from. None: the server's choice."""

    n_passed: Annotated[int, Field(ge=0)] | None = None
    n_failed: Annotated[int, Field(ge=0)] | None = None


class DeleteProjectResponse(ResponseModel):
    """What was deleted. Its fields are the server's: see ``model_extra``."""


class ApiKeyInfo(ResponseModel):
    """An API key without its secret."""

    id: str
    public_id: str
    label: str
    scopes: list[str] = EMPTY_LIST
    environment: str = "live"
    status: str = "active"
    is_master: bool = False
    created_at: str | None = None
    last_used_at: str | None = None
    revoked_at: str | None = None


class ApiKeyCreate(InProject):
    """A new API key."""

    label: NotBlank
    scopes: ListOf[NotBlank]
    environment: NotBlank = "live"


class CreatedApiKey(ResponseModel):
    """A new API key. No other response has ``api_key``; it is not in reprs."""

    api_key: str = Field(repr=False)
    key: ApiKeyInfo


class ByKey(InProject, title="revoke_api_key"):
    """One API key."""

    key_id: NotBlank


class BootstrapRequest(ReflectRequest, title="bootstrap"):
    """The first user, project and key of a server."""

    bootstrap_token: Annotated[SecretText, Header("X-Bootstrap-Token")]
    user_id: NotBlank
    project_id: NotBlank
    key_label: NotBlank = "Default Admin Key"
    environment: NotBlank = "live"


class BootstrapResponse(ResponseModel):
    """The first user, project and key. No other response has ``api_key``; it is not in reprs."""

    user_id: str
    project_id: str
    api_key: str = Field(repr=False)
