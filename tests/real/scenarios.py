"""What happens under the server's own rate limits.

Each scenario waits for a window or two to pass, so all of them run at the same time, each on a server of
its own, and the tests look at what was observed.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reflexio_async import gather_jobs
from reflexio_async.testing import RealServer
from tests.real.helpers import (
    PLAYBOOKS,
    PROFILES,
    client_of,
    pending_of_each,
    publish,
    publish_each,
    soon_pending,
    starts,
)

if TYPE_CHECKING:
    from collections import Counter

    from reflexio_async import BatchReport, DrainSummary
    from reflexio_async.reflexio.models.operations import (
        RerunPlaybookGenerationResponse,
        RerunProfileGenerationResponse,
    )

WINDOW = 60.0
USERS = [f"user-{number:02}" for number in range(12)]
AGENTS = [f"agent-{number}" for number in range(7)]
FEW = USERS[:7]


@dataclass(frozen=True)
class Gathered:
    """Twelve reruns started together, each awaited by its caller."""

    seconds: float
    results: list[RerunProfileGenerationResponse]
    attempts: list[int]
    starts: Counter[int]
    pending: dict[str, int]


@dataclass(frozen=True)
class Batched:
    """The same twelve as one batch."""

    seconds: float
    report: BatchReport[str, RerunProfileGenerationResponse]
    starts: Counter[int]
    pending: dict[str, int]


@dataclass(frozen=True)
class SideBySide:
    """Twelve profile reruns and seven playbook reruns, started together."""

    profile_seconds: float
    playbook_seconds: float
    profiles: list[RerunProfileGenerationResponse]
    playbooks: list[RerunPlaybookGenerationResponse]
    starts: Counter[int]
    playbook_starts: Counter[int]


@dataclass(frozen=True)
class Forgotten:
    """Seven reruns whose handles were dropped; then the client was closed."""

    seconds: float
    summary: DrainSummary
    starts: Counter[int]
    pending: dict[str, int]


@dataclass(frozen=True)
class Interrupted:
    """A batch of seven whose server was killed while the last two waited for the limit."""

    report: BatchReport[str, RerunProfileGenerationResponse]
    starts_before: Counter[int]
    starts: Counter[int]
    pending: dict[str, int]


@dataclass(frozen=True)
class Scenarios:
    """Everything observed."""

    gathered: Gathered
    batched: Batched
    side_by_side: SideBySide
    forgotten: Forgotten
    interrupted: Interrupted


async def run_all() -> Scenarios:
    """Every scenario at once, each on a server of its own."""
    with ExitStack() as running:
        servers = [RealServer() for _ in range(5)]
        await asyncio.gather(*(asyncio.to_thread(running.enter_context, server) for server in servers))
        first, second, third, fourth, fifth = servers
        return Scenarios(
            *await asyncio.gather(
                gathered(first),
                batched(second),
                side_by_side(third),
                forgotten(fourth),
                interrupted(fifth),
            )
        )


async def gathered(server: RealServer) -> Gathered:
    async with client_of(server) as client:
        await publish_each(client, USERS)
        began = time.monotonic()
        jobs = await asyncio.gather(*(client.rerun_profile_generation(user_id=user) for user in USERS))
        results = await gather_jobs(jobs)
        return Gathered(
            seconds=time.monotonic() - began,
            results=results,
            attempts=[job.timing.attempts for job in jobs],
            starts=starts(server, PROFILES),
            pending=await pending_of_each(client, USERS),
        )


async def batched(server: RealServer) -> Batched:
    async with client_of(server) as client:
        await publish_each(client, USERS)
        began = time.monotonic()
        report = await client.rerun_profiles_many(USERS)
        return Batched(
            seconds=time.monotonic() - began,
            report=report,
            starts=starts(server, PROFILES),
            pending=await pending_of_each(client, USERS),
        )


async def side_by_side(server: RealServer) -> SideBySide:
    async with client_of(server) as client:
        for number, user in enumerate(USERS):
            await publish(client, user, agent_version=AGENTS[number % len(AGENTS)])
        began = time.monotonic()

        async def profiles() -> tuple[float, list[RerunProfileGenerationResponse]]:
            jobs = await asyncio.gather(*(client.rerun_profile_generation(user_id=user) for user in USERS))
            results = await gather_jobs(jobs)
            return time.monotonic() - began, results

        async def playbooks() -> tuple[float, list[RerunPlaybookGenerationResponse]]:
            jobs = await asyncio.gather(
                *(client.rerun_playbook_generation(agent_version=agent) for agent in AGENTS)
            )
            results = await gather_jobs(jobs)
            return time.monotonic() - began, results

        of_profiles, of_playbooks = await asyncio.gather(profiles(), playbooks())
    return SideBySide(
        profile_seconds=of_profiles[0],
        playbook_seconds=of_playbooks[0],
        profiles=of_profiles[1],
        playbooks=of_playbooks[1],
        starts=starts(server, PROFILES),
        playbook_starts=starts(server, PLAYBOOKS),
    )


async def forgotten(server: RealServer) -> Forgotten:
    client = client_of(server, drain_timeout=WINDOW + 20)
    await publish_each(client, FEW)
    began = time.monotonic()
    for user in FEW:
        await client.rerun_profile_generation(user_id=user)
    summary = await client.aclose()
    seconds = time.monotonic() - began
    async with client_of(server) as witness:
        found = await soon_pending(witness, FEW)
    return Forgotten(seconds, summary, starts(server, PROFILES), found)


async def interrupted(server: RealServer) -> Interrupted:
    async def kill_between_windows() -> Counter[int]:
        while not (counted := await asyncio.to_thread(starts, server, PROFILES))[429]:  # noqa: ASYNC110  # a log
            await asyncio.sleep(0.2)
        # The five that were admitted have ended, and nothing is sent until the window is over.
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.restart)
        return counted

    async with client_of(server) as client:
        await publish_each(client, FEW)
        killer = asyncio.create_task(kill_between_windows())
        report = await client.rerun_profiles_many(FEW)
        return Interrupted(
            report=report,
            starts_before=await killer,
            starts=starts(server, PROFILES),
            pending=await pending_of_each(client, FEW),
        )
