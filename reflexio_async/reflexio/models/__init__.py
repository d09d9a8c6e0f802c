"""The Reflexio service's requests and responses: the names that users import from ``reflexio_async``."""

from __future__ import annotations

# fmt: off
from reflexio_async.reflexio.models.agent_playbooks import (
    AddAgentPlaybookRequest, AddAgentPlaybookResponse, AgentPlaybook, AgentPlaybookView,
    DeleteAgentPlaybookRequest, DeleteAgentPlaybookResponse, DeleteAgentPlaybooksByIdsRequest,
    GetAgentPlaybooksRequest, GetAgentPlaybooksViewResponse, GetPlaybookApplicationStatsRequest,
    GetPlaybookApplicationStatsResponse, PlaybookApplicationStat, SearchAgentPlaybookRequest,
    SearchAgentPlaybooksViewResponse, UpdateAgentPlaybookRequest, UpdateAgentPlaybookResponse,
    UpdatePlaybookStatusRequest, UpdatePlaybookStatusResponse,
)
from reflexio_async.reflexio.models.aggregation import (
    AgentPlaybookSnapshot, AgentPlaybookUpdateEntry, PlaybookAggregationChangeLog,
    PlaybookAggregationChangeLogResponse, PlaybookAggregationOperation, PlaybookAggregationResult,
    RunPlaybookAggregationRequest, RunPlaybookAggregationResponse, SubmitPlaybookAggregationRequest,
)
from reflexio_async.reflexio.models.braintrust import (
    BraintrustProjectSummary, BraintrustStatusResponse, BraintrustWorkspaceSummary,
    ConnectBraintrustRequest, ConnectBraintrustResponse, SelectProjectsRequest, SelectProjectsResponse,
    SyncBraintrustResponse,
)
from reflexio_async.reflexio.models.config import (
    AgentSuccessConfig, Config, DeduplicationConfig, ExpiryReclamationConfig, GovernanceRetentionConfig,
    LLMConfig, LineageGCConfig, PendingToolCallConfig, PendingToolCallToolOverrideConfig,
    PlaybookAggregatorConfig, PlaybookOptimizerConfig, ProfileExtractorConfig, RetrievalExperimentConfig,
    RetrievalFloorConfig, SetConfigResponse, ToolUseConfig, UserPlaybookExtractorConfig,
)
from reflexio_async.reflexio.models.config_storage import (
    APIKeyConfig, AnthropicConfig, AzureOpenAIConfig, CustomEndpointConfig, DashScopeConfig,
    DeepSeekConfig, GeminiConfig, MiniMaxConfig, MoonshotConfig, OpenAIConfig, OpenRouterConfig,
    StorageConfig, StorageConfigDisk, StorageConfigManagedSupabase, StorageConfigPostgres,
    StorageConfigSQLite, StorageConfigSupabase, StorageConfigTest, UnknownStorage, XAIConfig, ZAIConfig,
)
from reflexio_async.reflexio.models.dashboard import (
    DashboardStats, GetDashboardStatsRequest, GetDashboardStatsResponse, PeriodStats, TimeSeriesDataPoint,
)
from reflexio_async.reflexio.models.enums import (
    AggregationStatus, BlockingIssueKind, CitationKind, ExtractionPreset, LearningImpact, LearningStatus,
    OperationStatus, PendingToolCallStatus, PlaybookStatus, ProfileTimeToLive, RegenerationStatus,
    RegularVsShadow, RetrievedLearningKind, SearchMode, SessionOutcomeFailureReason, SessionOutcomeKind,
    Status, UserActionType,
)
from reflexio_async.reflexio.models.evaluation import (
    CancelRegenerationRequest, EvaluationResultView, EvaluationSourceSetRequest,
    GetAgentSuccessEvaluationResultsRequest, GetEvaluationOverviewRequest,
    GetEvaluationResultsViewResponse, GetRecentShadowComparisonsResponse,
    GetRetrievedLearningEvaluationResultsRequest, GetRetrievedLearningEvaluationResultsResponse,
    GradeOnDemandRequest, GradeOnDemandResponse, PlaybookDiagnosis, RegenerateFailure, RegenerateRequest,
    RegenerateStartResponse, RegenerateStatusResponse, RetrievedLearningEvaluationResult,
    ShadowComparisonOutput, ShadowComparisonVerdict,
)
from reflexio_async.reflexio.models.experiments import (
    RetrievalExperimentArmMetrics, RetrievalExperimentAssignment, RetrievalExperimentListResponse,
    RetrievalExperimentRecord, RetrievalExperimentResultsResponse, StartRetrievalExperimentRequest,
    StopRetrievalExperimentRequest,
)
from reflexio_async.reflexio.models.identity import (
    AdminInvalidateCacheRequest, AdminInvalidateCacheResponse, LoginResponse, MarkNotifiedResponse,
    MyConfigResponse, ServerVersion, StallStateResponse, WhoamiResponse,
)
from reflexio_async.reflexio.models.interactions import (
    DEFAULT_AGENT_VERSION, Citation, DeleteRequestRequest, DeleteRequestResponse,
    DeleteRequestsByIdsRequest, DeleteUserInteractionRequest, DeleteUserInteractionResponse,
    GetInteractionsRequest, GetInteractionsViewResponse, GetRequestsRequest, GetRequestsViewResponse,
    InteractionData, InteractionView, LearningStatusResponse, PublishUserInteractionRequest,
    PublishUserInteractionResponse, Request, RequestDataView, RetrievedLearning, SearchInteractionRequest,
    SearchInteractionsViewResponse, SessionView, ToolUsed,
)
from reflexio_async.reflexio.models.operations import (
    BulkDeleteResponse, CancelOperationRequest, CancelOperationResponse, ClearUserDataRequest,
    ClearUserDataResponse, GetOperationStatusResponse, ManualPlaybookGenerationRequest,
    ManualPlaybookGenerationResponse, ManualProfileGenerationRequest, ManualProfileGenerationResponse,
    OperationStatusInfo, RerunPlaybookGenerationRequest, RerunPlaybookGenerationResponse,
    RerunProfileGenerationRequest, RerunProfileGenerationResponse,
)
from reflexio_async.reflexio.models.evaluation_overview import (
    BehaviorSuccessMetric, BraintrustTileRow, ContextTile, EvaluationSessionKey,
    GetEvaluationOverviewResponse, HeroBlock, HeroBucket, NumberWithDelta, PercentWithDelta,
    RuleAttributionRow, ScoreDistribution, ShadowWinRateTrend, ShadowWinRateTrendPoint,
    ShadowWinRateTrendWindowTotal, SourceSessions, SourceSetComparison, SourceSetEvaluationMetrics,
)
from reflexio_async.reflexio.models.pending_tool_calls import (
    CancelPendingToolCallRequest, MarkPendingToolCallNotApplicableRequest, PendingToolCallListResponse,
    PendingToolCallResponse, ResolvePendingToolCallRequest, SignedAnswer,
    UpdatePendingToolCallAnswerRequest,
)
from reflexio_async.reflexio.models.playbooks import (
    AddUserPlaybookRequest, AddUserPlaybookResponse, BlockingIssue, DeleteUserPlaybookRequest,
    DeleteUserPlaybookResponse, DeleteUserPlaybooksByIdsRequest, DowngradeUserPlaybooksRequest,
    DowngradeUserPlaybooksResponse, GetUserPlaybooksRequest, GetUserPlaybooksViewResponse,
    ReviewUserPlaybookEdit, ReviewUserPlaybookResult, ReviewUserPlaybooksRequest,
    ReviewUserPlaybooksResponse, SearchUserPlaybookRequest, SearchUserPlaybooksViewResponse,
    StructuredDataView, UpdateUserPlaybookRequest, UpdateUserPlaybookResponse, UpgradeUserPlaybooksRequest,
    UpgradeUserPlaybooksResponse, UserPlaybook, UserPlaybookView,
)
from reflexio_async.reflexio.models.profiles import (
    AddUserProfileRequest, AddUserProfileResponse, DeleteProfilesByIdsRequest, DeleteUserProfileRequest,
    DeleteUserProfileResponse, DowngradeProfilesRequest, DowngradeProfilesResponse,
    GetProfileStatisticsResponse, GetProfilesViewResponse, GetUserProfilesRequest, ProfileChangeLogView,
    ProfileChangeLogViewResponse, ProfileView, RerankUserProfilesRequest, SearchProfilesViewResponse,
    SearchUserProfileRequest, StorageStatsResponse, UpdateUserProfileRequest, UpdateUserProfileResponse,
    UpgradeProfilesRequest, UpgradeProfilesResponse, UserProfile,
)
from reflexio_async.reflexio.models.provenance import (
    GetLearningProvenanceRequest, LearningProvenanceViewResponse, SourceUserPlaybookProvenanceView,
)
from reflexio_async.reflexio.models.search import (
    ConversationTurn, UnifiedSearchRequest, UnifiedSearchViewResponse,
)
from reflexio_async.reflexio.models.sessions import (
    DeleteSessionRequest, DeleteSessionResponse, FinalizeSessionRequest, FinalizeSessionResponse,
    GetSessionOutcomesRequest, GetSessionOutcomesResponse, SessionOutcomeRecord, SetSessionOutcomeRequest,
    SetSessionOutcomeResponse,
)

