"""A call of every kind that January's API has, and a server of January that has something to return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reflexio_async import legacy
from tests.calls import to_the_end

if TYPE_CHECKING:
    from reflexio_async.legacy.api import LegacyAPI
    from reflexio_async.sandbox import Sandbox

TURNS: Final = [{"role": "User", "content": "I like sushi"}, {"role": "Agent", "content": "Noted."}]
EVALUATOR: Final[dict[str, Any]] = {
    "evaluation_name": "e",
    "success_definition_prompt": "The user is content.",
}
EXTRACTOR: Final[dict[str, Any]] = {
    "extractor_name": "x",
    "profile_content_definition_prompt": "What the user likes.",
}
_RAW: Final = {"agent_version": "v", "request_id": "r", "feedback_content": "be kind", "feedback_name": "f"}
_OF_ANA: Final = {"user_id": "ana"}
_SUSHI: Final = {"user_id": "ana", "query": "sushi"}

DOCUMENTED: Final[dict[str, tuple[tuple[Any, ...], type[Any]]]] = {
    "publish_interaction": (("r2", "ana", TURNS, "chat", "v"), legacy.PublishUserInteractionResponse),
    "search_profiles": ((_SUSHI,), legacy.SearchUserProfileResponse),
    "get_profiles": ((_OF_ANA,), legacy.GetUserProfilesResponse),
    "get_all_profiles": ((100, None), legacy.GetUserProfilesResponse),
    "delete_profile": (("ana", "", "sushi"), legacy.DeleteUserProfileResponse),
    "get_profile_change_log": ((), legacy.ProfileChangeLogResponse),
    "rerun_profile_generation": ((_OF_ANA,), legacy.RerunProfileGenerationResponse),
    "search_interactions": ((_SUSHI,), legacy.SearchInteractionResponse),
    "get_interactions": ((_OF_ANA,), legacy.GetInteractionsResponse),
    "delete_interaction": (("ana", 1), legacy.DeleteUserInteractionResponse),
    "get_requests": ((_OF_ANA,), legacy.GetRequestsResponse),
    "delete_request": (("r1",), legacy.DeleteRequestResponse),
    "delete_request_group": (("g",), legacy.DeleteRequestGroupResponse),
    "get_raw_feedbacks": (({"limit": 10},), legacy.GetRawFeedbacksResponse),
    "add_raw_feedback": (({"raw_feedbacks": [_RAW]},), legacy.AddRawFeedbackResponse),
    "get_feedbacks": (({"limit": 10},), legacy.GetFeedbacksResponse),
    "rerun_feedback_generation": (({"agent_version": "v"},), legacy.RerunFeedbackGenerationResponse),
    "run_feedback_aggregation": (
        ({"agent_version": "v", "feedback_name": "f"},),
        legacy.RunFeedbackAggregationResponse,
    ),
    "get_agent_success_evaluation_results": (
        ({"limit": 5},),
        legacy.GetAgentSuccessEvaluationResultsResponse,
    ),
    "get_config": ((), legacy.Config),
    "set_config": (({"agent_success_configs": [EVALUATOR]},), dict),
}
"""The 21 calls of January's guide, with arguments as it gives them, and what each returns in the end."""

OTHERS: Final[dict[str, tuple[tuple[Any, ...], type[Any]]]] = {
    "get_operation_status": (({"service_name": "feedback_generation"},), legacy.GetOperationStatusResponse),
    "search_raw_feedbacks": (({"query": "kind"},), legacy.SearchRawFeedbackResponse),
    "search_feedbacks": (({"query": "kind"},), legacy.SearchFeedbackResponse),
    "add_feedbacks": (
        ({"feedbacks": [{"agent_version": "v", "feedback_content": "be brief"}]},),
        legacy.AddFeedbackResponse,
    ),
    "manual_feedback_generation": (({"agent_version": "v"},), legacy.ManualFeedbackGenerationResponse),
    "update_feedback_status": (
        ({"feedback_id": 1, "feedback_status": "approved"},),
        legacy.UpdateFeedbackStatusResponse,
    ),
    "upgrade_raw_feedbacks": (({"agent_version": "v"},), legacy.UpgradeRawFeedbacksResponse),
    "downgrade_raw_feedbacks": (({"agent_version": "v"},), legacy.DowngradeRawFeedbacksResponse),
    "delete_feedback": ((1,), legacy.DeleteFeedbackResponse),
    "delete_raw_feedback": ((1,), legacy.DeleteRawFeedbackResponse),
}
"""Calls that January's servers had besides."""

EVERY: Final = {**DOCUMENTED, **OTHERS}


async def fill(box: Sandbox, api: LegacyAPI) -> None:
    """Let a server of January have something for every call to return."""
    box.seed_profile("ana", "likes sushi")
    await api.set_config({"agent_success_configs": [EVALUATOR], "profile_extractor_configs": [EXTRACTOR]})
    for content in ("I like sushi", "That is wrong"):
        turns = [{"content": content}]
        await api.publish_interaction(
            user_id="ana", interactions=turns, agent_version="v", request_group="g", source="chat"
        )
    await api.add_raw_feedback(raw_feedbacks=[_RAW, _RAW])
    await to_the_end(await api.run_feedback_aggregation(agent_version="v", feedback_name="f"))
    for start in (
        api.rerun_profile_generation(user_id="ana"),
        api.rerun_feedback_generation(agent_version="v"),
    ):
        await to_the_end(start)


async def call(api: LegacyAPI, name: str) -> Any:
    """The result of the call ``name`` of ``EVERY``, in the end."""
    return await to_the_end(getattr(api, name)(*EVERY[name][0]))
