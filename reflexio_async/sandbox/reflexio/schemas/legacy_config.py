"""The configuration of January 2026: lists of extractors, of feedback and of evaluators."""

from __future__ import annotations

from pydantic import BaseModel

from reflexio_async.sandbox.reflexio.schemas.config_storage import StorageConfigTestSchema


class LegacyStorageConfigLocalSchema(BaseModel):
    """A folder of files."""

    dir_path: str


class LegacyStorageConfigSupabaseSchema(BaseModel):
    """A Supabase project."""

    url: str
    key: str
    db_url: str


class LegacyAzureOpenAIConfigSchema(BaseModel):
    """OpenAI's models at Azure."""

    api_key: str
    endpoint: str
    api_version: str = "2024-02-15-preview"
    deployment_name: str | None = None


class LegacyOpenAIConfigSchema(BaseModel):
    """OpenAI, or OpenAI's models at Azure."""

    api_key: str | None = None
    azure_config: LegacyAzureOpenAIConfigSchema | None = None


class LegacyAnthropicConfigSchema(BaseModel):
    """Anthropic."""

    api_key: str


class LegacyAPIKeyConfigSchema(BaseModel):
    """Keys of model providers."""

    openai: LegacyOpenAIConfigSchema | None = None
    anthropic: LegacyAnthropicConfigSchema | None = None


class LegacyProfileExtractorConfigSchema(BaseModel):
    """How one extractor makes profiles."""

    extractor_name: str
    profile_content_definition_prompt: str
    context_prompt: str | None = None
    metadata_definition_prompt: str | None = None
    should_extract_profile_prompt_override: str | None = None
    request_sources_enabled: list[str] | None = None
    manual_trigger: bool = False
    extraction_window_size_override: int | None = None
    extraction_window_stride_override: int | None = None


class LegacyFeedbackAggregatorConfigSchema(BaseModel):
    """When raw feedback is aggregated."""

    min_feedback_threshold: int = 2
    refresh_count: int = 2


class LegacyAgentFeedbackConfigSchema(BaseModel):
    """How one kind of feedback is made."""

    feedback_name: str
    feedback_definition_prompt: str
    metadata_definition_prompt: str | None = None
    feedback_aggregator_config: LegacyFeedbackAggregatorConfigSchema | None = None
    request_sources_enabled: list[str] | None = None
    extraction_window_size_override: int | None = None
    extraction_window_stride_override: int | None = None


class LegacyToolUseConfigSchema(BaseModel):
    """A tool of the agent."""

    tool_name: str
    tool_description: str


class LegacyAgentSuccessConfigSchema(BaseModel):
    """One evaluator."""

    evaluation_name: str
    success_definition_prompt: str
    tool_can_use: list[LegacyToolUseConfigSchema] | None = None
    action_space: list[str] | None = None
    metadata_definition_prompt: str | None = None
    sampling_rate: float = 1.0
    extraction_window_size_override: int | None = None
    extraction_window_stride_override: int | None = None


class LegacyLLMConfigSchema(BaseModel):
    """Models of each task."""

    should_run_model_name: str | None = None
    generation_model_name: str | None = None
    embedding_model_name: str | None = None


class LegacyConfigSchema(BaseModel):
    """The whole configuration. Only the storage is required."""

    storage_config: LegacyStorageConfigLocalSchema | LegacyStorageConfigSupabaseSchema | None
    storage_config_test: StorageConfigTestSchema | None = StorageConfigTestSchema.UNKNOWN
    agent_context_prompt: str | None = None
    profile_extractor_configs: list[LegacyProfileExtractorConfigSchema] | None = None
    agent_feedback_configs: list[LegacyAgentFeedbackConfigSchema] | None = None
    agent_success_configs: list[LegacyAgentSuccessConfigSchema] | None = None
    extraction_window_size: int | None = None
    extraction_window_stride: int | None = None
    api_key_config: LegacyAPIKeyConfigSchema | None = None
    llm_config: LegacyLLMConfigSchema | None = None