__all__ = [
    "DEFAULT_AGENT_VERSION", "APIKeyConfig", "AddAgentPlaybookRequest", "AddAgentPlaybookResponse",
    "AddUserPlaybookRequest", "AddUserPlaybookResponse", "AddUserProfileRequest",
    "AddUserProfileResponse", "AdminInvalidateCacheRequest", "AdminInvalidateCacheResponse",
    "AgentPlaybook", "AgentPlaybookSnapshot", "AgentPlaybookUpdateEntry", "AgentPlaybookView",
    "AgentSuccessConfig", "AggregationStatus", "AnthropicConfig", "AzureOpenAIConfig",
    "BehaviorSuccessMetric", "BlockingIssue", "BlockingIssueKind", "BraintrustProjectSummary",
    "BraintrustStatusResponse", "BraintrustTileRow", "BraintrustWorkspaceSummary", "BulkDeleteResponse",
    "CancelOperationRequest", "CancelOperationResponse", "CancelPendingToolCallRequest",
    "CancelRegenerationRequest", "Citation", "CitationKind", "ClearUserDataRequest",
    "ClearUserDataResponse", "Config", "ConnectBraintrustRequest", "ConnectBraintrustResponse",
    "ContextTile", "ConversationTurn", "CustomEndpointConfig", "DashScopeConfig", "DashboardStats",
    "DeduplicationConfig", "DeepSeekConfig", "DeleteAgentPlaybookRequest", "DeleteAgentPlaybookResponse",
    "DeleteAgentPlaybooksByIdsRequest", "DeleteProfilesByIdsRequest", "DeleteRequestRequest",
    "DeleteRequestResponse", "DeleteRequestsByIdsRequest", "DeleteSessionRequest",
    "DeleteSessionResponse", "DeleteUserInteractionRequest", "DeleteUserInteractionResponse",
    "DeleteUserPlaybookRequest", "DeleteUserPlaybookResponse", "DeleteUserPlaybooksByIdsRequest",
    "DeleteUserProfileRequest", "DeleteUserProfileResponse", "DowngradeProfilesRequest",
    "DowngradeProfilesResponse", "DowngradeUserPlaybooksRequest", "DowngradeUserPlaybooksResponse",
    "EvaluationResultView", "EvaluationSessionKey", "EvaluationSourceSetRequest",
    "ExpiryReclamationConfig", "ExtractionPreset", "FinalizeSessionRequest", "FinalizeSessionResponse",
    "GeminiConfig", "GetAgentPlaybooksRequest", "GetAgentPlaybooksViewResponse",
    "GetAgentSuccessEvaluationResultsRequest", "GetDashboardStatsRequest", "GetDashboardStatsResponse",
    "GetEvaluationOverviewRequest", "GetEvaluationOverviewResponse", "GetEvaluationResultsViewResponse",
    "GetInteractionsRequest", "GetInteractionsViewResponse", "GetLearningProvenanceRequest",
    "GetOperationStatusResponse", "GetPlaybookApplicationStatsRequest",
    "GetPlaybookApplicationStatsResponse", "GetProfileStatisticsResponse", "GetProfilesViewResponse",
    "GetRecentShadowComparisonsResponse", "GetRequestsRequest", "GetRequestsViewResponse",
    "GetRetrievedLearningEvaluationResultsRequest", "GetRetrievedLearningEvaluationResultsResponse",
    "GetSessionOutcomesRequest", "GetSessionOutcomesResponse", "GetUserPlaybooksRequest",
    "GetUserPlaybooksViewResponse", "GetUserProfilesRequest", "GovernanceRetentionConfig",
    "GradeOnDemandRequest", "GradeOnDemandResponse", "HeroBlock", "HeroBucket", "InteractionData",
    "InteractionView", "LLMConfig", "LearningImpact", "LearningProvenanceViewResponse", "LearningStatus",
    "LearningStatusResponse", "LineageGCConfig", "LoginResponse", "ManualPlaybookGenerationRequest",
    "ManualPlaybookGenerationResponse", "ManualProfileGenerationRequest",
    "ManualProfileGenerationResponse", "MarkNotifiedResponse", "MarkPendingToolCallNotApplicableRequest",
    "MiniMaxConfig", "MoonshotConfig", "MyConfigResponse", "NumberWithDelta", "OpenAIConfig",
    "OpenRouterConfig", "OperationStatus", "OperationStatusInfo", "PendingToolCallConfig",
    "PendingToolCallListResponse", "PendingToolCallResponse", "PendingToolCallStatus",
    "PendingToolCallToolOverrideConfig", "PercentWithDelta", "PeriodStats",
    "PlaybookAggregationChangeLog", "PlaybookAggregationChangeLogResponse",
    "PlaybookAggregationOperation", "PlaybookAggregationResult", "PlaybookAggregatorConfig",
    "PlaybookApplicationStat", "PlaybookDiagnosis", "PlaybookOptimizerConfig", "PlaybookStatus",
    "ProfileChangeLogView", "ProfileChangeLogViewResponse", "ProfileExtractorConfig", "ProfileTimeToLive",
    "ProfileView", "PublishUserInteractionRequest", "PublishUserInteractionResponse", "RegenerateFailure",
    "RegenerateRequest", "RegenerateStartResponse", "RegenerateStatusResponse", "RegenerationStatus",
    "RegularVsShadow", "Request", "RequestDataView", "RerankUserProfilesRequest",
    "RerunPlaybookGenerationRequest", "RerunPlaybookGenerationResponse", "RerunProfileGenerationRequest",
    "RerunProfileGenerationResponse", "ResolvePendingToolCallRequest", "RetrievalExperimentArmMetrics",
    "RetrievalExperimentAssignment", "RetrievalExperimentConfig", "RetrievalExperimentListResponse",
    "RetrievalExperimentRecord", "RetrievalExperimentResultsResponse", "RetrievalFloorConfig",
    "RetrievedLearning", "RetrievedLearningEvaluationResult", "RetrievedLearningKind",
    "ReviewUserPlaybookEdit", "ReviewUserPlaybookResult", "ReviewUserPlaybooksRequest",
    "ReviewUserPlaybooksResponse", "RuleAttributionRow", "RunPlaybookAggregationRequest",
    "RunPlaybookAggregationResponse", "ScoreDistribution", "SearchAgentPlaybookRequest",
    "SearchAgentPlaybooksViewResponse", "SearchInteractionRequest", "SearchInteractionsViewResponse",
    "SearchMode", "SearchProfilesViewResponse", "SearchUserPlaybookRequest",
    "SearchUserPlaybooksViewResponse", "SearchUserProfileRequest", "SelectProjectsRequest",
    "SelectProjectsResponse", "ServerVersion", "SessionOutcomeFailureReason", "SessionOutcomeKind",
    "SessionOutcomeRecord", "SessionView", "SetConfigResponse", "SetSessionOutcomeRequest",
    "SetSessionOutcomeResponse", "ShadowComparisonOutput", "ShadowComparisonVerdict",
    "ShadowWinRateTrend", "ShadowWinRateTrendPoint", "ShadowWinRateTrendWindowTotal", "SignedAnswer",
    "SourceSessions", "SourceSetComparison", "SourceSetEvaluationMetrics",
    "SourceUserPlaybookProvenanceView", "StallStateResponse", "StartRetrievalExperimentRequest", "Status",
    "StopRetrievalExperimentRequest", "StorageConfig", "StorageConfigDisk",
    "StorageConfigManagedSupabase", "StorageConfigPostgres", "StorageConfigSQLite", "StorageConfigSupabase",
    "StorageConfigTest", "StorageStatsResponse", "StructuredDataView",
    "SubmitPlaybookAggregationRequest", "SyncBraintrustResponse", "TimeSeriesDataPoint", "ToolUseConfig",
    "ToolUsed", "UnifiedSearchRequest", "UnifiedSearchViewResponse", "UnknownStorage",
    "UpdateAgentPlaybookRequest", "UpdateAgentPlaybookResponse", "UpdatePendingToolCallAnswerRequest",
    "UpdatePlaybookStatusRequest", "UpdatePlaybookStatusResponse", "UpdateUserPlaybookRequest",
    "UpdateUserPlaybookResponse", "UpdateUserProfileRequest", "UpdateUserProfileResponse",
    "UpgradeProfilesRequest", "UpgradeProfilesResponse", "UpgradeUserPlaybooksRequest",
    "UpgradeUserPlaybooksResponse", "UserActionType", "UserPlaybook", "UserPlaybookExtractorConfig",
    "UserPlaybookView", "UserProfile", "WhoamiResponse", "XAIConfig", "ZAIConfig",
]
