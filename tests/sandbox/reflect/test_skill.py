"""The skill: one guide per project, made on request from the best memories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from reflexio_async.sandbox import VirtualClock
    from tests.sandbox.reflect.conftest import Reflects


async def test_there_is_no_skill_until_one_is_made(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        assert (await wire.get(wire.at("/skill"))).status == 404
        made = await wire.post(wire.at("/skill/create"))
        assert (await wire.get(wire.at("/skill"))).json == made.json


async def test_a_skill_is_made_of_the_lessons_with_the_highest_q_values(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        for number in range(4):
            wire.box.reflect.seed_memory(f"t{number}", guidance=f"do {number}", q_value=number / 4)
            wire.box.reflect.seed_memory(f"f{number}", key_mistake=f"not {number}", success=False)
        skill = (await wire.post(wire.at("/skill/create"), n_passed=2, n_failed=1)).json
        assert (skill["n_passed"], skill["n_failed"]) == (2, 1)
        lessons = ("do 0", "do 1", "do 2", "do 3", "not 0", "not 1")
        assert [text for text in lessons if text in skill["content"]] == ["do 2", "do 3", "not 0"]


async def test_creating_a_skill_again_makes_a_new_version(reflecting: Reflects, clock: VirtualClock) -> None:
    async with reflecting() as wire:
        first = (await wire.post(wire.at("/skill/create"))).json
        await clock.sleep(1)
        second = (await wire.post(wire.at("/skill/create"))).json
        assert (first["version"], second["version"]) == (1, 2)
        assert first["created_at"] == second["created_at"] < second["updated_at"]


async def test_a_skill_belongs_to_its_project(reflecting: Reflects) -> None:
    async with reflecting() as wire:
        await wire.post(wire.at("/skill/create"))
        assert (await wire.get("/v1/projects/other/skill")).status == 404


@pytest.mark.parametrize("count", [-1, "many"])
async def test_a_skill_of_an_invalid_count_is_refused(reflecting: Reflects, count: object) -> None:
    async with reflecting() as wire:
        assert (await wire.post(wire.at("/skill/create"), n_passed=count)).status == 422
