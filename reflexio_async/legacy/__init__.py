"""The API of January 2026: requests and responses by its own names. Its calls are on ``client.legacy``."""

from __future__ import annotations

# fmt: off
from reflexio_async.legacy.config_models import (
    AgentFeedbackConfig, AgentSuccessConfig, Config, FeedbackAggregatorConfig, LLMConfig,
    ProfileExtractorConfig,
)
from reflexio_async.legacy.feedback_models import (
    AddFeedbackRequest, AddFeedbackResponse, AddRawFeedbackRequest, AddRawFeedbackResponse,
    DeleteFeedbackRequest, DeleteFeedbackResponse, DeleteRawFeedbackRequest, DeleteRawFeedbackResponse,
    DowngradeRawFeedbacksRequest, DowngradeRawFeedbacksResponse, Feedback, FeedbackView,
    GetFeedbacksRequest, GetFeedbacksResponse, GetRawFeedbacksRequest, GetRawFeedbacksResponse,
    ManualFeedbackGenerationRequest, ManualFeedbackGenerationResponse, RawFeedback, RawFeedbackView,
    RerunFeedbackGenerationRequest, RerunFeedbackGenerationResponse, RunFeedbackAggregationRequest,
    RunFeedbackAggregationResponse, SearchFeedbackRequest, SearchFeedbackResponse,
    SearchRawFeedbackRequest, SearchRawFeedbackResponse, UpdateFeedbackStatusRequest,
    UpdateFeedbackStatusResponse, UpgradeRawFeedbacksRequest, UpgradeRawFeedbacksResponse,
)
from reflexio_async.legacy.models import (
    AgentSuccessEvaluationResult, DeleteRequestGroupRequest, DeleteRequestGroupResponse,
    GetAgentSuccessEvaluationResultsRequest, GetAgentSuccessEvaluationResultsResponse,
    GetInteractionsRequest, GetInteractionsResponse, GetRequestsRequest, GetRequestsResponse,
    GetUserProfilesRequest, GetUserProfilesResponse, Interaction, InteractionData, ProfileChangeLog,
    ProfileChangeLogResponse, PublishUserInteractionRequest, PublishUserInteractionResponse, Request,
    RequestData, RequestGroup, SearchInteractionRequest, SearchInteractionResponse,
    SearchUserProfileRequest, SearchUserProfileResponse, UserProfile,
)
from reflexio_async.reflexio.models.config import SetConfigResponse, ToolUseConfig
from reflexio_async.reflexio.models.config_storage import (
    AnthropicConfig, APIKeyConfig, AzureOpenAIConfig, OpenAIConfig, StorageConfig,
    StorageConfigDisk as StorageConfigLocal, StorageConfigSupabase, StorageConfigTest,
)
from reflexio_async.reflexio.models.enums import (
    OperationStatus, PlaybookStatus as FeedbackStatus, ProfileTimeToLive, RegularVsShadow, Status,
    UserActionType,
)
from reflexio_async.reflexio.models.identity import LoginResponse as Token
from reflexio_async.reflexio.models.interactions import (
    DeleteRequestRequest, DeleteRequestResponse, DeleteUserInteractionRequest,
    DeleteUserInteractionResponse,
)
from reflexio_async.reflexio.models.operations import (
    GetOperationStatusResponse, OperationStatusInfo, RerunProfileGenerationRequest,
    RerunProfileGenerationResponse,
)
from reflexio_async.reflexio.models.profiles import (
    DeleteUserProfileRequest, DeleteUserProfileResponse,
)

__all__ = [
    "APIKeyConfig", "AddFeedbackRequest", "AddFeedbackResponse", "AddRawFeedbackRequest",
    "AddRawFeedbackResponse", "AgentFeedbackConfig", "AgentSuccessConfig",
    "AgentSuccessEvaluationResult", "AnthropicConfig", "AzureOpenAIConfig", "Config",
    "DeleteFeedbackRequest", "DeleteFeedbackResponse", "DeleteRawFeedbackRequest",
    "DeleteRawFeedbackResponse", "DeleteRequestGroupRequest", "DeleteRequestGroupResponse",
    "DeleteRequestRequest", "DeleteRequestResponse", "DeleteUserInteractionRequest",
    "DeleteUserInteractionResponse", "DeleteUserProfileRequest", "DeleteUserProfileResponse",
    "DowngradeRawFeedbacksRequest", "DowngradeRawFeedbacksResponse", "Feedback",
    "FeedbackAggregatorConfig", "FeedbackStatus", "FeedbackView",
    "GetAgentSuccessEvaluationResultsRequest", "GetAgentSuccessEvaluationResultsResponse",
    "GetFeedbacksRequest", "GetFeedbacksResponse", "GetInteractionsRequest", "GetInteractionsResponse",
    "GetOperationStatusResponse", "GetRawFeedbacksRequest", "GetRawFeedbacksResponse",
    "GetRequestsRequest", "GetRequestsResponse", "GetUserProfilesRequest", "GetUserProfilesResponse",
    "Interaction", "InteractionData", "LLMConfig", "ManualFeedbackGenerationRequest",
    "ManualFeedbackGenerationResponse", "OpenAIConfig", "OperationStatus", "OperationStatusInfo",
    "ProfileChangeLog", "ProfileChangeLogResponse", "ProfileExtractorConfig", "ProfileTimeToLive",
    "PublishUserInteractionRequest", "PublishUserInteractionResponse", "RawFeedback", "RawFeedbackView",
    "RegularVsShadow", "Request", "RequestData", "RequestGroup", "RerunFeedbackGenerationRequest",
    "RerunFeedbackGenerationResponse", "RerunProfileGenerationRequest",
    "RerunProfileGenerationResponse", "RunFeedbackAggregationRequest", "RunFeedbackAggregationResponse",
    "SearchFeedbackRequest", "SearchFeedbackResponse", "SearchInteractionRequest",
    "SearchInteractionResponse", "SearchRawFeedbackRequest", "SearchRawFeedbackResponse",
    "SearchUserProfileRequest", "SearchUserProfileResponse", "SetConfigResponse", "Status",
    "StorageConfig", "StorageConfigLocal", "StorageConfigSupabase", "StorageConfigTest", "Token",
    "ToolUseConfig", "UpdateFeedbackStatusRequest", "UpdateFeedbackStatusResponse",
    "UpgradeRawFeedbacksRequest", "UpgradeRawFeedbacksResponse", "UserActionType", "UserProfile",
]
