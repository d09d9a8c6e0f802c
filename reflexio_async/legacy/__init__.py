"""The API of January 2026: its requests and responses. Its calls are on the client and ``client.legacy``."""

from __future__ import annotations

# fmt: off
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
    DeleteRequestGroupRequest, DeleteRequestGroupResponse, GetRequestsRequest, GetRequestsResponse,
    GetUserProfilesResponse, Interaction, InteractionData, PublishUserInteractionRequest,
    PublishUserInteractionResponse, Request, RequestData, RequestGroup, UserProfile,
)

__all__ = [
    "AddFeedbackRequest", "AddFeedbackResponse", "AddRawFeedbackRequest", "AddRawFeedbackResponse",
    "DeleteFeedbackRequest", "DeleteFeedbackResponse", "DeleteRawFeedbackRequest",
    "DeleteRawFeedbackResponse", "DeleteRequestGroupRequest", "DeleteRequestGroupResponse",
    "DowngradeRawFeedbacksRequest", "DowngradeRawFeedbacksResponse", "Feedback", "FeedbackView",
    "GetFeedbacksRequest", "GetFeedbacksResponse", "GetRawFeedbacksRequest", "GetRawFeedbacksResponse",
    "GetRequestsRequest", "GetRequestsResponse", "GetUserProfilesResponse", "Interaction",
    "InteractionData", "ManualFeedbackGenerationRequest", "ManualFeedbackGenerationResponse",
    "PublishUserInteractionRequest", "PublishUserInteractionResponse", "RawFeedback", "RawFeedbackView",
    "Request", "RequestData", "RequestGroup", "RerunFeedbackGenerationRequest",
    "RerunFeedbackGenerationResponse", "RunFeedbackAggregationRequest", "RunFeedbackAggregationResponse",
    "SearchFeedbackRequest", "SearchFeedbackResponse", "SearchRawFeedbackRequest",
    "SearchRawFeedbackResponse", "UpdateFeedbackStatusRequest", "UpdateFeedbackStatusResponse",
    "UpgradeRawFeedbacksRequest", "UpgradeRawFeedbacksResponse", "UserProfile",
]
