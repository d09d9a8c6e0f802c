"""The configuration, as the server keeps it."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator

from reflexio_async.sandbox.reflexio.kinds import KINDS, Kind
from reflexio_async.sandbox.reflexio.schemas.common import NotBlank, Positive, Share
from reflexio_async.sandbox.reflexio.schemas.renamed import (
    AGGREGATION,
    CONFIG,
    PLAYBOOKS,
    PROFILES,
    WINDOWS,
    Renamed,
)

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0.0)]
Above0 = Annotated[float, Field(gt=0)]

_USERS = (
    "Extract key user information including name, role, preferences, and any other relevant profile details "
    "from the conversation."
)
_PLAYBOOKS = (
    "Extract playbook rules about agent performance, including areas where the agent was helpful, areas for "
    "improvement, and any issues encountered during the interaction."
)
_SUCCESS = "Evaluate whether the AI agent successfully handled the user's session."


class Tested(IntEnum):
    """Whether storage was tried out."""

    UNKNOWN = 0
    INCOMPLETE = 1
    FAILED = 2
    SUCCEEDED = 3


class Sqlite(BaseModel, extra="forbid"):
    """A file; the type is accepted and not shown."""

    type: Annotated[Literal["sqlite"], Field(exclude=True)] = "sqlite"
    db_path: str | None = None


class Supabase(BaseModel):
    """A Supabase project."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, serialize_by_alias=True)

    type: Annotated[Literal["supabase"], Field(exclude=True)] = "supabase"
    url: NotBlank
    key: NotBlank
    db_url: NotBlank
    schema_name: Annotated[str | None, Field(alias="schema")] = None
    read_url: NotBlank | None = None
    read_key: NotBlank | None = None


class Postgres(BaseModel):
    """A PostgreSQL database."""

    model_config = ConfigDict(extra="forbid", validate_by_name=True, serialize_by_alias=True)

    type: Literal["postgres"] = "postgres"
    db_url: NotBlank
    schema_name: Annotated[str | None, Field(alias="schema")] = None
    pool_size: Annotated[int, Field(ge=1)] = 10
    pool_acquire_timeout: Above0 = 30.0
    read_db_url: NotBlank | None = None
    read_pool_size: Annotated[int, Field(ge=1)] | None = None
    read_pool_acquire_timeout: Above0 | None = None


class Managed(BaseModel):
    """Storage that somebody else looks after."""

    managed_by: Literal["platform"]
    schema_present: bool = True


class Keyed(BaseModel):
    """A provider that needs a key and nothing else."""

    api_key: NotBlank


class DashScope(Keyed):
    """A provider with two addresses."""

    api_base: str | None = None


class Azure(BaseModel):
    """OpenAI's models at Microsoft."""

    api_key: NotBlank
    endpoint: HttpUrl
    api_version: str = "2024-02-15-preview"
    deployment_name: str | None = None


class OpenAI(BaseModel):
    """OpenAI itself, or at Microsoft."""

    api_key: str | None = None
    azure_config: Azure | None = None

    @model_validator(mode="after")
    def _some_way_in(self) -> Self:
        if not (self.api_key or "").strip() and not self.azure_config:
            message = "At least one of 'api_key' or 'azure_config' must be provided"
            raise ValueError(message)
        return self


class CustomEndpoint(BaseModel):
    """Anything that speaks OpenAI's API."""

    model: NotBlank
    api_key: NotBlank
    api_base: HttpUrl


class ApiKeys(BaseModel):
    """Keys of model providers."""

    custom_endpoint: CustomEndpoint | None = None
    openai: OpenAI | None = None
    anthropic: Keyed | None = None
    openrouter: Keyed | None = None
    gemini: Keyed | None = None
    minimax: Keyed | None = None
    deepseek: Keyed | None = None
    dashscope: DashScope | None = None
    zai: Keyed | None = None
    moonshot: Keyed | None = None
    xai: Keyed | None = None


class Models(BaseModel):
    """Which models to use."""

    should_run_model_name: str | None = None
    generation_model_name: str | None = None
    embedding_model_name: str | None = None
    pre_retrieval_model_name: str | None = None
    generation_timeout_seconds: Positive | None = None


class Tool(BaseModel):
    """What the agent can do."""

    tool_name: NotBlank
    tool_description: NotBlank


