"""Where this client differs on purpose, and why. What is not listed here fails the parity test."""

from __future__ import annotations

import re

_WORDS = "the contract's words, beside any that a newer server may have"
_MADE = "made by the client when it is left out, as the official client makes it"
_FEEDBACK = "the same three words as today's PlaybookStatus"
_REPEATABLE = "made by the client when it is left out, so that a repeated request counts once"
_NOT_SET = "what is not set is not sent, so the server's own default holds"
_ANOTHER_MODEL = "Interaction is our InteractionView, which has what the server sends"
_NO_ZONE = "a time without a zone is UTC, as it is to the server, and is sent with its zone"
_FOR_THE_HANDLE = "asks the server to answer when it is done, so that the handle has a response"
_NO_SCHEMA = "the contract does not describe the parameter"

REASONS: dict[str, str] = {
    # routes
    r"POST /api/admin/cache/invalidate response": "a plain dict, as the official client returns",
    r"GET /api/get_config response": "the contract leaves open what set_config takes: a Config",
    r"GET /meta/version response": "the contract leaves it open; it is a ServerVersion",
    r"GET /api/get_all_profiles query status_filter": "servers ignore any other word",
    r"(legacy )?GET /api/get_operation_status query service_name": _WORDS,
    r"legacy POST /token (request|response)": "an OAuth2 form, which the contract leaves open",
    r"legacy GET /api/get_all_profiles query \w+": _NO_SCHEMA,
    # fields
    r"AgentPlaybookSnapshot\.blocking_issue": "a plain mapping in responses",
    r"InteractionView\.(retrieved_learnings|tools_used)": "plain mappings in responses",
    r"CancelOperationRequest\.service_name": _WORDS,
    r"(LearningStatusResponse|PlaybookAggregationOperation|RegenerateStatusResponse)\.status": _WORDS,
    r"(legacy )?Config\.storage_config": "storage that this release does not know is kept and sent back",
    r"(legacy )?Config\.storage_config_test|StorageConfigTest": "numbers without names",
    r"(Up|Down)gradeProfilesRequest\.only_affected_users": (
        "True, as the official client sends: with False users without anything to move lose their profiles"
    ),
    r"\w+PendingToolCall\w*Request\.pending_tool_call_id": "travels in the path, by the route's template",
    r"(legacy )?Status": '"None" is no status: current is None, JSON null; one list of words for both APIs',
    r"SubmitPlaybookAggregationRequest\.request_id": _REPEATABLE,
    r"UserProfile\.(generated_from_request_id|last_modified_timestamp|profile_id)": _MADE,
    r"(HTTPValidationError|ValidationError)(\.\w+)?": "errors are read by _engine/error_bodies.py",
    r"legacy Delete((Raw)?Feedback|UserInteraction)Request\.\w+_id": "ids start at 1",
    r"legacy POST /api/set_config request": "a ConfigBody: the Config with its secrets in clear",
    r"legacy (APIKeyConfig|StorageConfig(Local|Supabase)|Token)\.\w+": "one class for both APIs",
    r"legacy (FeedbackStatus|\w+\.feedback_status(_filter)?)": _FEEDBACK,
    r"legacy OperationStatus": "one list of words for both APIs",
    r"legacy PublishUserInteractionRequest\.request_id": "ignored by these servers; older ones took it",
    r"legacy PublishUserInteractionRequest\.interaction_data_list": "publishing nothing is a mistake",
    r"legacy RerunProfileGenerationRequest\.source": "one call for both APIs",
    # the official Reflexio clients
    r"(Interaction|\w+View)\.created_at": "as the server sends it; not made by the client",
    r"Interaction\.(citations|embedding|image_encoding|token_count)": _ANOTHER_MODEL,
    r"Config\.\w+": _NOT_SET,
    r"PublishUserInteractionRequest\.interaction(s|_data_list)": "its constructor takes both names",
    r"ReflexioClient\.submit_playbook_aggregation\(request_id\)": _REPEATABLE,
    r"PublishUserInteractionResponse\.accepted": "whether the server has answered 202",
    r"RegenerateStatusResponse\.finished_at": "None when it is absent",
    r"Status\.CURRENT": "an attribute that is None, not a member",
    r"wire (session\.)?publish_interaction(_async)? body request_id": _REPEATABLE,
    r"wire get_interactions body start_time": _NO_ZONE,
    r"wire (manual_\w+|run_playbook_aggregation) query wait_for_response": _FOR_THE_HANDLE,
    r"wire set_config body storage_config": "a mapping is sent as it was given, with its type",
    r"wire set_config body (profile_extractor|user_playbook_extractor|agent_success)_config": _NOT_SET,
    # Reflect
    r"reflect \w+ \S+ path project_id": "the client's project, unless a call names another",
    r"reflect GET \S+ query review_status": "None is the official client's word for all",
    r"reflect POST /v1/bootstrap header X-Bootstrap-Token": "an empty token is a mistake",
    r"ReflectClient(\.bootstrap)?\((base_url|api_key)\)": "found in the environment when it is left out",
    r"(ApiKeyInfo|Memory|Trace)\.\w+": "responses have a default for what a server leaves out",
    r"TraceSubmission\.(id|trace_id)": "id is a property: the same as trace_id",
    r"TraceContext\(\w+\)": "made by trace() alone",
    r"reflect_trace\(\w+\)": "the options of trace(); the requests are compared",
    r"reflect MemoryQuery\.(lambda|mmr_lambda)": "shares: documented from 0 to 1",
    r"reflect (MemoryQuery\.limit|SkillCreate\.n_\w+)": "numbers of things",
    r"reflect (Message|Trace(Create)?\.trajectory)": "messages stay the mappings that they were given as",
    r"reflect TraceCreate\.metadata": "None is the official client's word for none",
    r"reflect Trace\.review_status": _WORDS,
    r"reflect ReviewCreate\.trace_id": "travels in the path",
    r"ReflectClient\.(wait_for_trace|create_trace_and_wait)(_async)?\((poll_interval|wait_timeout)\)": (
        "None stands for the client's own, else for the same 0.25 and 60, asking sooner at first"
    ),
}


def reason(what: str) -> str | None:
    """Why ``what`` differs, or None when it must not."""
    return next((why for pattern, why in REASONS.items() if re.fullmatch(pattern, what)), None)
