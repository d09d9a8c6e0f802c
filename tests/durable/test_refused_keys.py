"""A server that refuses the client's key: jobs whose starts were not sent are not lost."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from reflexio_async import JobState, PermissionDenied
from reflexio_async.sandbox import faults
from tests.scene import RERUN, Scene, scene

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

WHOAMI = "/api/whoami"


@asynccontextmanager
async def refusing(folder: Path, times: int | None) -> AsyncGenerator[Scene]:
    """A server that refuses to tell the organisation, ``times`` times; None: for ever."""
    async with scene(3, client={"store": str(folder / "r.db")}) as play:
        forbidden = faults.status(403, {"detail": "Forbidden"})
        play.box.faults.add(forbidden, path=WHOAMI, times=times)
        yield play


async def test_one_refusal_to_tell_the_organisation_ends_no_job(tmp_path: Path) -> None:
    async with refusing(tmp_path, 1) as play:
        job = await play.client.rerun_profile_generation(user_id="user-0")
        assert (await job).success


async def test_a_refusal_that_repeats_reaches_the_caller_of_a_start_and_nothing_is_started_later(
    tmp_path: Path,
) -> None:
    async with refusing(tmp_path, None) as play:
        with pytest.raises(PermissionDenied):
            await play.client.rerun_profile_generation(user_id="user-0")
        play.box.faults.clear()
        await play.clock.sleep(60)
        assert play.starts() == 0


async def test_a_refusal_that_repeats_reaches_those_who_wait_and_the_job_stays_in_the_store(
    tmp_path: Path,
) -> None:
    async with scene(3, client={"store": str(tmp_path / "r.db")}) as play:
        play.box.faults.add(faults.lost_before(), path=WHOAMI, times=3)
        play.box.faults.add(faults.status(403, {"detail": "Forbidden"}), path=WHOAMI, times=10)
        job = await play.client.rerun_profile_generation(user_id="user-0")  # the server is away
        with pytest.raises(PermissionDenied, match="not started, and kept in the store"):
            await job
        assert job.status.state is JobState.QUEUED
        play.box.faults.clear()
        assert (await job).success
        assert play.starts() == 1


async def test_a_batch_that_is_refused_is_not_started_and_the_same_batch_continues(tmp_path: Path) -> None:
    async with refusing(tmp_path, None) as play:
        report = await play.client.rerun_profiles_many(play.users, batch_id="b")
        assert [outcome.state for outcome in report.not_started] == ["not_started"] * 3
        assert play.starts() == 0
        play.box.faults.clear()
        assert (await play.client.rerun_profiles_many(play.users, batch_id="b")).ok
        assert play.starts() == 3


async def test_a_client_that_signs_in_elsewhere_does_not_start_the_jobs_of_its_first_organisation(
    tmp_path: Path,
) -> None:
    logins = {"a@b.c": "one", "d@e.f": "two"}
    async with scene(2, client={"store": str(tmp_path / "r.db")}, logins=logins, rerun_seconds=30) as play:
        durable = play.client._engine.durable
        assert durable is not None
        organisation = "first"

        async def ask() -> str:
            return organisation

        durable.accounts._ask = ask
        await play.client.login("a@b.c", "one")
        await play.client.rerun_profile_generation(user_id="user-0")
        queued = await play.client.rerun_profile_generation(user_id="user-1")  # behind the first
        organisation = "second"
        await play.client.login("d@e.f", "two")
        await play.clock.sleep(600)
        assert queued.status.state is JobState.QUEUED
        assert play.box.count("POST", RERUN) == 1
        organisation = "first"
        await play.client.login("a@b.c", "one")
        assert (await queued).success
