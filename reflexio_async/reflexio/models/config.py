"""The configuration of an organisation."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from reflexio_async._engine.models import (
    EMPTY_DICT,
    EMPTY_LIST,
    AtLeastOne,
    Fraction,
    Secret,
    ZeroOrMore,
)
from reflexio_async.reflexio.models.config_storage import APIKeyConfig, ConfigPart, StorageConfig
from reflexio_async.reflexio.models.enums import ExtractionPreset
from reflexio_async.reflexio.models.experiments import RetrievalExperimentRecord
from reflexio_async.reflexio.responses import MsgResponse


class AgentSuccessConfig(ConfigPart):
    """How the success of sessions is judged."""

    success_definition_prompt: str
    evaluation_name: str | None = None
    evaluation_only_sampling_rate: Fraction | None = None
    request_sources_enabled: list[str] | None = None
    retrieved_learning_sampling_rate: Fraction | None = None
    sampling_rate: Fraction = 0.05
    stride_size_override: AtLeastOne | None = None
    tagging_definition_prompt: str | None = None
    window_size_override: AtLeastOne | None = None


class ExpiryReclamationConfig(ConfigPart):
    """Whether expired rows are removed."""

    enabled: bool = False


class GovernanceRetentionConfig(ConfigPart):
    """How long audit events are kept."""

    audit_events_delete_batch_limit: AtLeastOne = 500
    audit_events_retention_days: AtLeastOne = 365
    audit_events_retention_enabled: bool = False


class LineageGCConfig(ConfigPart):
    """How long the records of removed rows are stored."""

    enabled: bool = True
    poll_interval_seconds: AtLeastOne = 86400
    tombstone_grace_window_days: AtLeastOne = 90


class LLMConfig(ConfigPart):
    """The models of each task."""

    embedding_model_name: str | None = None
    generation_model_name: str | None = None
    generation_timeout_seconds: AtLeastOne | None = None
    pre_retrieval_model_name: str | None = None
    should_run_model_name: str | None = None


class PendingToolCallToolOverrideConfig(ConfigPart):
    """Settings of pending tool calls for one tool."""

    dedup_cache_seconds: AtLeastOne | None = None
    max_pending_followups_per_scope: AtLeastOne | None = None
    pending_ttl_seconds: AtLeastOne | None = None
    prior_answer_valid_seconds: AtLeastOne | None = None
    similarity_threshold: Fraction | None = None


class PendingToolCallConfig(ConfigPart):
    """Questions of the agent that wait for an answer."""

    dedup_cache_seconds: AtLeastOne = 300
    enabled: bool = False
    hmac_secrets: list[Secret] = EMPTY_LIST
    max_finalization_attempts: ZeroOrMore = 3
    max_pending_followups_per_scope: AtLeastOne = 10
    max_resume_attempts: ZeroOrMore = 3
    pending_ttl_seconds: AtLeastOne = 86400
    prior_answer_valid_seconds: AtLeastOne = 2592000
    resume_claim_ttl_seconds: AtLeastOne = 600
    resume_poll_interval_seconds: Annotated[float, Field(gt=0)] = 5.0
    similarity_threshold: Fraction = 0.0
    tool_overrides: dict[str, PendingToolCallToolOverrideConfig] = EMPTY_DICT


class PlaybookOptimizerConfig(ConfigPart):
    """How playbooks are optimized."""

    abort_cooldown_threshold: Annotated[int, Field(ge=1)] = 2
    assistant_script_args: list[str] = EMPTY_LIST
    assistant_script_path: str | None = None
    auto_update_pending_agent_playbooks: bool = True
    auto_update_user_playbooks: bool = False
    cooldown_after_aborts_seconds: ZeroOrMore = 3600
    early_stop_score: Fraction = 0.9
    enabled: bool = False
    max_merge_invocations: ZeroOrMore = 5
    max_metric_calls: AtLeastOne = 20
    max_turns: AtLeastOne = 4
    max_validation_windows: AtLeastOne = 2
    min_commit_likert: Annotated[int, Field(le=5, ge=1)] = 4
    min_commit_score: Fraction = 0.75
    min_commit_windows: AtLeastOne = 2
    optimize_agent_playbooks: bool = False
    optimize_user_playbooks: bool = False
    reflection_minibatch_size: AtLeastOne = 2
    reflection_model: str | None = None
    scheduler_jitter_seconds: Annotated[float, Field(ge=0.0)] = 1.0
    use_merge: bool = True
    webhook_auth_header: Secret | None = None
    webhook_backoff_base_seconds: Annotated[float, Field(ge=0.0)] = 1.0
    webhook_max_retries: ZeroOrMore = 3
    webhook_timeout_seconds: AtLeastOne = 60
    webhook_url: str | None = None


class ProfileExtractorConfig(ConfigPart):
    """How profiles are extracted."""

    extraction_definition_prompt: str
    context_prompt: str | None = None
    extractor_name: str | None = None
    manual_trigger: bool = False
    request_sources_enabled: list[str] | None = None
    should_extract_profile_prompt_override: str | None = None
    stride_size_override: AtLeastOne | None = None
    tagging_definition_prompt: str | None = None
    window_size_override: AtLeastOne | None = None


class RetrievalExperimentConfig(ConfigPart):
    """The retrieval experiment that is running."""

    experiment_id: Annotated[str, Field(max_length=128)]
    holdout_percentage: Annotated[float, Field(lt=100, gt=0)]


class RetrievalFloorConfig(ConfigPart):
    """The least score of what is retrieved."""

    agent_playbook_floor: float | None = None
    enabled: bool = False
    pool_size: AtLeastOne = 30
    profile_floor: float | None = None
    user_playbook_floor: float | None = None


class ToolUseConfig(ConfigPart):
    """A tool that the agent can use."""

    tool_name: str
    tool_description: str


class PlaybookAggregatorConfig(ConfigPart):
    """How user playbooks are aggregated."""

    clustering_similarity: Fraction | None = None
    direction_overlap_threshold: Fraction = 0.6
    min_cluster_size: Annotated[int, Field(ge=1)] = 2
    reaggregation_trigger_count: Annotated[int, Field(ge=1)] = 2


class DeduplicationConfig(ConfigPart):
    """How duplicate lessons are found."""

    max_unified_content_chars: AtLeastOne = 1200
    search_threshold: Fraction = 0.4
    search_top_k: Annotated[int, Field(ge=1)] = 5
    strategy: str = "legacy"


class UserPlaybookExtractorConfig(ConfigPart):
    """How playbooks are extracted."""

    extraction_definition_prompt: str
    aggregation_config: PlaybookAggregatorConfig = Field(default_factory=PlaybookAggregatorConfig)
    context_prompt: str | None = None
    deduplication_config: DeduplicationConfig | None = None
    extractor_name: str | None = None
    request_sources_enabled: list[str] | None = None
    stride_size_override: AtLeastOne | None = None
    tagging_definition_prompt: str | None = None
    window_size_override: AtLeastOne | None = None


class Config(ConfigPart):
    """The configuration of an organisation. Assigned values are checked; a part may be a mapping."""

    storage_config: StorageConfig | None = None
    agent_context_prompt: str | None = None
    agent_success_config: AgentSuccessConfig | None = None
    api_key_config: APIKeyConfig | None = None
    enable_document_expansion: bool = False
    eval_concurrency_limit: AtLeastOne = 10
    eval_sample_n_per_stratum: AtLeastOne = 200
    expiry_reclamation: ExpiryReclamationConfig = Field(default_factory=ExpiryReclamationConfig)
    extraction_idle_timeout_seconds: ZeroOrMore = 21600
    extraction_preset: ExtractionPreset | str | None = Field(default=None, union_mode="left_to_right")
    governance_retention: GovernanceRetentionConfig = Field(default_factory=GovernanceRetentionConfig)
    lineage_gc: LineageGCConfig = Field(default_factory=LineageGCConfig)
    llm_config: LLMConfig | None = None
    pending_tool_call_config: PendingToolCallConfig = Field(default_factory=PendingToolCallConfig)
    playbook_optimizer_config: PlaybookOptimizerConfig = Field(default_factory=PlaybookOptimizerConfig)
    profile_extractor_config: ProfileExtractorConfig | None = None
    retrieval_experiment_config: RetrievalExperimentConfig | None = None
    retrieval_experiment_history: list[RetrievalExperimentRecord] = EMPTY_LIST
    retrieval_floor: RetrievalFloorConfig = Field(default_factory=RetrievalFloorConfig)
    shadow_comparison_judge_prompt_version: str = "v1.1.0"
    shadow_mode_enabled: bool = False
    skip_should_run_check: bool = False
    storage_config_test: int | None = 0
    stride_size: AtLeastOne = 8
    tool_can_use: list[ToolUseConfig] | None = None
    user_playbook_extractor_config: UserPlaybookExtractorConfig | None = None
    window_size: AtLeastOne = 10


class SetConfigResponse(MsgResponse):
    """Whether the configuration was set."""


class ConfigBody(BaseModel):
    """A configuration as it is sent, with secrets in clear. Its keys are extra fields."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    def __repr_args__(self) -> Any:
        """Show nothing: it may hold secrets."""
        return ()
