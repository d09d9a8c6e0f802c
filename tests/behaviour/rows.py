"""Helpers that write and read rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire


async def add_profiles(wire: Wire, user_id: str, *contents: str, **fields: Any) -> list[str]:
    """Profiles of a user, one for each of ``contents``; their ids."""
    ids = [f"{user_id}-{content.replace(' ', '-')}" for content in contents]
    rows = [
        {
            "profile_id": profile_id,
            "user_id": user_id,
            "content": content,
            "last_modified_timestamp": 1_700_000_000,
            "generated_from_request_id": f"r-{user_id}",
            **fields,
        }
        for profile_id, content in zip(ids, contents, strict=True)
    ]
    answer = (await wire.post("/api/add_user_profile", user_profiles=rows)).json
    count = len(rows)
    assert answer == {"success": True, "message": f"Added {count} profile(s)", "added_count": count}
    return ids


async def add_playbooks(wire: Wire, user_id: str, *contents: str, **fields: Any) -> list[int]:
    """User playbooks of a user and of the agent version of this name; their ids, oldest first."""
    common = {"user_id": user_id, "agent_version": user_id, "request_id": f"r-{user_id}"}
    rows = [{**common, "playbook_name": "playbook", "content": content, **fields} for content in contents]
    answer = (await wire.post("/api/add_user_playbook", user_playbooks=rows)).json
    assert answer == {"success": True, "message": f"Added {len(rows)} item(s)", "added_count": len(rows)}
    found = await user_playbooks(wire, agent_version=user_id)
    return [row["user_playbook_id"] for row in found[: len(rows)]][::-1]


async def user_playbooks(wire: Wire, **fields: Any) -> list[Any]:
    answer = await wire.post("/api/get_user_playbooks", **fields)
    return list(answer.json["user_playbooks"])


async def add_agent_playbooks(wire: Wire, agent_version: str, *contents: str, **fields: Any) -> list[int]:
    """Agent playbooks of a version; their ids, oldest first."""
    rows = [{"agent_version": agent_version, "content": content, **fields} for content in contents]
    answer = (await wire.post("/api/add_agent_playbook", agent_playbooks=rows)).json
    assert answer == {"success": True, "message": f"Added {len(rows)} item(s)", "added_count": len(rows)}
    found = await agent_playbooks(wire, agent_version=agent_version)
    return [row["agent_playbook_id"] for row in found[: len(rows)]][::-1]


async def agent_playbooks(wire: Wire, **fields: Any) -> list[Any]:
    answer = await wire.post("/api/get_agent_playbooks", **fields)
    return list(answer.json["agent_playbooks"])


async def turns(wire: Wire, user_id: str, **fields: Any) -> list[Any]:
    answer = await wire.post("/api/get_interactions", user_id=user_id, **fields)
    return list(answer.json["interactions"])
