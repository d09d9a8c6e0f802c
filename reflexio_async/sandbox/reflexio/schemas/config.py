"""Schema of the configuration."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, Field, RootModel, model_validator

from reflexio_async.sandbox.reflexio.schemas import common
from reflexio_async.sandbox.reflexio.schemas.config_old_names import (
    AGGREGATION,
    CONFIG,
    PLAYBOOKS,
    PROFILES,
    WINDOWS,
    OldNamesSchema,
)
from reflexio_async.sandbox.reflexio.schemas.config_storage import (
    APIKeyConfigSchema,
    StorageConfigManagedSupabaseSchema,
    StorageConfigPostgresSchema,
    StorageConfigSQLiteSchema,
    StorageConfigSupabaseSchema,
    StorageConfigTestSchema,
)
from reflexio_async.sandbox.reflexio.schemas.experiments import ExperimentId, Percentage

LearningKind = Literal["profile", "playbook"]
"""What is learnt from a publish."""

LEARNING_KINDS: Final[tuple[LearningKind, ...]] = ("profile", "playbook")

_PROFILE_PROMPT = (
    "Extract key user information including name, role, preferences, and any other relevant profile details "
    "from the conversation."
)
_PLAYBOOK_PROMPT = (
    "Extract playbook rules about agent performance, including areas where the agent was helpful, areas for "
    "improvement, and any issues encountered during the interaction."
)
_SUCCESS_PROMPT = "Evaluate whether the AI agent successfully handled the user's session."


class LLMConfigSchema(BaseModel):
    """Names of the language models."""

    should_run_model_name: str | None = None
    generation_model_name: str | None = None
    embedding_model_name: str | None = None
    pre_retrieval_model_name: str | None = None
    generation_timeout_seconds: common.PositiveInt | None = None


class ToolUseConfigSchema(BaseModel):
    """A tool of the agent."""

    tool_name: common.NotBlank
    tool_description: common.NotBlank


class ProfileExtractorConfigSchema(OldNamesSchema):
    """How profiles are learnt."""

    old_names: ClassVar = PROFILES
    extractor_name: str | None = None
    extraction_definition_prompt: common.NotBlank
    context_prompt: str | None = None
    tagging_definition_prompt: str | None = None
    should_extract_profile_prompt_override: str | None = None
    request_sources_enabled: list[str] | None = None
    manual_trigger: bool = False
    window_size_override: common.PositiveInt | None = None
    stride_size_override: common.PositiveInt | None = None


class PlaybookAggregatorConfigSchema(OldNamesSchema):
    """How user playbooks become agent playbooks."""

    old_names: ClassVar = AGGREGATION
    min_cluster_size: Annotated[int, Field(ge=1)] = 2
    reaggregation_trigger_count: Annotated[int, Field(ge=1)] = 2
    clustering_similarity: common.Fraction | None = None
    direction_overlap_threshold: common.Fraction = 0.6


class DeduplicationConfigSchema(BaseModel):
    """How similar playbooks are merged."""

    search_threshold: common.Fraction = 0.4
    search_top_k: Annotated[int, Field(ge=1)] = 5
    max_unified_content_chars: common.PositiveInt = 1200
    strategy: Literal["legacy", "audited"] = "legacy"


class UserPlaybookExtractorConfigSchema(OldNamesSchema):
    """How user playbooks are learnt."""

    old_names: ClassVar = PLAYBOOKS
    extractor_name: str | None = None
    extraction_definition_prompt: common.NotBlank
    context_prompt: str | None = None
    tagging_definition_prompt: str | None = None
    aggregation_config: PlaybookAggregatorConfigSchema = PlaybookAggregatorConfigSchema()
    deduplication_config: DeduplicationConfigSchema | None = None
    request_sources_enabled: list[str] | None = None
    window_size_override: common.PositiveInt | None = None
    stride_size_override: common.PositiveInt | None = None


class AgentSuccessConfigSchema(OldNamesSchema):
    """How sessions are graded."""

    old_names: ClassVar = WINDOWS
    evaluation_name: str | None = None
    success_definition_prompt: common.NotBlank
    tagging_definition_prompt: str | None = None
    request_sources_enabled: list[str] | None = None
    sampling_rate: common.Fraction = 0.05
    evaluation_only_sampling_rate: common.Fraction | None = None
    retrieved_learning_sampling_rate: common.Fraction | None = None
    window_size_override: common.PositiveInt | None = None
    stride_size_override: common.PositiveInt | None = None


class RetrievalFloorConfigSchema(BaseModel):
    """How similar to the query a result must be."""

    enabled: bool = False
    pool_size: common.PositiveInt = 30
    profile_floor: float | None = None
    user_playbook_floor: float | None = None
    agent_playbook_floor: float | None = None


class PlaybookOptimizerConfigSchema(BaseModel):
    """How playbooks are optimised."""

    enabled: bool = False
    optimize_agent_playbooks: bool = False
    optimize_user_playbooks: bool = False
    auto_update_pending_agent_playbooks: bool = True
    auto_update_user_playbooks: bool = False
    max_metric_calls: common.PositiveInt = 20
    max_turns: common.PositiveInt = 4
    early_stop_score: common.Fraction = 0.9
    reflection_minibatch_size: common.PositiveInt = 2
    max_validation_windows: common.PositiveInt = 2
    min_commit_windows: common.PositiveInt = 2
    min_commit_score: common.Fraction = 0.75
    min_commit_likert: Annotated[int, Field(ge=1, le=5)] = 4
    use_merge: bool = True
    max_merge_invocations: common.NonNegativeInt = 5
    reflection_model: str | None = None
    webhook_url: str | None = None
    webhook_auth_header: str | None = None
    webhook_timeout_seconds: common.PositiveInt = 60
    webhook_max_retries: common.NonNegativeInt = 3
    webhook_backoff_base_seconds: common.NonNegativeNumber = 1.0
    assistant_script_path: str | None = None
    assistant_script_args: list[str] = []
    scheduler_jitter_seconds: common.NonNegativeNumber = 1.0
    cooldown_after_aborts_seconds: common.NonNegativeInt = 3600
    abort_cooldown_threshold: Annotated[int, Field(ge=1)] = 2


class LineageGCConfigSchema(BaseModel):
    """How long superseded rows are kept."""

    enabled: bool = True
    tombstone_grace_window_days: common.PositiveInt = 90
    poll_interval_seconds: common.PositiveInt = 86400


class ExpiryReclamationConfigSchema(BaseModel):
    """Whether expired rows are deleted."""

    enabled: bool = False


class GovernanceRetentionConfigSchema(BaseModel):
    """How long audit events are kept."""

    audit_events_retention_enabled: bool = False
    audit_events_retention_days: common.PositiveInt = 365
    audit_events_delete_batch_limit: common.PositiveInt = 500


class PendingToolCallToolOverrideConfigSchema(BaseModel):
    """Settings for the pending tool calls of one tool."""

    max_pending_followups_per_scope: common.PositiveInt | None = None
    pending_ttl_seconds: common.PositiveInt | None = None
    dedup_cache_seconds: common.PositiveInt | None = None
    prior_answer_valid_seconds: common.PositiveInt | None = None
    similarity_threshold: common.Fraction | None = None


class PendingToolCallConfigSchema(BaseModel):
    """Settings for pending tool calls."""

    enabled: bool = False
    max_pending_followups_per_scope: common.PositiveInt = 10
    pending_ttl_seconds: common.PositiveInt = 86400
    dedup_cache_seconds: common.PositiveInt = 300
    prior_answer_valid_seconds: common.PositiveInt = 2_592_000
    similarity_threshold: common.Fraction = 0.0
    resume_poll_interval_seconds: common.PositiveNumber = 5.0
    resume_claim_ttl_seconds: common.PositiveInt = 600
    max_resume_attempts: common.NonNegativeInt = 3
    max_finalization_attempts: common.NonNegativeInt = 3
    hmac_secrets: list[str] = []
    tool_overrides: dict[str, PendingToolCallToolOverrideConfigSchema] = {}


class RetrievalExperimentConfigSchema(BaseModel, extra="forbid"):
    """The running experiment."""

    experiment_id: ExperimentId
    holdout_percentage: Percentage


class RetrievalExperimentRecordSchema(RetrievalExperimentConfigSchema):
    """An experiment, running or stopped."""

    started_at: common.NonNegativeInt
    ended_at: common.NonNegativeInt | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.ended_at is not None and self.ended_at < self.started_at:
            message = "ended_at must be greater than or equal to started_at"
            raise ValueError(message)
        return self


class ExtractionPresetSchema(Enum):
    """Presets of the learning windows."""

    QUICK_CHAT = "quick_chat"
    STANDARD = "standard"
    LONG_FORM = "long_form"
    HIGH_VOLUME = "high_volume"


_WINDOWS = {
    ExtractionPresetSchema.QUICK_CHAT: (5, 3),
    ExtractionPresetSchema.STANDARD: (10, 8),
    ExtractionPresetSchema.LONG_FORM: (25, 10),
    ExtractionPresetSchema.HIGH_VOLUME: (15, 8),
}


class ConfigSchema(OldNamesSchema, extra="forbid"):
    """The whole configuration. Only the storage is required."""

    old_names: ClassVar = CONFIG
    storage_config: (
        StorageConfigSQLiteSchema
        | StorageConfigSupabaseSchema
        | StorageConfigPostgresSchema
        | StorageConfigManagedSupabaseSchema
        | None
    )
    storage_config_test: StorageConfigTestSchema | None = StorageConfigTestSchema.UNKNOWN
    agent_context_prompt: str | None = None
    tool_can_use: list[ToolUseConfigSchema] | None = None
    profile_extractor_config: ProfileExtractorConfigSchema | None = ProfileExtractorConfigSchema(
        extraction_definition_prompt=_PROFILE_PROMPT
    )
    user_playbook_extractor_config: UserPlaybookExtractorConfigSchema | None = (
        UserPlaybookExtractorConfigSchema(extraction_definition_prompt=_PLAYBOOK_PROMPT)
    )
    agent_success_config: AgentSuccessConfigSchema | None = AgentSuccessConfigSchema(
        evaluation_name="agent_success", success_definition_prompt=_SUCCESS_PROMPT
    )
    extraction_preset: ExtractionPresetSchema | None = None
    window_size: common.PositiveInt = 10
    stride_size: common.PositiveInt = 8
    extraction_idle_timeout_seconds: common.NonNegativeInt = 21600
    api_key_config: APIKeyConfigSchema | None = None
    llm_config: LLMConfigSchema | None = None
    retrieval_experiment_config: RetrievalExperimentConfigSchema | None = None
    retrieval_experiment_history: list[RetrievalExperimentRecordSchema] = Field(
        default_factory=list["RetrievalExperimentRecordSchema"]
    )
    retrieval_floor: RetrievalFloorConfigSchema = RetrievalFloorConfigSchema()
    playbook_optimizer_config: PlaybookOptimizerConfigSchema = PlaybookOptimizerConfigSchema()
    lineage_gc: LineageGCConfigSchema = LineageGCConfigSchema()
    expiry_reclamation: ExpiryReclamationConfigSchema = ExpiryReclamationConfigSchema()
    governance_retention: GovernanceRetentionConfigSchema = GovernanceRetentionConfigSchema()
    pending_tool_call_config: PendingToolCallConfigSchema = PendingToolCallConfigSchema()
    skip_should_run_check: bool = False
    enable_document_expansion: bool = False
    shadow_mode_enabled: bool = False
    eval_sample_n_per_stratum: common.PositiveInt = 200
    eval_concurrency_limit: common.PositiveInt = 10
    shadow_comparison_judge_prompt_version: str = "v1.1.0"

    @model_validator(mode="after")
    def _windows(self) -> Self:
        if self.extraction_preset is not None:
            window, stride = _WINDOWS[self.extraction_preset]
            if "window_size" not in self.model_fields_set:
                self.window_size = window
            if "stride_size" not in self.model_fields_set:
                self.stride_size = stride
        if self.stride_size > self.window_size:
            message = "stride_size must be <= window_size"
            raise ValueError(message)
        return self

    def window(self, kind: LearningKind) -> tuple[int, int]:
        """The size of a window of this kind and its stride, in interactions."""
        extractor = self._extractor(kind)
        if extractor is None:
            return self.window_size, self.stride_size
        size, stride = extractor.window_size_override, extractor.stride_size_override
        return size or self.window_size, stride or self.stride_size

    def windows(self, source: str) -> dict[LearningKind, tuple[int, int]]:
        """Size and stride for every kind that is learnt from this source."""
        return {kind: self.window(kind) for kind in LEARNING_KINDS if self._learns(kind, source)}

    def _learns(self, kind: LearningKind, source: str) -> bool:
        extractor = self._extractor(kind)
        if extractor is None or getattr(extractor, "manual_trigger", False):
            return False
        return not extractor.request_sources_enabled or source in extractor.request_sources_enabled

    def _extractor(
        self, kind: LearningKind
    ) -> ProfileExtractorConfigSchema | UserPlaybookExtractorConfigSchema | None:
        return self.profile_extractor_config if kind == "profile" else self.user_playbook_extractor_config

    def view(self) -> dict[str, Any]:
        """As the server returns it, with nulls."""
        return self.model_dump(mode="json")


class AnyObjectSchema(RootModel[dict[str, Any]]):
    """Any JSON object. The handler validates it further."""


class AdminInvalidateCacheRequestSchema(BaseModel):
    """Empty the cache of an organisation."""

    org_id: str | None = None
