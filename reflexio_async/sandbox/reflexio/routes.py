"""Today's routes."""

from __future__ import annotations

from typing import Final

from reflexio_async.sandbox.http.routing import Route, Table, bare, get, post, sent
from reflexio_async.sandbox.reflexio.handlers import agent_playbooks as on_agent_playbooks
from reflexio_async.sandbox.reflexio.handlers import aggregation as on_aggregation
from reflexio_async.sandbox.reflexio.handlers import braintrust as on_braintrust
from reflexio_async.sandbox.reflexio.handlers import configuration as on_config
from reflexio_async.sandbox.reflexio.handlers import dashboard as on_dashboard
from reflexio_async.sandbox.reflexio.handlers import deletes as on_delete
from reflexio_async.sandbox.reflexio.handlers import evaluation as on_evaluation
from reflexio_async.sandbox.reflexio.handlers import experiments as on_experiments
from reflexio_async.sandbox.reflexio.handlers import interactions as on_interactions
from reflexio_async.sandbox.reflexio.handlers import operations as on_operations
from reflexio_async.sandbox.reflexio.handlers import overview as on_overview
from reflexio_async.sandbox.reflexio.handlers import playbooks as on_playbooks
from reflexio_async.sandbox.reflexio.handlers import profiles as on_profiles
from reflexio_async.sandbox.reflexio.handlers import provenance as on_provenance
from reflexio_async.sandbox.reflexio.handlers import searching as on_search
from reflexio_async.sandbox.reflexio.handlers import sessions as on_sessions
from reflexio_async.sandbox.reflexio.handlers import system as on_system
from reflexio_async.sandbox.reflexio.handlers import tool_calls as on_tool_calls
from reflexio_async.sandbox.reflexio.schemas import (
    evaluation,
    generation,
    publishing,
    reading,
    rows,
    searching,
    sessions,
    system,
    tool_calls,
)

_HEALTH = ("/health", "/health/live", "/health/ready", "/healthz")

OPEN_PATHS: Final = frozenset({"/", *_HEALTH, "/healthz/eval", "/meta/version"})
"""Need no credential to be read."""

UNWATCHED_PATHS: Final = frozenset({"/", *_HEALTH})
"""Answer whatever the User-Agent."""

_PROBES = (
    bare("GET", "/", on_system.root),
    bare("GET", "/health", on_system.healthy),
    bare("GET", "/health/live", on_system.alive),
    bare("GET", "/health/ready", on_system.healthy),
    Route("POST", "/token", lambda _: None, on_system.token, 5),
    bare("GET", "/api/whoami", on_system.whoami),
)
_SYSTEM = (
    bare("GET", "/healthz", on_system.process),
    bare("GET", "/healthz/eval", on_system.evaluation_health),
    bare("GET", "/meta/version", on_system.version),
    bare("GET", "/stall_state", on_system.stall_state),
    bare("POST", "/stall_state/notified", on_system.stall_notified),
    bare("GET", "/api/get_config", on_config.get),
    post("/api/set_config", on_config.replace, system.AnyObject, 10),
    post("/api/update_config", on_config.update, system.AnyObject, 10),
    bare("GET", "/api/my_config", on_config.mine),
    post("/api/admin/cache/invalidate", on_config.invalidate, system.InvalidateCache),
    post("/api/get_dashboard_stats", on_dashboard.stats, reading.GetDashboard, 30),
    post("/api/braintrust/connect", on_braintrust.connect, system.ConnectBraintrust, 10),
    post("/api/braintrust/select_projects", on_braintrust.select, system.SelectProjects, 10),
    bare("GET", "/api/braintrust/status", on_braintrust.status),
    bare("DELETE", "/api/braintrust/connection", on_braintrust.disconnect, 10),
    bare("POST", "/api/braintrust/sync", on_braintrust.sync, 10),
)

