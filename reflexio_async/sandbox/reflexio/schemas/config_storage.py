"""Schemas of the configuration's credentials: storage and model providers."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

from reflexio_async.sandbox.reflexio.schemas.common import NotBlank, PositiveNumber


class StorageConfigTestSchema(IntEnum):
    """Whether the storage was tested."""

    UNKNOWN = 0
    INCOMPLETE = 1
    FAILED = 2
    SUCCEEDED = 3


class StorageConfigSQLiteSchema(BaseModel, extra="forbid"):
    """A SQLite file. ``type`` is accepted and not shown."""

    type: Annotated[Literal["sqlite"], Field(exclude=True)] = "sqlite"
    db_path: str | None = None


class StorageConfigSupabaseSchema(BaseModel):
    """A Supabase project. ``type`` is accepted and not shown."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, serialize_by_alias=True)

    type: Annotated[Literal["supabase"], Field(exclude=True)] = "supabase"
    url: NotBlank
    key: NotBlank
    db_url: NotBlank
    schema_name: Annotated[str | None, Field(alias="schema")] = None
    read_url: NotBlank | None = None
    read_key: NotBlank | None = None


class StorageConfigPostgresSchema(BaseModel):
    """A PostgreSQL database."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, serialize_by_alias=True)

    type: Literal["postgres"] = "postgres"
    db_url: NotBlank
    schema_name: Annotated[str | None, Field(alias="schema")] = None
    pool_size: Annotated[int, Field(ge=1)] = 10
    pool_acquire_timeout: PositiveNumber = 30.0
    read_db_url: NotBlank | None = None
    read_pool_size: Annotated[int, Field(ge=1)] | None = None
    read_pool_acquire_timeout: PositiveNumber | None = None


class StorageConfigManagedSupabaseSchema(BaseModel):
    """Storage that the platform manages."""

    managed_by: Literal["platform"]
    schema_present: bool = True


class ProviderKeySchema(BaseModel):
    """A model provider that needs only a key."""

    api_key: NotBlank


class DashScopeConfigSchema(ProviderKeySchema):
    """DashScope, which has more than one address."""

    api_base: str | None = None


class AzureOpenAIConfigSchema(BaseModel):
    """OpenAI's models at Azure."""

    api_key: NotBlank
    endpoint: HttpUrl
    api_version: str = "2024-02-15-preview"
    deployment_name: str | None = None


class OpenAIConfigSchema(BaseModel):
    """OpenAI, or OpenAI's models at Azure."""

    api_key: str | None = None
    azure_config: AzureOpenAIConfigSchema | None = None

    @model_validator(mode="after")
    def _has_credentials(self) -> Self:
        if not (self.api_key or "").strip() and not self.azure_config:
            message = "At least one of 'api_key' or 'azure_config' must be provided"
            raise ValueError(message)
        return self


class CustomEndpointConfigSchema(BaseModel):
    """A server with OpenAI's API."""

    model: NotBlank
    api_key: NotBlank
    api_base: HttpUrl


class APIKeyConfigSchema(BaseModel):
    """Keys of model providers."""

    custom_endpoint: CustomEndpointConfigSchema | None = None
    openai: OpenAIConfigSchema | None = None
    anthropic: ProviderKeySchema | None = None
    openrouter: ProviderKeySchema | None = None
    gemini: ProviderKeySchema | None = None
    minimax: ProviderKeySchema | None = None
    deepseek: ProviderKeySchema | None = None
    dashscope: DashScopeConfigSchema | None = None
    zai: ProviderKeySchema | None = None
    moonshot: ProviderKeySchema | None = None
    xai: ProviderKeySchema | None = None
