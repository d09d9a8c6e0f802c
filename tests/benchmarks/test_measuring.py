"""Candidates take turns, work that was not done is noticed, and the static server counts."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from benchmarks import answers, by_hand, rounds, static_server
from benchmarks.allocated import bytes_per_item
from benchmarks.rounds import Cost
from reflexio_async.reflexio.models.profiles import GetProfilesViewResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.static_server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with static_server.running() as running:
        yield running


def ask(server: Server, method: str, path: str) -> tuple[int, bytes]:
    where = urlsplit(server.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port)
    try:
        connection.request(method, path, body=b"{}")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


async def test_each_candidate_is_first_in_turn_and_the_first_round_is_not_counted() -> None:
    order: list[str] = []

    def candidate(name: str) -> rounds.Round:
        async def run() -> Cost:
            await asyncio.sleep(0)
            order.append(name)
            return Cost(wall=2.0, cpu=1.0)

        return run

    costs = await rounds.alternate({"a": candidate("a"), "b": candidate("b")}, rounds=3)
    assert "".join(order) == "abbaabba"
    assert len(costs) == 3


async def test_calls_that_bring_too_few_items_are_noticed() -> None:
    async def lazy() -> int:
        await asyncio.sleep(0)
        return 0

    with pytest.raises(AssertionError, match="0 items arrived in 4 calls, not 20 each"):
        await rounds.timed(lazy, calls=4, in_flight=2, items=20)


async def test_every_call_is_counted_however_many_are_in_flight() -> None:
    made = 0

    async def call() -> int:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return 1

    cost = await rounds.timed(call, calls=100, in_flight=32, items=1)
    assert made == 100
    assert cost.wall > 0


@pytest.mark.parametrize("size", static_server.SIZES)
def test_the_server_returns_as_many_profiles_as_the_path_says(server: Server, size: int) -> None:
    _, body = ask(server, "POST", f"/{size}/api/get_profiles")
    assert len(GetProfilesViewResponse.model_validate_json(body).user_profiles) == size


def test_the_server_counts_responses_by_method_and_route(server: Server) -> None:
    with server.expects({"GET /20/api/get_all_profiles": 1, "POST /20/api/get_profiles": 2}):
        ask(server, "GET", "/20/api/get_all_profiles?limit=20")
        ask(server, "POST", "/20/api/get_profiles")
        ask(server, "POST", "/20/api/get_profiles")


def test_a_request_that_was_not_made_is_noticed(server: Server) -> None:
    with pytest.raises(AssertionError, match="the server answered"), server.expects({"GET /1/api/x": 1}):
        pass


def test_in_the_synchronous_dialect_every_rerun_has_an_id_of_its_own(server: Server) -> None:
    path = f"/synchronous{static_server.RERUN}"
    ids = {json.loads(ask(server, "POST", path)[1])["operation_id"] for _ in range(3)}
    assert len(ids) == 3


def test_an_admitted_rerun_is_in_progress_in_its_own_slot_only(server: Server) -> None:
    ask(server, "POST", f"/admitting-a{static_server.RERUN}")
    mine = json.loads(ask(server, "GET", f"/admitting-a{static_server.STATUS}")[1])
    other = json.loads(ask(server, "GET", f"/admitting-b{static_server.STATUS}")[1])
    assert mine["operation_status"]["status"] == "in_progress"
    assert other["success"] is False


def test_traces_are_reviewed_once_they_are_released() -> None:
    with static_server.running() as server:
        path = "/traces/v1/projects/default/traces/trace-1"
        before = json.loads(ask(server, "GET", path)[1])
        server.release()
        after = json.loads(ask(server, "GET", path)[1])
    assert (before["review_status"], after["review_status"]) == ("pending", "reviewed")


def test_an_unknown_route_is_not_found(server: Server) -> None:
    assert ask(server, "GET", "/synchronous/api/no_such_route")[0] == 404


async def test_calls_written_by_hand_read_all_profiles(server: Server) -> None:
    url = f"{server.url}/20"
    async with by_hand.session() as http_session:
        assert [await make(http_session, url)() for make in (by_hand.post, by_hand.get)] == [20, 20]


async def test_memory_is_counted_without_the_tasks() -> None:
    class Holding:
        def __init__(self) -> None:
            self.held = [bytearray(10_000) for _ in range(50)]
            self.tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(50)]

        async def aclose(self) -> None:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)

    async def make() -> Holding:
        holding = Holding()
        await asyncio.sleep(0)
        return holding

    samples = await bytes_per_item(make, 50)
    assert all(10_000 <= sample < 11_000 for sample in samples)


def test_five_thousand_profiles_are_a_megabyte_or_two() -> None:
    assert 1_000_000 < len(answers.profiles(5000)) < 3_000_000