_PUBLISHED = (
    post("/api/publish_interaction", on_interactions.publish, publishing.Publish, 60),
    get("/api/learning_status", on_interactions.learning_status, publishing.LearningStatusQuery, 120),
    post("/api/get_requests", on_interactions.get_requests, reading.GetRequests),
    post("/api/get_interactions", on_interactions.get_interactions, reading.GetInteractions),
    get("/api/get_all_interactions", on_interactions.get_all_interactions, reading.AllInteractions, 30),
    post("/api/search_interactions", on_search.interactions, searching.SearchInteractions, 120),
    sent("DELETE", "/api/delete_interaction", on_delete.interaction, rows.DeleteInteraction),
    sent("DELETE", "/api/delete_request", on_delete.request, rows.DeleteRequest),
    sent("DELETE", "/api/delete_session", on_delete.session, rows.DeleteSession),
    sent("DELETE", "/api/delete_requests_by_ids", on_delete.requests, rows.DeleteRequests),
    bare("DELETE", "/api/delete_all_interactions", on_delete.all_interactions, 10),
    post("/api/finalize_session", on_sessions.finalize, sessions.FinalizeSession, 60),
    post("/api/session_outcome", on_sessions.set_outcome, sessions.SetOutcome, 60),
    post("/api/get_session_outcomes", on_sessions.get_outcomes, sessions.GetOutcomes, 60),
    post("/api/clear_user_data", on_delete.user_data, rows.ClearUser, 10),
    get("/api/storage_stats", on_profiles.storage_stats, reading.OfUser, 120),
)

_PROFILES = (
    post("/api/get_profiles", on_profiles.get_profiles, reading.GetProfiles),
    get("/api/get_all_profiles", on_profiles.get_all_profiles, reading.AllProfiles, 30),
    bare("GET", "/api/get_profile_statistics", on_profiles.statistics),
    bare("GET", "/api/profile_change_log", on_profiles.change_log),
    post("/api/search_profiles", on_search.profiles, searching.SearchProfiles, 120),
    post("/api/rerank_user_profiles", on_search.rerank, searching.Rerank, 120),
    post("/api/add_user_profile", on_profiles.add, rows.AddProfiles, 60),
    sent("PUT", "/api/update_user_profile", on_profiles.update, rows.UpdateProfile),
    sent("DELETE", "/api/delete_profile", on_delete.profile, rows.DeleteProfile),
    sent("DELETE", "/api/delete_profiles_by_ids", on_delete.profiles, rows.DeleteProfiles),
    bare("DELETE", "/api/delete_all_profiles", on_delete.all_profiles, 10),
    post("/api/upgrade_all_profiles", on_profiles.upgrade, generation.UpgradeProfiles),
    post("/api/downgrade_all_profiles", on_profiles.downgrade, generation.DowngradeProfiles),
)

_PLAYBOOKS = (
    post("/api/get_user_playbooks", on_playbooks.get_user_playbooks, reading.GetUserPlaybooks),
    post("/api/search_user_playbooks", on_search.user_playbooks, searching.SearchUserPlaybooks, 120),
    post("/api/add_user_playbook", on_playbooks.add, rows.AddUserPlaybooks, 60),
    sent("PUT", "/api/update_user_playbook", on_playbooks.update, rows.UpdateUserPlaybook),
    sent("DELETE", "/api/delete_user_playbook", on_delete.user_playbook, rows.DeleteUserPlaybook),
    sent("DELETE", "/api/delete_user_playbooks_by_ids", on_delete.user_playbooks, rows.DeleteUserPlaybooks),
    bare("DELETE", "/api/delete_all_user_playbooks", on_delete.all_user_playbooks, 10),
    bare("DELETE", "/api/delete_all_playbooks", on_delete.all_playbooks, 10),
    post("/api/upgrade_all_user_playbooks", on_playbooks.upgrade, generation.UpgradeUserPlaybooks),
    post("/api/downgrade_all_user_playbooks", on_playbooks.downgrade, generation.DowngradeUserPlaybooks),
    post("/api/get_agent_playbooks", on_agent_playbooks.get_agent_playbooks, reading.GetAgentPlaybooks, 120),
    post("/api/search_agent_playbooks", on_search.agent_playbooks, searching.SearchAgentPlaybooks, 120),
    post("/api/add_agent_playbook", on_agent_playbooks.add, rows.AddAgentPlaybooks, 60),
    sent("PUT", "/api/update_agent_playbook", on_agent_playbooks.update, rows.UpdateAgentPlaybook),
    sent("PUT", "/api/update_agent_playbook_status", on_agent_playbooks.update_status, rows.UpdateApproval),
    sent("DELETE", "/api/delete_agent_playbook", on_delete.agent_playbook, rows.DeleteAgentPlaybook),
    sent(
        "DELETE", "/api/delete_agent_playbooks_by_ids", on_delete.agent_playbooks, rows.DeleteAgentPlaybooks
    ),
    bare("DELETE", "/api/delete_all_agent_playbooks", on_delete.all_agent_playbooks, 10),
    post("/api/get_playbook_application_stats", on_dashboard.application_stats, reading.GetApplicationStats),
)

