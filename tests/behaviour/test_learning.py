"""Learning after a publish: when a window opens, and which interactions it has."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.rows import turns, user_playbooks

if TYPE_CHECKING:
    from tests.behaviour.wire import Wire

_WAITING = ("deferred", "waiting_for_window")
_COVERED = ("done", "covered")


class _Speaker:
    """A user whose publishes wait for what can be learnt from them."""

    def __init__(self, wire: Wire, name: str) -> None:
        self._wire = wire
        self._name = name

    async def publish(self, words: str, **fields: Any) -> Any:
        """Publish an interaction per word, with the first word as request id."""
        first, *_ = texts = words.split()
        body = {
            "user_id": self._name,
            "session_id": f"s-{self._name}",
            "agent_version": self._name,
            "request_id": f"{self._name}-{first}",
            "interaction_data_list": [{"role": "user", "content": word} for word in texts],
            **fields,
        }
        answer = await self._wire.send("POST", "/api/publish_interaction?wait_for_response=true", json=body)
        return answer.json

    async def publish_status(self, words: str, **fields: Any) -> tuple[str, str]:
        """How far the learning from it came."""
        answer = await self.publish(words, **fields)
        return answer["learning_status"], answer["learning_reason"]

    async def status(self, first: str) -> tuple[str, str]:
        answer = await self._wire.get("/api/learning_status", request_id=f"{self._name}-{first}")
        return answer.json["status"], answer.json["reason"]

    async def covered(self, first: str) -> None:
        """Wait until all was learnt from a publish."""
        for _ in range(1200):
            if await self.status(first) == _COVERED:
                return
            await asyncio.sleep(0.025)
        message = f"{first} is never learnt from"
        raise AssertionError(message)

    async def learnt(self) -> dict[str, tuple[int, str]]:
        """What was quoted, from how many turns and as whose request."""
        return {
            row["content"].removeprefix("User mentioned: "): (
                len(row["source_interaction_ids"]),
                row["generated_from_request_id"].removeprefix(f"{self._name}-"),
            )
            for row in await self._wire.profiles(self._name)
        }


@pytest.fixture
def user(wire: Wire, name: str) -> _Speaker:
    return _Speaker(wire, name)


def _words(letter: str, count: int) -> str:
    return " ".join(f"{letter}{number}" for number in range(1, count + 1))


async def test_the_first_window_has_ten_interactions_and_the_rest_waits(user: _Speaker) -> None:
    assert await user.publish_status(_words("a", 9)) == _WAITING
    assert await user.learnt() == {}
    assert await user.publish_status(_words("b", 3)) == _WAITING
    assert await user.learnt() == {"b1": (10, "b1")}
    assert await user.status("a1") == _COVERED
    assert await user.status("b1") == ("pending", "waiting_for_window")


async def test_each_further_window_has_eight_new_interactions_and_the_two_before(user: _Speaker) -> None:
    assert await user.publish_status(_words("a", 10)) == _COVERED
    assert await user.publish_status(_words("b", 7)) == _WAITING
    assert await user.publish_status("c1") == _COVERED
    assert await user.learnt() == {"a10": (10, "a1"), "c1": (10, "c1")}


async def test_a_forced_publish_is_learnt_from_to_its_end_window_after_window(user: _Speaker) -> None:
    answer = await user.publish(_words("a", 25), force_extraction=True)
    assert (answer["learning_status"], answer["learning_reason"]) == _COVERED
    assert (answer["profiles_added"], answer["playbooks_added"]) == (3, 3)
    assert await user.learnt() == {"a10": (10, "a1"), "a18": (10, "a1"), "a25": (10, "a1")}


async def test_a_forced_publish_includes_interactions_that_waited(user: _Speaker) -> None:
    await user.publish("a1 a2")
    assert await user.publish_status("b1", force_extraction=True) == _COVERED
    assert await user.status("a1") == _COVERED
    assert await user.learnt() == {"b1": (3, "b1")}


async def test_a_playbook_is_triggered_by_and_quotes_the_last_interaction_of_its_window(
    user: _Speaker, wire: Wire, name: str
) -> None:
    await user.publish("a1 a2 a3", force_extraction=True)
    [playbook] = await user_playbooks(wire, agent_version=name)
    assert playbook["trigger"] == "user says something like 'a3'"
    assert (playbook["source_span"], playbook["request_id"]) == ("a3", f"{name}-a1")


async def test_after_a_short_window_the_next_one_waits_until_it_is_full(user: _Speaker) -> None:
    await user.publish("a1", force_extraction=True)
    assert await user.publish_status(_words("b", 8)) == _WAITING
    assert await user.learnt() == {"a1": (1, "a1")}
    assert await user.publish_status("c1") == _COVERED
    assert await user.learnt() == {"a1": (1, "a1"), "c1": (10, "c1")}


async def test_the_last_publish_of_a_session_is_learnt_from_at_once(user: _Speaker) -> None:
    assert await user.publish_status("a1 a2", session_finished=True) == _COVERED
    assert await user.learnt() == {"a2": (2, "a1")}


async def test_the_end_of_a_session_starts_learning_from_what_waited(
    user: _Speaker, wire: Wire, name: str
) -> None:
    await user.publish("a1 a2")
    await user.publish("b1", session_id=f"other-{name}")
    await wire.post("/api/finalize_session", user_id=name, session_id=f"s-{name}")
    await user.covered("a1")
    assert await user.learnt() == {"a2": (2, "a1")}
    assert await user.status("b1") == ("pending", "waiting_for_window")


async def test_an_evaluation_only_publish_counts_towards_no_window(user: _Speaker) -> None:
    await user.publish(_words("a", 5))
    await user.publish(_words("b", 5), evaluation_only=True)
    assert await user.publish_status(_words("c", 5)) == _COVERED
    assert await user.learnt() == {"c5": (10, "c1")}


async def test_deleted_interactions_count_towards_no_window(user: _Speaker, wire: Wire, name: str) -> None:
    await user.publish(_words("a", 10))
    await wire.delete("/api/delete_request", request_id=f"{name}-a1")
    assert await user.publish_status(_words("b", 9)) == _WAITING
    assert await user.publish_status("c1") == _COVERED
    assert await user.learnt() == {"a10": (10, "a1"), "c1": (10, "c1")}


async def test_a_request_without_interactions_is_not_learnt_from(
    user: _Speaker, wire: Wire, name: str
) -> None:
    await user.publish("a1")
    [turn] = await turns(wire, name)
    await wire.delete("/api/delete_interaction", user_id=name, interaction_id=turn["interaction_id"])
    assert await user.status("a1") == ("done", "inputs_erased")


@pytest.mark.usefixtures("config")
async def test_the_size_of_a_window_is_that_of_the_configuration_when_its_interactions_arrived(
    user: _Speaker, wire: Wire
) -> None:
    await wire.post("/api/update_config", window_size=4, stride_size=3)
    assert await user.publish_status(_words("a", 8)) == _WAITING
    assert await user.learnt() == {"a4": (4, "a1"), "a7": (4, "a1")}
    await wire.post("/api/update_config", window_size=10, stride_size=8)
    assert await user.publish_status(_words("b", 6)) == _WAITING
    assert await user.status("a1") == _COVERED
    assert await user.learnt() == {"a4": (4, "a1"), "a7": (4, "a1"), "b2": (4, "b1")}


async def test_profiles_and_playbooks_may_have_different_windows(
    user: _Speaker, wire: Wire, name: str, config: Any
) -> None:
    own = {**config["profile_extractor_config"], "window_size_override": 3, "stride_size_override": 2}
    await wire.post("/api/update_config", profile_extractor_config=own)
    assert await user.publish_status("a1 a2 a3") == _WAITING
    assert await user.learnt() == {"a3": (3, "a1")}
    assert await user_playbooks(wire, agent_version=name) == []
    answer = await user.publish("b1 b2", force_extraction=True)
    assert (answer["profiles_added"], answer["playbooks_added"]) == (1, 1)


async def test_an_extractor_may_learn_from_some_sources_only(
    user: _Speaker, wire: Wire, name: str, config: Any
) -> None:
    own = {**config["profile_extractor_config"], "request_sources_enabled": ["web"]}
    await wire.post("/api/update_config", profile_extractor_config=own)
    assert await user.publish_status("a1", force_extraction=True) == _COVERED
    assert await user.learnt() == {}
    assert len(await user_playbooks(wire, agent_version=name)) == 1
    await user.publish("b1", source="web", force_extraction=True)
    assert await user.learnt() == {"b1": (1, "b1")}


async def test_learning_that_is_disabled_is_done_at_once(user: _Speaker, wire: Wire, config: Any) -> None:
    manual = {**config["profile_extractor_config"], "manual_trigger": True}
    switched_off = {"profile_extractor_config": manual, "user_playbook_extractor_config": None}
    await wire.post("/api/update_config", **switched_off)
    assert await user.publish_status("a1", force_extraction=True) == ("done", "not_applicable")
