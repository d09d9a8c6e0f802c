"""Calls as users of the official clients write them. The official client sends each, and so does ours.

They are texts, which ``tests/parity/recording.py`` evaluates. ``test_official.py`` checks that every method
of an official client is called, with each parameter once or more.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

MORNING = datetime(2026, 1, 5, 9, tzinfo=UTC)
EVENING = datetime(2026, 1, 5, 18, tzinfo=UTC)
SECOND = 1767603600
TURNS = [{"role": "user", "content": "I like sushi"}, {"role": "assistant", "content": "Noted"}]
WHOLE_TURN = {
    "role": "User",
    "content": "Hi",
    "shadow_content": "S",
    "expert_content": "E",
    "user_action": "click",
    "user_action_description": "d",
    "created_at": SECOND,
    "interacted_image_url": "https://i",
    "tools_used": [{"tool_name": "t", "tool_data": {"a": 1}}],
    "citations": [{"kind": "profile", "real_id": "p"}],
}
PUBLISH: dict[str, Any] = {
    "source": "chat",
    "agent_version": "v1",
    "wait_for_response": True,
    "skip_aggregation": True,
    "force_extraction": True,
    "override_learning_stall": True,
    "retrieval_experiment_id": "x",
    "retrieval_experiment_arm": "holdout",
}
PERIOD: dict[str, Any] = {"start_time": MORNING, "end_time": EVENING}
SECONDS: dict[str, Any] = {"start_time": SECOND, "end_time": SECOND + 60}
SEARCH: dict[str, Any] = {**PERIOD, "query": "food", "top_k": 3, "threshold": 0.4, "search_mode": "fts"}
PROFILES: dict[str, Any] = {
    **SEARCH,
    "user_id": "ana",
    "generated_from_request_id": "r",
    "source": "chat",
    "custom_feature": "diet",
    "extractor_name": "e",
    "tags": ["t"],
    "enable_reformulation": True,
}
AGENT_PLAYBOOKS: dict[str, Any] = {
    **SEARCH,
    "user_id": "ana",
    "agent_version": "v1",
    "playbook_name": "p",
    "source": "chat",
    "status_filter": [None],
    "playbook_status_filter": "approved",
    "tags": ["t"],
    "enable_reformulation": True,
}
USER_PLAYBOOKS: dict[str, Any] = {**AGENT_PLAYBOOKS, "request_id": "r"}
del USER_PLAYBOOKS["playbook_status_filter"]
OF_AGENT: dict[str, Any] = {
    **PERIOD,
    "limit": 5,
    "agent_playbook_id": 7,
    "query": "food",
    "playbook_name": "p",
    "agent_version": "v1",
    "status_filter": [None],
    "playbook_status_filter": "approved",
    "tags": ["t"],
}
OF_USER: dict[str, Any] = {**OF_AGENT, "user_playbook_id": 7, "user_id": "ana", "request_id": "r"}
del OF_USER["agent_playbook_id"], OF_USER["playbook_status_filter"]
EVERYTHING: dict[str, Any] = {
    "query": "food",
    "top_k": 3,
    "threshold": 0.4,
    "agent_version": "v1",
    "playbook_name": "p",
    "user_id": "ana",
    "source": "chat",
    "tags": ["t"],
    "entity_types": ["profiles"],
    "agent_playbook_status_filter": ["approved"],
    "enable_reformulation": True,
    "enable_agent_answer": True,
    "conversation_history": [{"role": "user", "content": "Hi"}],
    "search_mode": "fts",
    "request_id": "r",
    "interaction_id": 7,
}
OUTCOME: dict[str, Any] = {
    "outcome": "success",
    "occurred_at": SECOND,
    "label": "l",
    "value": 0.5,
    "metadata": {"k": 1},
}
OUTCOMES: dict[str, Any] = {
    **SECONDS,
    "user_id": "ana",
    "source": "chat",
    "outcome": "success",
    "label": "l",
    "top_k": 5,
    "offset": 10,
}
PROFILE = {
    "user_id": "ana",
    "content": "Likes tea",
    "profile_id": "p",
    "generated_from_request_id": "r",
    "last_modified_timestamp": SECOND,
}
LESSON = {"agent_version": "v1", "request_id": "r", "content": "Greet"}
AGENT_LESSON = {
    "agent_version": "v1",
    "content": "Greet",
    "playbook_status": "approved",
    "playbook_metadata": "",
}
WORDING: dict[str, Any] = {"playbook_name": "p", "content": "c", "trigger": "t", "rationale": "w"}


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


REFLEXIO = _lines("""
# interactions
client.publish_interaction('ana', TURNS, session_id='s')
client.publish_interaction('ana', TURNS, 'chat', 'v1', 's', True, True, True)
client.publish_interaction(user_id='ana', interactions=TURNS, session_id='s', **PUBLISH)
client.publish_interaction_async(user_id='ana', interactions=TURNS, session_id='s', **PUBLISH)
client.publish_interaction('ana', TURNS, session_id='s', evaluation_only=True, session_finished=True)
client.publish_interaction_async('ana', TURNS, session_id='s', evaluation_only=True, session_finished=True)
client.publish_interaction('ana', [WHOLE_TURN], session_id='s')
client.publish_interaction('ana', [InteractionData(role='User', content='Hi')], session_id='s')
client.publish_interaction('ana', [{'content': 'Hi', 'unknown_key': 1}], session_id='s')
client.search_interactions(user_id='ana')
client.search_interactions(user_id='ana', request_id='r', most_recent_k=2, **SEARCH)
client.search_interactions(SearchInteractionRequest(user_id='ana', query='food'))
client.get_interactions(user_id='ana')
client.get_interactions(user_id='ana', top_k=5, **PERIOD)
client.get_interactions({'user_id': 'ana', 'top_k': 5})
client.get_interactions(user_id='ana', start_time=MORNING.replace(tzinfo=None))
client.get_all_interactions()
client.get_all_interactions(5)
client.get_all_interactions(limit=5)
client.get_requests()
client.get_requests(user_id='ana', request_id='r', session_id='s', source='chat', top_k=5, **PERIOD)
client.get_requests({'user_id': 'ana', 'session_id': 's'})
client.get_learning_status('r/1 ?')
client.get_learning_status(request_id='r')
client.delete_interaction('ana', 7)
client.delete_interaction('ana', 7, True)
client.delete_interaction(user_id='ana', interaction_id=7, wait_for_response=True)
client.delete_request('r')
client.delete_request(request_id='r', wait_for_response=True)
client.delete_requests_by_ids(['r'])
client.delete_requests_by_ids(request_ids=['r'])
client.delete_all_interactions()

