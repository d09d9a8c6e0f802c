"""Seeding: which rows a sandbox takes, and which it refuses."""

from __future__ import annotations

from operator import methodcaller
from typing import TYPE_CHECKING

import pytest

from reflexio_async.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

_TEXTS = "expected texts, at least one and none blank, not"
_FILLED = "expected text that is not blank, not"


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (methodcaller("seed", ""), f"seed: user_id: {_FILLED} ''"),
        (methodcaller("seed", 5), f"seed: user_id: {_FILLED} 5"),
        (methodcaller("seed", "u", "a", " "), f"seed: texts: {_TEXTS} ('a', ' ')"),
        (methodcaller("seed", "u", 5), f"seed: texts: {_TEXTS} (5,)"),
        (methodcaller("seed", "u", "\ud800"), f"seed: texts: {_TEXTS} "),
        (methodcaller("seed", "u", "a" * 1_000_001), "seed: texts: String should have at most 1000000"),
        (methodcaller("seed", "u", session_id=""), f"seed: session_id: {_FILLED} ''"),
        (methodcaller("seed", "u", agent_version=None), "seed: agent_version: expected text, not None"),
        (methodcaller("seed", "u", source="No Source"), "seed: source: String should match pattern"),
        (methodcaller("seed_profile", "u"), f"seed_profile: contents: {_TEXTS} ()"),
        (methodcaller("seed_profile", "u", 5), f"seed_profile: contents: {_TEXTS} (5,)"),
        (methodcaller("seed_profile", None, "a"), f"seed_profile: user_id: {_FILLED} None"),
        (
            methodcaller("seed_profile", "u", "a", status="nope"),
            "seed_profile: status: expected pending, archived or None, not 'nope'",
        ),
        (methodcaller("seed_profile", "u", "a", source=1), "seed_profile: source: expected text, not 1"),
        (
            methodcaller("seed_profile", "u", "a", tags="abc"),
            "seed_profile: tags: expected a list of texts, not 'abc'",
        ),
        (methodcaller("seed_profile", "u", "a", tags=[1]), "seed_profile: tags: expected a list of texts"),
        (methodcaller("seed_playbook", "u", None), f"seed_playbook: contents: {_TEXTS} (None,)"),
        (
            methodcaller("seed_playbook", "u", "a", status="CURRENT"),
            "seed_playbook: status: expected pending, archived or None, not 'CURRENT'",
        ),
        (
            methodcaller("seed_playbook", "u", "a", trigger=1),
            "seed_playbook: trigger: expected text or None, not 1",
        ),
        (
            methodcaller("seed_agent_playbook", ["a", "b"]),
            f"seed_agent_playbook: contents: {_TEXTS} (['a', 'b'],)",
        ),
        (
            methodcaller("seed_agent_playbook", "a", approval="yes"),
            "seed_agent_playbook: approval: expected pending, approved or rejected, not 'yes'",
        ),
        (methodcaller("seed_memory", ""), f"seed_memory: task: {_FILLED} ''"),
        (methodcaller("seed_memory", None), f"seed_memory: task: {_FILLED} None"),
        (
            methodcaller("seed_memory", "t", q_value=5),
            "seed_memory: q_value: expected a number from 0 to 1, or None, not 5",
        ),
        (methodcaller("seed_memory", "t", q_value="x"), "seed_memory: q_value: expected a number"),
        (
            methodcaller("seed_memory", "t", q_value=float("nan")),
            "seed_memory: q_value: expected a number from 0 to 1, or None, not nan",
        ),
        (
            methodcaller("seed_memory", "t", success="yes"),
            "seed_memory: success: expected True, False or None, not 'yes'",
        ),
        (
            methodcaller("seed_memory", "t", tools_used="search"),
            "seed_memory: tools_used: expected a list of texts, not 'search'",
        ),
        (
            methodcaller("seed_memory", "t", metadata={"a": object()}),
            "seed_memory: metadata: expected JSON by names, or None",
        ),
        (
            methodcaller("seed_memory", "t", metadata={1: "a"}),
            "seed_memory: metadata: expected JSON by names, or None, not {1: 'a'}",
        ),
    ],
)
async def test_an_invalid_seed_is_refused_and_nothing_is_stored(
    seed: Callable[[object], object], message: str
) -> None:
    async with Sandbox() as box:
        before = box.snapshot()
        with pytest.raises(ValueError) as refusal:  # noqa: PT011  # its message is compared below
            seed(box.reflect if message.startswith("seed_memory") else box)
        assert str(refusal.value).startswith(message)
        assert box.snapshot() == before


async def test_a_valid_seed_is_stored() -> None:
    async with Sandbox() as box:
        box.seed("ana", "I like tea", session_id="s", source="chat")
        box.seed_profile("ana", "likes tea", status="pending", tags=("drinks",))
        box.seed_playbook("ana", "offer tea", status="archived", trigger="thirst")
        box.seed_agent_playbook("offer drinks", approval="approved")
        memory = box.reflect.seed_memory("brew", q_value=1, success=None, metadata={"a": [1]})
        assert len(box.stored_requests) == 1
        assert [(row.status, row.tags) for row in box.stored_profiles] == [("pending", ["drinks"])]
        assert [(row.status, row.trigger) for row in box.stored_playbooks] == [("archived", "thirst")]
        assert [row.playbook_status for row in box.stored_agent_playbooks] == ["approved"]
        assert box.reflect.memories() == [memory]


@pytest.mark.parametrize(
    ("mistake", "named"),
    [
        (methodcaller("operations", "nope"), "expected one of profile_generation"),
        (methodcaller("start_foreign_operation", "nope"), "expected one of profile_generation"),
        (methodcaller("start_foreign_operation", seconds=-1), "start_foreign_operation: seconds"),
        (methodcaller("ask", None), "ask: question"),
        (methodcaller("stall", "hungry"), "stall: reason"),
        (methodcaller("skew", "x"), "skew: seconds"),
        (methodcaller("skew", float("nan")), "skew: seconds"),
    ],
    ids=["operations", "service", "seconds", "ask", "stall", "skew", "skew by nothing"],
)
async def test_arguments_of_other_methods_are_checked_too(
    mistake: Callable[[Sandbox], object], named: str
) -> None:
    async with Sandbox() as box:
        with pytest.raises(ValueError, match=named):
            mistake(box)
