"""Which interactions a generation reads, in which order, and what it quotes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.behaviour.rows import user_playbooks

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire

_LONG_AGO = int(time.time()) - 86400


async def _publish(wire: Wire, name: str, *requests: tuple[int, str]) -> None:
    """Publish a request per second, with an interaction per word."""
    for number, (second, words) in enumerate(requests):
        turns = [
            {"role": "user", "content": word, "created_at": _LONG_AGO + second} for word in words.split()
        ]
        given = {"request_id": f"{name}-{number}", "agent_version": name, "interaction_data_list": turns}
        assert (await wire.publish(name, **given))["success"]


@pytest.mark.parametrize(
    ("requests", "learnt"),
    [
        ([(0, "a1 a2"), (1, "b1 b2")], ("b1", "b2", 4)),
        ([(1, "a1 a2"), (0, "b1 b2")], ("a1", "a2", 4)),
        ([(0, "a1 a2"), (0, "b1 b2")], ("a1", "b2", 4)),
        ([(0, "a1 a2"), (1, "b1 b2 b3 b4 b5 b6 b7 b8 b9")], ("b1", "b9", 10)),
        ([(0, "a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 a12")], ("a3", "a12", 10)),
    ],
    ids=["in order", "arrived later", "in one second", "ten over two requests", "ten of one request"],
)
async def test_a_rerun_reads_the_newest_ten_interactions_and_quotes_the_first_of_the_latest_second(
    wire: Wire, name: str, requests: list[tuple[int, str]], learnt: tuple[str, str, int]
) -> None:
    quoted, evidence, read = learnt
    await _publish(wire, name, *requests)
    await wire.post("/api/rerun_profile_generation", user_id=name)
    await wire.ended()
    await wire.post("/api/rerun_playbook_generation", agent_version=name)
    await wire.ended("playbook_generation")
    [profile] = await wire.profiles(name, "pending")
    [playbook] = await user_playbooks(wire, agent_version=name, status_filter=["pending"])
    assert profile["content"] == f"User mentioned: {quoted}"
    assert len(profile["source_interaction_ids"]) == read
    assert playbook["trigger"] == f"user says something like '{quoted}'"
    assert playbook["source_span"] == evidence


@pytest.mark.usefixtures("config")
async def test_a_rerun_reads_as_many_interactions_as_a_window_has(wire: Wire, name: str) -> None:
    await _publish(wire, name, (0, "a1 a2 a3 a4 a5"))
    await wire.post("/api/update_config", window_size=3, stride_size=2)
    await wire.post("/api/rerun_profile_generation", user_id=name)
    await wire.ended()
    [profile] = await wire.profiles(name, "pending")
    assert (profile["content"], len(profile["source_interaction_ids"])) == ("User mentioned: a3", 3)


async def test_a_trigger_quotes_fifty_characters(wire: Wire, name: str) -> None:
    await _publish(wire, name, (0, "x" * 60))
    await wire.post("/api/rerun_playbook_generation", agent_version=name)
    await wire.ended("playbook_generation")
    [playbook] = await user_playbooks(wire, agent_version=name, status_filter=["pending"])
    assert playbook["trigger"] == f"user says something like '{'x' * 50}'"
    assert playbook["source_span"] == "x" * 60