class ProfileExtractor(Renamed):
    """What to learn about users."""

    renamed: ClassVar = PROFILES
    extractor_name: str | None = None
    extraction_definition_prompt: NotBlank
    context_prompt: str | None = None
    tagging_definition_prompt: str | None = None
    should_extract_profile_prompt_override: str | None = None
    request_sources_enabled: list[str] | None = None
    manual_trigger: bool = False
    window_size_override: Positive | None = None
    stride_size_override: Positive | None = None


class Aggregation(Renamed):
    """How lessons become an agent's."""

    renamed: ClassVar = AGGREGATION
    min_cluster_size: Annotated[int, Field(ge=1)] = 2
    reaggregation_trigger_count: Annotated[int, Field(ge=1)] = 2
    clustering_similarity: Share | None = None
    direction_overlap_threshold: Share = 0.6


class Deduplication(BaseModel):
    """How likeness is judged."""

    search_threshold: Share = 0.4
    search_top_k: Annotated[int, Field(ge=1)] = 5
    max_unified_content_chars: Positive = 1200
    strategy: Literal["legacy", "audited"] = "legacy"


class PlaybookExtractor(Renamed):
    """What to learn about the agent."""

    renamed: ClassVar = PLAYBOOKS
    extractor_name: str | None = None
    extraction_definition_prompt: NotBlank
    context_prompt: str | None = None
    tagging_definition_prompt: str | None = None
    aggregation_config: Aggregation = Aggregation()
    deduplication_config: Deduplication | None = None
    request_sources_enabled: list[str] | None = None
    window_size_override: Positive | None = None
    stride_size_override: Positive | None = None


class Success(Renamed):
    """What counts as success."""

    renamed: ClassVar = WINDOWS
    evaluation_name: str | None = None
    success_definition_prompt: NotBlank
    tagging_definition_prompt: str | None = None
    request_sources_enabled: list[str] | None = None
    sampling_rate: Share = 0.05
    evaluation_only_sampling_rate: Share | None = None
    retrieved_learning_sampling_rate: Share | None = None
    window_size_override: Positive | None = None
    stride_size_override: Positive | None = None


class Floor(BaseModel):
    """How like a query a learning must be."""

    enabled: bool = False
    pool_size: Positive = 30
    profile_floor: float | None = None
    user_playbook_floor: float | None = None
    agent_playbook_floor: float | None = None


class Optimizer(BaseModel):
    """How playbooks are tuned."""

    enabled: bool = False
    optimize_agent_playbooks: bool = False
    optimize_user_playbooks: bool = False
    auto_update_pending_agent_playbooks: bool = True
    auto_update_user_playbooks: bool = False
    max_metric_calls: Positive = 20
    max_turns: Positive = 4
    early_stop_score: Share = 0.9
    reflection_minibatch_size: Positive = 2
    max_validation_windows: Positive = 2
    min_commit_windows: Positive = 2
    min_commit_score: Share = 0.75
    min_commit_likert: Annotated[int, Field(ge=1, le=5)] = 4
    use_merge: bool = True
    max_merge_invocations: Count = 5
    reflection_model: str | None = None
    webhook_url: str | None = None
    webhook_auth_header: str | None = None
    webhook_timeout_seconds: Positive = 60
    webhook_max_retries: Count = 3
    webhook_backoff_base_seconds: Seconds = 1.0
    assistant_script_path: str | None = None
    assistant_script_args: list[str] = []
    scheduler_jitter_seconds: Seconds = 1.0
    cooldown_after_aborts_seconds: Count = 3600
    abort_cooldown_threshold: Annotated[int, Field(ge=1)] = 2


class LineageGC(BaseModel):
    """How long tombstones stay."""

    enabled: bool = True
    tombstone_grace_window_days: Positive = 90
    poll_interval_seconds: Positive = 86400


class Reclamation(BaseModel):
    """Whether expired rows go."""

    enabled: bool = False


class Governance(BaseModel):
    """How long audits stay."""

    audit_events_retention_enabled: bool = False
    audit_events_retention_days: Positive = 365
    audit_events_delete_batch_limit: Positive = 500


class CallOverride(BaseModel):
    """Pending tool calls of one tool."""

    max_pending_followups_per_scope: Positive | None = None
    pending_ttl_seconds: Positive | None = None
    dedup_cache_seconds: Positive | None = None
    prior_answer_valid_seconds: Positive | None = None
    similarity_threshold: Share | None = None