# sessions
client.finalize_session('ana', 's')
client.finalize_session(user_id='ana', session_id='s')
client.finalize_session_async(user_id='ana', session_id='s')
client.mark_session_outcome(session_id='s', outcome='failure', occurred_at=SECOND)
client.mark_session_outcome(session_id='s', **OUTCOME)
client.get_session_outcomes()
client.get_session_outcomes(session_ids=['s'], **OUTCOMES)
client.delete_session('s')
client.delete_session(session_id='s', wait_for_response=True)

# profiles
client.search_user_profiles(user_id='ana', query='food')
client.search_user_profiles(**PROFILES)
client.search_user_profiles(SearchUserProfileRequest(user_id='ana', query='food'))
client.search_profiles(**PROFILES)
client.search_profiles({'user_id': 'ana', 'query': 'food'})
client.rerank_user_profiles(user_id='ana', query='food', profile_ids=['p'], top_k=3)
client.rerank_user_profiles({'user_id': 'ana', 'query': 'food', 'profile_ids': ['p']})
client.get_profiles(user_id='ana')
client.get_profiles({'user_id': 'ana', 'top_k': 5}, True)
client.get_profiles(user_id='ana', status_filter=[None, 'pending'], force_refresh=True)
client.get_profiles(user_id='ana', profile_id='p', query='food', top_k=5, source='chat', tags=['t'], **PERIOD)
client.get_profiles(user_id='ana', profile_time_to_live='one_day', status_filter=[Status.PENDING])
client.get_all_profiles()
client.get_all_profiles(5, 'pending')
client.get_all_profiles(limit=5, status_filter='archived', user_id='ana', profile_id='p', query='a b')
client.get_all_profiles(source='chat', profile_time_to_live='one_day', date_field='created_at', **SECONDS)
client.get_profile_change_log()
client.storage_stats('ana')
client.storage_stats(user_id='ana')
client.add_user_profile([PROFILE])
client.add_user_profile(user_profiles=[UserProfile(profile_time_to_live='one_day', source='chat', **PROFILE)])
client.delete_profile('ana', 'p')
client.delete_profile('ana', search_query='food', wait_for_response=True)
client.delete_profile(user_id='ana', profile_id='p', search_query='', wait_for_response=True)
client.delete_profiles_by_ids(['p'])
client.delete_profiles_by_ids(profile_ids=['p'])
client.delete_all_profiles()
client.rerun_profile_generation(user_id='ana')
client.rerun_profile_generation({'user_id': 'ana'}, True)
client.rerun_profile_generation(RerunProfileGenerationRequest(user_id='ana'), wait_for_response=True)
client.rerun_profile_generation(user_id='ana', source='chat', extractor_names=['e'], **PERIOD)
client.manual_profile_generation()
client.manual_profile_generation({'user_id': 'ana'})
client.manual_profile_generation(user_id='ana', source='chat', extractor_names=['e'])
client.upgrade_profiles()
client.upgrade_profiles(user_id='ana', only_affected_users=False)

