"""Closed words are given as members or as their texts: never run, but read by mypy and pyright in CI.

Lines that must be errors carry an ignore, and both checkers report an ignore that is not needed.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

from reflexio_async import (
    AsyncReflexioClient,
    Config,
    Memory,
    MemoryResponse,
    PlaybookConfig,
    ReflexioClient,
    Status,
)
from reflexio_async.reflexio.models.enums import PlaybookStatus, SearchMode, SessionOutcomeKind


async def members_and_their_texts(client: AsyncReflexioClient) -> None:
    await client.search(query="sushi", search_mode=SearchMode.FTS)
    await client.search(query="sushi", search_mode="fts")
    await client.get_profiles(user_id="u", status_filter=[Status.PENDING, "archived", None])
    await client.search_agent_playbooks(playbook_status_filter=[PlaybookStatus.APPROVED, "pending"])
    await client.update_agent_playbook_status(7, playbook_status="approved")
    await client.mark_session_outcome(session_id="s", occurred_at=1, outcome="success")
    await client.mark_session_outcome(session_id="s", occurred_at=1, outcome=SessionOutcomeKind.FAILURE)


async def none_stands_for_the_servers_default(client: AsyncReflexioClient) -> None:
    await client.search(query="sushi", search_mode=None)
    await client.rerank_user_profiles(user_id="u", query="q", profile_ids=["p"], top_k=None)
    await client.rerun_playbook_generation(agent_version=None)
    await client.run_playbook_aggregation(agent_version=None, playbook_name=None)
    await client.get_retrieved_learning_evaluation_results(limit=None)
    assert_type(Status.CURRENT, None)
    await client.get_profiles(user_id="u", status_filter=[Status.CURRENT, Status.PENDING])


async def official_names_are_our_classes(client: AsyncReflexioClient) -> None:
    async with ReflexioClient(url_endpoint="http://127.0.0.1:1") as official:
        assert_type(official, AsyncReflexioClient)
    memories: list[MemoryResponse] = await client.reflect.query_memories("t")
    assert_type(memories[0], Memory)
    config = Config(user_playbook_extractor_config=PlaybookConfig(extraction_definition_prompt="x"))
    assert_type(config, Config)


async def other_words_are_errors(client: AsyncReflexioClient) -> None:
    await client.search(query="sushi", search_mode="fuzzy")  # type: ignore[call-overload]
    await client.get_profiles(user_id="u", status_filter=["gone"])  # type: ignore[list-item]
    await client.update_agent_playbook_status(7, playbook_status="fine")  # type: ignore[arg-type]