_LEARNING = (
    post("/api/rerun_profile_generation", on_operations.rerun_profiles, generation.RerunProfiles, 5),
    post("/api/rerun_playbook_generation", on_operations.rerun_playbooks, generation.RerunPlaybooks, 5),
    post("/api/manual_profile_generation", on_operations.manual_profiles, generation.ManualProfiles, 5),
    post("/api/manual_playbook_generation", on_operations.manual_playbooks, generation.ManualPlaybooks, 5),
    get("/api/get_operation_status", on_operations.operation_status, generation.OperationStatusQuery),
    post("/api/cancel_operation", on_operations.cancel_operation, generation.CancelOperation, 10),
    post("/api/run_playbook_aggregation", on_aggregation.run, generation.RunAggregation, 10),
    post("/api/playbook_aggregation_operations", on_aggregation.submit, generation.SubmitAggregation, 10),
    bare("GET", "/api/playbook_aggregation_operations/{operation_id}", on_aggregation.get_operation, 120),
    get("/api/playbook_aggregation_change_logs", on_aggregation.change_logs, reading.ChangeLogQuery),
    post("/api/review_user_playbooks", on_aggregation.review, generation.Review, 5),
    post("/api/search", on_search.everything, searching.SearchAll, 120),
    post("/api/get_learning_provenance", on_provenance.provenance, reading.GetProvenance),
)

_EVALUATION = (
    post("/api/get_agent_success_evaluation_results", on_evaluation.results, evaluation.GetResults),
    post(
        "/api/get_retrieved_learning_evaluation_results",
        on_evaluation.learning_results,
        evaluation.GetLearningResults,
    ),
    post("/api/get_evaluation_overview", on_overview.overview, evaluation.Overview),
    get("/api/evaluations/shadow_comparisons/recent", on_evaluation.recent_shadows, evaluation.RecentShadows),
    post("/api/evaluations/grade_on_demand", on_evaluation.grade, evaluation.Grade),
    post("/api/evaluations/regenerate", on_evaluation.regenerate, evaluation.Regenerate, 5),
    bare("GET", "/api/evaluations/regenerate/{job_id}", on_evaluation.regeneration),
    bare("DELETE", "/api/evaluations/regenerate/{job_id}", on_evaluation.cancel_regeneration),
    bare("GET", "/api/retrieval_experiments", on_experiments.listed),
    post("/api/retrieval_experiments", on_experiments.start, evaluation.StartExperiment, 10),
    post("/api/retrieval_experiments/stop", on_experiments.stop, evaluation.StopExperiment, 10),
    bare("GET", "/api/retrieval_experiments/{experiment_id}/results", on_experiments.results),
)

_CALL = "/api/pending_tool_calls/{pending_tool_call_id}"
_TOOL_CALLS = (
    get("/api/pending_tool_calls", on_tool_calls.listed, tool_calls.ListCalls),
    bare("GET", _CALL, on_tool_calls.get),
    post(f"{_CALL}/resolve", on_tool_calls.resolve, tool_calls.Resolve),
    sent("PATCH", f"{_CALL}/answer", on_tool_calls.update_answer, tool_calls.UpdateAnswer),
    post(f"{_CALL}/not_applicable", on_tool_calls.not_applicable, tool_calls.NotApplicable),
    bare("POST", f"{_CALL}/cancel", on_tool_calls.cancel),
)

MODERN: Final = Table(
    (*_PROBES, *_SYSTEM, *_PUBLISHED, *_PROFILES, *_PLAYBOOKS, *_LEARNING, *_EVALUATION, *_TOOL_CALLS)
)