class PendingCalls(BaseModel):
    """Pending tool calls."""

    enabled: bool = False
    max_pending_followups_per_scope: Positive = 10
    pending_ttl_seconds: Positive = 86400
    dedup_cache_seconds: Positive = 300
    prior_answer_valid_seconds: Positive = 2_592_000
    similarity_threshold: Share = 0.0
    resume_poll_interval_seconds: Above0 = 5.0
    resume_claim_ttl_seconds: Positive = 600
    max_resume_attempts: Count = 3
    max_finalization_attempts: Count = 3
    hmac_secrets: list[str] = []
    tool_overrides: dict[str, CallOverride] = {}


class Experiment(BaseModel, extra="forbid"):
    """The running experiment."""

    experiment_id: Annotated[NotBlank, Field(max_length=128)]
    holdout_percentage: Annotated[float, Field(gt=0, lt=100)]


class ExperimentRecord(Experiment):
    """An experiment, running or over."""

    started_at: Count
    ended_at: Count | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.ended_at is not None and self.ended_at < self.started_at:
            message = "ended_at must be greater than or equal to started_at"
            raise ValueError(message)
        return self


class Preset(Enum):
    """Windows that suit."""

    QUICK_CHAT = "quick_chat"
    STANDARD = "standard"
    LONG_FORM = "long_form"
    HIGH_VOLUME = "high_volume"


_WINDOWS = {
    Preset.QUICK_CHAT: (5, 3),
    Preset.STANDARD: (10, 8),
    Preset.LONG_FORM: (25, 10),
    Preset.HIGH_VOLUME: (15, 8),
}


class Config(Renamed, extra="forbid"):
    """Everything that can be set; only the storage must be given."""

    renamed: ClassVar = CONFIG
    storage_config: Sqlite | Supabase | Postgres | Managed | None
    storage_config_test: Tested | None = Tested.UNKNOWN
    agent_context_prompt: str | None = None
    tool_can_use: list[Tool] | None = None
    profile_extractor_config: ProfileExtractor | None = ProfileExtractor(extraction_definition_prompt=_USERS)
    user_playbook_extractor_config: PlaybookExtractor | None = PlaybookExtractor(
        extraction_definition_prompt=_PLAYBOOKS
    )
    agent_success_config: Success | None = Success(
        evaluation_name="agent_success", success_definition_prompt=_SUCCESS
    )
    extraction_preset: Preset | None = None
    window_size: Positive = 10
    stride_size: Positive = 8
    extraction_idle_timeout_seconds: Count = 21600
    api_key_config: ApiKeys | None = None
    llm_config: Models | None = None
    retrieval_experiment_config: Experiment | None = None
    retrieval_experiment_history: list[ExperimentRecord] = Field(default_factory=list["ExperimentRecord"])
    retrieval_floor: Floor = Floor()
    playbook_optimizer_config: Optimizer = Optimizer()
    lineage_gc: LineageGC = LineageGC()
    expiry_reclamation: Reclamation = Reclamation()
    governance_retention: Governance = Governance()
    pending_tool_call_config: PendingCalls = PendingCalls()
    skip_should_run_check: bool = False
    enable_document_expansion: bool = False
    shadow_mode_enabled: bool = False
    eval_sample_n_per_stratum: Positive = 200
    eval_concurrency_limit: Positive = 10
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

    def window(self, kind: Kind) -> tuple[int, int]:
        """How many turns a window of this kind has, and how many of them are new."""
        extractor = self._extractor(kind)
        if extractor is None:
            return self.window_size, self.stride_size
        size, stride = extractor.window_size_override, extractor.stride_size_override
        return size or self.window_size, stride or self.stride_size

    def windows(self, source: str) -> dict[Kind, tuple[int, int]]:
        """The window of every kind that is learnt from what comes from ``source``."""
        return {kind: self.window(kind) for kind in KINDS if self._learns(kind, source)}

    def _learns(self, kind: Kind, source: str) -> bool:
        extractor = self._extractor(kind)
        if extractor is None or getattr(extractor, "manual_trigger", False):
            return False
        return not extractor.request_sources_enabled or source in extractor.request_sources_enabled

    def _extractor(self, kind: Kind) -> ProfileExtractor | PlaybookExtractor | None:
        return self.profile_extractor_config if kind == "profile" else self.user_playbook_extractor_config

    def view(self) -> dict[str, Any]:
        """As the server shows it, nulls and all."""
        return self.model_dump(mode="json")