# playbooks
client.search_user_playbooks(query='food')
client.search_user_playbooks(session_id='s', **USER_PLAYBOOKS)
client.search_user_playbooks({'query': 'food', 'top_k': 3})
client.search_agent_playbooks(query='food')
client.search_agent_playbooks(**AGENT_PLAYBOOKS)
client.search_agent_playbooks({'query': 'food', 'top_k': 3})
client.get_user_playbooks()
client.get_user_playbooks(**OF_USER)
client.get_user_playbooks({'limit': 5, 'agent_version': 'v1'})
client.get_user_playbooks(status_filter=[Status.ARCHIVED])
client.get_agent_playbooks()
client.get_agent_playbooks({'limit': 5}, True)
client.get_agent_playbooks(force_refresh=True, **OF_AGENT)
client.add_user_playbook([LESSON])
client.add_user_playbook(user_playbooks=[UserPlaybook(user_id='ana', trigger='t', rationale='w', **LESSON)])
client.add_agent_playbooks([AGENT_LESSON])
client.add_agent_playbooks(agent_playbooks=[AgentPlaybook(**AGENT_LESSON)])
client.update_user_playbook(7, content='Greet politely')
client.update_user_playbook(user_playbook_id=7, **WORDING)
client.update_agent_playbook(7, content='Greet politely')
client.update_agent_playbook(agent_playbook_id=7, playbook_status='approved', **WORDING)
client.update_agent_playbook_status(7, playbook_status='approved')
client.update_agent_playbook_status(agent_playbook_id=7, playbook_status=PlaybookStatus.REJECTED)
client.review_user_playbooks(**PERIOD)
client.review_user_playbooks(top_k=5, report_only=False, **PERIOD)
client.delete_user_playbook(7)
client.delete_user_playbook(user_playbook_id=7, wait_for_response=True)
client.delete_agent_playbook(7)
client.delete_agent_playbook(agent_playbook_id=7, wait_for_response=True)
client.delete_user_playbooks_by_ids([7])
client.delete_user_playbooks_by_ids(user_playbook_ids=[7])
client.delete_agent_playbooks_by_ids([7])
client.delete_agent_playbooks_by_ids(agent_playbook_ids=[7])
client.delete_all_user_playbooks()
client.delete_all_agent_playbooks()
client.delete_all_playbooks()
client.rerun_playbook_generation()
client.rerun_playbook_generation({'agent_version': 'v1'}, True)
client.rerun_playbook_generation(agent_version='v1', playbook_name='p', wait_for_response=True, **PERIOD)
client.manual_playbook_generation()
client.manual_playbook_generation({'agent_version': 'v1'})
client.manual_playbook_generation(agent_version='v1', source='chat', playbook_name='p')
client.upgrade_user_playbooks()
client.upgrade_user_playbooks(agent_version='v1', playbook_name='p')
client.run_playbook_aggregation()
client.run_playbook_aggregation({'agent_version': 'v1', 'playbook_name': 'p'}, True)
client.run_playbook_aggregation(agent_version='v1', playbook_name='p', wait_for_response=True)
client.submit_playbook_aggregation(request_id='r', agent_version='v1')
client.get_playbook_aggregation_operation('o/1 ?')
client.get_playbook_aggregation_operation(operation_id='o')

