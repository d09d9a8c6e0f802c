"""Closed words are given as members or as their texts: never run, but read by mypy and pyright in CI.

Lines that must be errors carry an ignore, and both checkers report an ignore that is not needed.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import TYPE_CHECKING

from reflexio_async import Status
from reflexio_async.reflexio.models.enums import PlaybookStatus, SearchMode, SessionOutcomeKind

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient


async def members_and_their_texts(client: AsyncReflexioClient) -> None:
    await client.search(query="sushi", search_mode=SearchMode.FTS)
    await client.search(query="sushi", search_mode="fts")
    await client.get_profiles(user_id="u", status_filter=[Status.PENDING, "archived", None])
    await client.search_agent_playbooks(playbook_status_filter=[PlaybookStatus.APPROVED, "pending"])
    await client.update_agent_playbook_status(7, playbook_status="approved")
    await client.mark_session_outcome(session_id="s", occurred_at=1, outcome="success")
    await client.mark_session_outcome(session_id="s", occurred_at=1, outcome=SessionOutcomeKind.FAILURE)


async def other_words_are_errors(client: AsyncReflexioClient) -> None:
    await client.search(query="sushi", search_mode="fuzzy")  # type: ignore[call-overload]
    await client.get_profiles(user_id="u", status_filter=["gone"])  # type: ignore[list-item]
    await client.update_agent_playbook_status(7, playbook_status="fine")  # type: ignore[arg-type]
