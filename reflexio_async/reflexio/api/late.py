"""Rows whose models are loaded when one of them is first used, so that importing the package stays fast."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from reflexio_async.legacy.feedback import FeedbackAPI
    from reflexio_async.reflexio.api.agent_playbooks import AgentPlaybooksAPI
    from reflexio_async.reflexio.api.aggregation import AggregationAPI
    from reflexio_async.reflexio.api.braintrust import BraintrustAPI
    from reflexio_async.reflexio.api.config import ConfigAPI
    from reflexio_async.reflexio.api.dashboard import DashboardAPI
    from reflexio_async.reflexio.api.evaluation import EvaluationAPI
    from reflexio_async.reflexio.api.experiments import ExperimentsAPI
    from reflexio_async.reflexio.api.identity import IdentityAPI
    from reflexio_async.reflexio.api.interactions import InteractionsAPI
    from reflexio_async.reflexio.api.operations import OperationsAPI
    from reflexio_async.reflexio.api.pending_tool_calls import PendingToolCallsAPI
    from reflexio_async.reflexio.api.playbooks import PlaybooksAPI
    from reflexio_async.reflexio.api.profiles import ProfilesAPI
    from reflexio_async.reflexio.api.provenance import ProvenanceAPI
    from reflexio_async.reflexio.api.search import SearchAPI
    from reflexio_async.reflexio.api.sessions import SessionsAPI

    class LateAPI(  # pyright: ignore[reportRedeclaration]
        AgentPlaybooksAPI,
        AggregationAPI,
        BraintrustAPI,
        ConfigAPI,
        DashboardAPI,
        EvaluationAPI,
        ExperimentsAPI,
        FeedbackAPI,
        IdentityAPI,
        InteractionsAPI,
        OperationsAPI,
        PlaybooksAPI,
        ProfilesAPI,
        PendingToolCallsAPI,
        ProvenanceAPI,
        SearchAPI,
        SessionsAPI,
    ):
        """What checkers and editors see."""


LATE: Final = {
    "agent_playbooks": (
        "search_agent_playbooks get_agent_playbooks add_agent_playbooks update_agent_playbook "
        "update_agent_playbook_status delete_agent_playbook delete_agent_playbooks_by_ids "
        "delete_all_agent_playbooks get_playbook_application_stats"
    ),
    "aggregation": (
        "run_playbook_aggregation submit_playbook_aggregation get_playbook_aggregation_operation "
        "get_playbook_aggregation_change_logs"
    ),
    "braintrust": (
        "connect_braintrust select_braintrust_projects get_braintrust_status sync_braintrust "
        "delete_braintrust_connection"
    ),
    "config": "get_config set_config update_config invalidate_cache",
    "dashboard": "get_dashboard_stats",
    "evaluation": (
        "get_agent_success_evaluation_results get_retrieved_learning_evaluation_results "
        "get_evaluation_overview get_recent_shadow_comparisons grade_on_demand regenerate_evaluations "
        "get_evaluation_regeneration_status cancel_evaluation_regeneration"
    ),
    "experiments": (
        "list_retrieval_experiments start_retrieval_experiment stop_retrieval_experiment "
        "get_retrieval_experiment_results"
    ),
    "feedback": (
        "rerun_feedback_generation manual_feedback_generation run_feedback_aggregation get_feedbacks "
        "get_raw_feedbacks search_feedbacks search_raw_feedbacks add_feedbacks add_raw_feedback "
        "update_feedback_status upgrade_raw_feedbacks downgrade_raw_feedbacks delete_feedback "
        "delete_raw_feedback delete_request_group"
    ),
    "identity": (
        "whoami health health_live health_ready healthz healthz_eval get_root get_version get_my_config "
        "get_stall_state mark_stall_notified"
    ),
    "interactions": (
        "publish_interaction publish_interaction_async get_learning_status get_requests "
        "search_interactions get_interactions get_all_interactions delete_interaction delete_request "
        "delete_requests_by_ids delete_all_interactions iter_requests"
    ),
    "operations": "get_operation_status cancel_operation clear_user_data",
    "pending_tool_calls": (
        "list_pending_tool_calls get_pending_tool_call resolve_pending_tool_call "
        "update_pending_tool_call_answer mark_pending_tool_call_not_applicable cancel_pending_tool_call"
    ),
    "playbooks": (
        "rerun_playbook_generation manual_playbook_generation get_user_playbooks upgrade_user_playbooks "
        "downgrade_user_playbooks search_user_playbooks add_user_playbook update_user_playbook "
        "review_user_playbooks delete_user_playbook delete_user_playbooks_by_ids "
        "delete_all_user_playbooks delete_all_playbooks"
    ),
    "profiles": (
        "rerun_profile_generation manual_profile_generation search_user_profiles search_profiles "
        "rerank_user_profiles get_profiles get_all_profiles add_user_profile update_user_profile "
        "delete_profile delete_profiles_by_ids delete_all_profiles get_profile_change_log "
        "get_profile_statistics storage_stats upgrade_profiles downgrade_profiles"
    ),
    "provenance": "get_learning_provenance",
    "search": "search search_async",
    "sessions": (
        "finalize_session finalize_session_async mark_session_outcome get_session_outcomes delete_session"
    ),
}
"""By file of ``api/``: the rows in it. A test holds the two together."""


def mixin(noun: str) -> type:
    """The class of rows in ``api/<noun>.py``, imported now."""
    name = "".join(word.title() for word in noun.split("_")) + "API"
    found: type = getattr(
        import_module(
            "reflexio_async." + ("legacy.feedback" if noun == "feedback" else f"reflexio.api.{noun}")
        ),
        name,
    )
    return found


class _Later:
    """Stands for a row until somebody looks at it; then every row of its file takes its place."""

    def __init__(self, noun: str, name: str) -> None:
        self._noun = noun
        self._name = name

    def __get__(self, obj: Any, owner: type) -> Any:
        rows = vars(mixin(self._noun))
        for name in LATE[self._noun].split():
            setattr(LateAPI, name, rows[name])
        return getattr(owner if obj is None else obj, self._name)


if not TYPE_CHECKING:

    class LateAPI:
        """The rows named in ``LATE``."""

    for _noun, _names in LATE.items():
        for _name in _names.split():
            setattr(LateAPI, _name, _Later(_noun, _name))