# search and evaluation
client.search(query='food')
client.search(session_id='s', **EVERYTHING)
client.search_async(session_id='s', **EVERYTHING)
client.search({'query': 'food', 'user_id': 'ana'})
client.search_async({'query': 'food', 'user_id': 'ana'})
client.get_agent_success_evaluation_results()
client.get_agent_success_evaluation_results(limit=5, agent_version='v1', **PERIOD)
client.get_agent_success_evaluation_results({'limit': 5})
client.get_retrieved_learning_evaluation_results()
client.get_retrieved_learning_evaluation_results(user_id='ana', session_id='s', limit=5, **PERIOD)
client.get_retrieved_learning_evaluation_results({'limit': 5})
client.regenerate_evaluations(from_ts=SECOND, to_ts=SECOND + 60)
client.regenerate_evaluations({'from_ts': SECOND, 'to_ts': SECOND + 60})
client.regenerate_evaluations(from_ts=SECOND, to_ts=SECOND + 60, evaluation_name='e')
client.get_evaluation_regeneration_status('j')
client.get_evaluation_regeneration_status(job_id='j')
client.cancel_evaluation_regeneration('j')
client.cancel_evaluation_regeneration(job_id='j')
client.grade_on_demand(session_id='s', agent_version='v1')
client.grade_on_demand(session_id='s', agent_version='v1', evaluation_name='e')
client.grade_on_demand({'session_id': 's', 'agent_version': 'v1'})
client.list_retrieval_experiments()
client.start_retrieval_experiment('x', 20.0)
client.start_retrieval_experiment(experiment_id='x', holdout_percentage=20.0)
client.stop_retrieval_experiment('x')
client.stop_retrieval_experiment(experiment_id='x')
client.get_retrieval_experiment_results('x')
client.get_retrieval_experiment_results(experiment_id='x')

# configuration
client.get_config()
client.set_config({'storage_config': {'type': 'sqlite', 'db_path': '/d'}, 'window_size': 12})
client.set_config(Config(storage_config=StorageConfigSQLite(db_path='/d'), window_size=12))
client.set_config(config=Config(storage_config=None, agent_context_prompt='c'))
client.update_config({'window_size': 12})
client.update_config(partial={'window_size': None})
client.invalidate_cache()
client.invalidate_cache('o')
client.invalidate_cache(org_id='o')
client.whoami()
client.get_my_config()
client.get_stall_state()
client.mark_stall_notified()

# the rest
client.list_pending_tool_calls()
client.list_pending_tool_calls('pending', 5)
client.list_pending_tool_calls(status='pending', limit=5)
client.get_pending_tool_call('t')
client.get_pending_tool_call(pending_tool_call_id='t')
client.resolve_pending_tool_call('t', answer='yes')
client.resolve_pending_tool_call(pending_tool_call_id='t', result={'a': 1}, valid_for_seconds=60)
client.update_pending_tool_call_answer('t', 'yes')
client.update_pending_tool_call_answer(pending_tool_call_id='t', answer='yes', valid_for_seconds=60)
client.mark_pending_tool_call_not_applicable('t')
client.mark_pending_tool_call_not_applicable(pending_tool_call_id='t', valid_for_seconds=60)
client.cancel_pending_tool_call('t')
client.cancel_pending_tool_call(pending_tool_call_id='t')
client.clear_user_data('ana')
client.clear_user_data(user_id='ana')

