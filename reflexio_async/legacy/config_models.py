"""January's configuration: lists of extractors, of definitions of feedback and of evaluators."""

from reflexio_async.reflexio.models.config import ToolUseConfig
from reflexio_async.reflexio.models.config_storage import APIKeyConfig, ConfigPart, StorageConfig


class ProfileExtractorConfig(ConfigPart):
    """How one extractor makes profiles. Without ``request_sources_enabled`` it reads every source."""

    extractor_name: str
    profile_content_definition_prompt: str
    context_prompt: str | None = None
    extraction_window_size_override: int | None = None
    extraction_window_stride_override: int | None = None
    manual_trigger: bool = False
    metadata_definition_prompt: str | None = None
    request_sources_enabled: list[str] | None = None
    should_extract_profile_prompt_override: str | None = None


class FeedbackAggregatorConfig(ConfigPart):
    """When raw feedbacks are aggregated."""

    min_feedback_threshold: int = 2
    refresh_count: int = 2


class AgentFeedbackConfig(ConfigPart):
    """How one kind of feedback is made."""

    feedback_name: str
    feedback_definition_prompt: str
    extraction_window_size_override: int | None = None
    extraction_window_stride_override: int | None = None
    feedback_aggregator_config: FeedbackAggregatorConfig | None = None
    metadata_definition_prompt: str | None = None
    request_sources_enabled: list[str] | None = None


class AgentSuccessConfig(ConfigPart):
    """How one evaluator judges the agent. ``sampling_rate`` is the share of interactions that it judges."""

    evaluation_name: str
    success_definition_prompt: str
    action_space: list[str] | None = None
    extraction_window_size_override: int | None = None
    extraction_window_stride_override: int | None = None
    metadata_definition_prompt: str | None = None
    sampling_rate: float = 1.0
    tool_can_use: list[ToolUseConfig] | None = None


class LLMConfig(ConfigPart):
    """The models of each task."""

    embedding_model_name: str | None = None
    generation_model_name: str | None = None
    should_run_model_name: str | None = None


class Config(ConfigPart):
    """The configuration of an organisation. Assigned values are checked; a part may be a mapping."""

    storage_config: StorageConfig | None = None
    agent_context_prompt: str | None = None
    agent_feedback_configs: list[AgentFeedbackConfig] | None = None
    agent_success_configs: list[AgentSuccessConfig] | None = None
    api_key_config: APIKeyConfig | None = None
    extraction_window_size: int | None = None
    extraction_window_stride: int | None = None
    llm_config: LLMConfig | None = None
    profile_extractor_configs: list[ProfileExtractorConfig] | None = None
    storage_config_test: int | None = 0
