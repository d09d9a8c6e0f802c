"""The official client, as it is on PyPI, on the sandbox and on the real server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async.sandbox import Sandbox
from reflexio_async.testing import RealServer
from tests.environments import REFLEXIO_CLIENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = [pytest.mark.real, pytest.mark.slow]  # the client needs Python 3.12, as the server does

_FAILING = {
    "without a session": None,  # its own model refuses that
    "unknown to learning": 404,
}
_SCRIPT = Path(__file__).with_name("life_cycle.py")
_WITHIN = 120.0


def _life_cycle(url: str, folder: Path) -> list[Any]:
    """What the script printed: one step after the other."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REFLEXIO_")}
    done = subprocess.run(
        [REFLEXIO_CLIENT.python(), _SCRIPT, url],
        cwd=folder,  # the client loads any .env on its way up
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_WITHIN,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("official")


@pytest.fixture(scope="module")
async def on_the_sandbox(folder: Path) -> AsyncIterator[list[Any]]:
    async with Sandbox(rerun_seconds=0.1) as box:
        yield await asyncio.to_thread(_life_cycle, box.url, folder)


@pytest.fixture
def on_the_real_server(folder: Path) -> Iterator[list[Any]]:
    # One of its own: the life cycle ends by deleting the data of all users.
    with RealServer(rate_limits=False) as server:
        yield _life_cycle(server.url, folder)


def _answers(steps: list[Any]) -> dict[str, Any]:
    return {step["step"]: step.get("answer") for step in steps}


async def test_every_step_has_the_expected_outcome(on_the_sandbox: list[Any]) -> None:
    failed = {step["step"]: step["status"] for step in on_the_sandbox if "error" in step}
    assert failed == _FAILING
    assert len(on_the_sandbox) > 70


async def test_a_waiting_publish_has_learnt_something(on_the_sandbox: list[Any]) -> None:
    answers = _answers(on_the_sandbox)
    learnt = answers["publish and wait for the learning"]
    assert (learnt["success"], learnt["profiles_added"], learnt["playbooks_added"]) == (True, 1, 1)
    assert answers["learning status"] == {"status": "done", "reason": "covered"}
    assert [profile["user_id"] for profile in answers["what bob is like"]["user_profiles"]] == ["bob"]


async def test_waiting_reruns_end(on_the_sandbox: list[Any]) -> None:
    answers = _answers(on_the_sandbox)
    assert (answers["rerun of one user"]["success"], answers["rerun of all users"]["success"]) == (True, True)
    assert answers["rerun of all users"]["profiles_generated"] == 2
    assert (
        answers["rerun of an unknown user"]["msg"] == "No interactions found matching the specified filters"
    )
    assert [profile["status"] for profile in answers["what it found"]["user_profiles"]] == ["pending"]


async def test_operations_can_be_cancelled(on_the_sandbox: list[Any]) -> None:
    answers = _answers(on_the_sandbox)
    assert answers["something to cancel"]["cancelled_services"] == ["profile_generation"]
    assert answers["cancelled"] == "cancelled"


async def test_playbooks_are_aggregated_approved_and_found(on_the_sandbox: list[Any]) -> None:
    answers = _answers(on_the_sandbox)
    assert answers["aggregation"]["message"].endswith("found 1 clusters, generated 1 agent playbooks")
    assert answers["approved"]["success"]
    assert answers["agent playbooks about"]["agent_playbooks"]
    assert answers["search"]["profiles"]


async def test_deleted_rows_are_not_returned(on_the_sandbox: list[Any]) -> None:
    answers = _answers(on_the_sandbox)
    assert answers["nothing is left"]["interactions"] == []
    assert answers["no profile is left"]["user_profiles"] == []


async def test_the_sandbox_and_the_real_server_answer_the_same(
    on_the_sandbox: list[Any], on_the_real_server: list[Any]
) -> None:
    for fake, real in zip(on_the_sandbox, on_the_real_server, strict=True):
        assert fake == real