# the view of one session
client.for_session(session_id='s').search(query='food')
client.for_session(' s ').search(query='food')
session.publish_interaction('ana', TURNS)
session.publish_interaction(user_id='ana', interactions=TURNS, session_id='s', **PUBLISH)
session.publish_interaction_async(user_id='ana', interactions=TURNS, session_id='s', **PUBLISH)
session.publish_interaction('ana', TURNS, evaluation_only=True, session_finished=True)
session.publish_interaction_async('ana', TURNS, evaluation_only=True, session_finished=True)
session.search({'query': 'food'})
session.search(session_id='s', **EVERYTHING)
session.search_async(session_id='s', **EVERYTHING)
session.search_async({'query': 'food'})
session.search_user_profiles(**PROFILES)
session.search_user_profiles(SearchUserProfileRequest(user_id='ana', query='food'))
session.search_profiles(**PROFILES)
session.search_profiles({'user_id': 'ana', 'query': 'food'})
session.search_user_playbooks(session_id='s', **USER_PLAYBOOKS)
session.search_user_playbooks({'query': 'food'})
session.search_agent_playbooks(**AGENT_PLAYBOOKS)
session.search_agent_playbooks({'query': 'food'})
session.get_agent_playbooks({'limit': 5}, True)
session.get_agent_playbooks(force_refresh=True, **OF_AGENT)
session.get_requests({'top_k': 5})
session.get_requests(user_id='ana', request_id='r', session_id='s', source='chat', top_k=5, **PERIOD)
session.finalize_session('ana')
session.finalize_session(user_id='ana', session_id='s')
session.finalize_session_async(user_id='ana', session_id='s')
session.mark_session_outcome(session_id='s', **OUTCOME)
session.mark_session_outcome(outcome='success', occurred_at=SECOND)
session.get_session_outcomes()
session.get_session_outcomes(session_ids=['s'], **OUTCOMES)
session.delete_session()
session.delete_session('s', True)
session.delete_session(session_id='s', wait_for_response=True)
session.get_retrieved_learning_evaluation_results({'limit': 5})
session.get_retrieved_learning_evaluation_results(user_id='ana', session_id='s', limit=5, **PERIOD)
session.grade_on_demand({'agent_version': 'v1'})
session.grade_on_demand(session_id='s', agent_version='v1', evaluation_name='e')
session.get_interactions(user_id='ana')
""")
"""For ``reflexio.ReflexioClient``; ``session`` is ``client.for_session('s')``."""

MESSAGES = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
JSON_MESSAGES = '[{"role": "user", "content": "2 + 2?"}]'
QUERY: dict[str, Any] = {
    "task": "add",
    "limit": 3,
    "lambda_": 0.7,
    "metadata_filter": {"k": 1},
    "similarity_threshold": 0.4,
    "mmr_lambda": 0.9,
}
TRACE: dict[str, Any] = {
    "task": "add",
    "trajectory": MESSAGES,
    "final_response": "4",
    "retrieved_memory_ids": ["m"],
    "model": "gpt",
    "metadata": {"k": 1},
    "review_result": "success",
    "feedback_text": "right",
    "reference_context": "c",
    "alpha": 0.3,
}
WAIT: dict[str, Any] = {"poll_interval": 0.1, "wait_timeout": 5}
MEMORY: dict[str, Any] = {
    "task": "add",
    "summary": "s",
    "guidance": "g",
    "result": "fail",
    "key_mistake": "k",
    "correct_action": "c",
    "applicable_tools": ["t"],
    "retrieved_memory_ids": ["m"],
}
CONTEXT: dict[str, Any] = {
    **QUERY,
    "blocking": False,
    "auto_fail_on_exception": False,
    "reference_context": "c",
    "alpha": 0.3,
}
OUTPUT: dict[str, Any] = {
    "trajectory": MESSAGES,
    "final_response": "4",
    "result": "pass",
    "feedback_text": "f",
    "model": "gpt",
    "metadata": {"k": 1},
    "task": "sum",
    "alpha": 0.1,
}
DECORATION: dict[str, Any] = {
    "limit": 3,
    "lambda_": 0.7,
    "mmr_lambda": 0.9,
    "blocking": False,
    "auto_fail_on_exception": False,
}
IN_CAPITALS = str.upper
FIRST_KEY: dict[str, Any] = {"bootstrap_token": "b", "user_id": "u", "project_id": "p"}

REFLECT = _lines("""
client.health()
client.query_memories('add')
client.query_memories(**QUERY)
client.query_memories_async(**QUERY)
client.augment_with_memories('add')
client.augment_with_memories(**QUERY)
client.augment_with_memories_async(**QUERY)
client.create_trace(task='add', trajectory=MESSAGES)
client.create_trace(task='add', trajectory='The user asked, and I said 4.')
client.create_trace(task='add', trajectory=JSON_MESSAGES)
client.create_trace(task='add', trajectory=MESSAGES, review_result='failure')
client.create_trace(**TRACE)
client.create_trace_async(**TRACE)
client.create_trace_and_wait(**TRACE, **WAIT)
client.create_trace_and_wait_async(**TRACE, **WAIT)
client.create_memory(task='add', summary='s', guidance='g', result='pass')
client.create_memory(**MEMORY)
client.create_memory_async(**MEMORY)
client.wait_for_trace('t')
client.wait_for_trace(trace_id='t', require_reviewed=True, **WAIT)
client.wait_for_trace_async(trace_id='t', require_reviewed=True, **WAIT)
client.list_traces()
client.list_traces(review_status='pending')
client.get_trace('t')
client.get_trace(trace_id='t')
client.get_trace_async(trace_id='t')
client.review_trace('t', result='pass')
client.review_trace(trace_id='t', result='failure', feedback_text='f', alpha=0.3)
client.delete_traces(['t'])
client.delete_traces(trace_ids=['t'])
client.get_skill()
client.get_skill_async()
client.create_skill()
client.create_skill(n_passed=3, n_failed=2)
client.list_api_keys()
client.create_api_key(label='l', scopes=['memory:read'])
client.create_api_key(label='l', scopes=['memory:read'], environment='test')
client.revoke_api_key('k')
client.revoke_api_key(key_id='k')
client.delete_project()
ReflectClient.bootstrap(base_url=URL, **FIRST_KEY)
ReflectClient.bootstrap(base_url=URL, key_label='l', environment='test', timeout=5, **FIRST_KEY)
traced(client.trace('add'), trajectory=MESSAGES)
traced(client.trace('add'), trajectory='I said 4.', result='pass')
traced(client.trace('add', blocking=True), trajectory=MESSAGES, result='fail', feedback_text='wrong')
traced(client.trace(**CONTEXT), **OUTPUT)
traced(client.trace_async(**CONTEXT), **OUTPUT)
decorated(reflect_trace(client), 'add')
decorated(reflect_trace(client, task='sum', **DECORATION), 'add')
decorated(reflect_trace(client, task=IN_CAPITALS, inject_context=False), 'add')
""")
"""For ``reflect_sdk.ReflectClient``; ``traced`` enters a context, sets its output and leaves it.

``decorated`` calls a decorated function, which returns "4".
"""


def called(call: str) -> str:
    """The method that a call's text calls, for example ``search`` or ``session.search``."""
    name = call.removeprefix("traced(").removeprefix("decorated(").partition("(")[0]
    return name.removeprefix("ReflectClient.").removeprefix("client.")
