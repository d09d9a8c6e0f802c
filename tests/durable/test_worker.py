"""A worker drives what clients put into a store in Postgres."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException

from reflexio_async import AsyncReflexioClient, ConfigurationError, PermissionDenied
from reflexio_async.durable import waker
from reflexio_async.durable import watch as watch_module
from reflexio_async.durable.database import Statement
from reflexio_async.sandbox import faults
from reflexio_async.testing import Sandbox
from reflexio_async.worker import Organisation, Worker, keys
from reflexio_async.worker import worker as module
from tests.hang import A_HANG, until
from tests.transport.servers import loop_errors_ignored

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from reflexio_async import OutboxCall
    from tests.postgres import PostgresServer

RERUN = "/api/rerun_profile_generation"
PUBLISH = "/api/publish_interaction"
USERS = [f"u{n}" for n in range(8)]
TURN = {"role": "user", "content": "I like sushi"}


class Play(NamedTuple):
    box: Sandbox
    client: AsyncReflexioClient
    store: str


@asynccontextmanager
async def playing(store: str, **options: Any) -> AsyncGenerator[Play]:
    """A sandbox, and a client that leaves the work to workers."""
    async with (
        Sandbox(**options) as box,
        AsyncReflexioClient(options.get("api_key") or "", box.url, store=store) as client,
    ):
        for user in USERS:
            box.seed(user, f"I like tea, says {user}")
        yield Play(box, client, store)


@asynccontextmanager
async def working(worker: Worker) -> AsyncGenerator[Worker]:
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.wait([task])


def worker_for(play: Play, api_key: str = "", **options: Any) -> Worker:
    return Worker(play.store, {"acme": Organisation(play.box.url, api_key)}, **options)


async def publish(play: Play, session: str = "s") -> OutboxCall[Any]:
    return await play.client.publish_later("ana", [TURN], session_id=session)


async def test_a_client_leaves_its_calls_to_a_worker(postgres_url: str) -> None:
    async with playing(postgres_url) as play:
        call = await publish(play)
        await asyncio.sleep(0.2)
        assert play.box.count("POST", PUBLISH) == 0
        async with working(worker_for(play)):
            await call
        assert call.request_id in play.box.stored_requests


async def test_a_worker_that_waits_is_woken_at_once(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_POLL", 10 * A_HANG)
    async with playing(postgres_url) as play, working(worker_for(play)):
        await asyncio.sleep(0.5)
        async with asyncio.timeout(A_HANG):
            await (await publish(play))


async def test_rows_without_a_key_wait_and_are_reported_once(
    postgres_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_UNKNOWN_AGAIN", 0.1)
    async with playing(postgres_url, api_key="secret") as play:
        with caplog.at_level(logging.WARNING, "reflexio_async"):
            async with working(Worker(postgres_url)) as other:
                await publish(play)
                await until(lambda: other.stats().without_key)
                await asyncio.sleep(2.5)
        assert sum("this worker has no key for it" in record.message for record in caplog.records) == 1
        assert (await play.client.outbox.stats()).waiting == 1


async def test_keys_are_asked_for_by_address_and_organisation(postgres_url: str) -> None:
    asked: list[tuple[str, str]] = []

    async def credentials(url: str, org: str) -> str:
        asked.append((url, org))
        return "secret"

    async with playing(postgres_url, api_key="secret") as play:
        org = (await play.client.whoami()).org_id
        async with working(Worker(postgres_url, credentials=credentials)):
            await (await publish(play))
        assert asked == [(play.box.url, org)]


async def test_a_key_that_was_replaced_is_asked_for_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_KEY_SECONDS", 0.0)
    answers = ["worn-out", "secret"]

    def credentials(_url: str, _org: str) -> str:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async with playing(postgres_url, api_key="secret") as play:
        worker = Worker(postgres_url, credentials=credentials, slice_seconds=0.5)
        async with working(worker):
            job = await play.client.rerun_profile_generation(user_id="u0")
            await until(lambda: answers == ["secret"])
            async with asyncio.timeout(A_HANG):
                assert (await job).success


async def test_a_key_is_not_asked_for_at_each_call(postgres_url: str) -> None:
    asked: list[str] = []

    def credentials(_url: str, org: str) -> str:
        asked.append(org)
        return "secret"

    async with (
        playing(postgres_url, api_key="secret") as play,
        working(Worker(postgres_url, credentials=credentials)),
    ):
        for session in ("a", "b", "c"):
            await (await publish(play, session))
        assert len(asked) == 1


async def test_a_worker_learns_the_organisation_of_rows_whose_client_could_not(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown(_: object) -> str:
        await asyncio.sleep(3600)
        return ""

    async with playing(postgres_url, api_key="secret") as play:
        monkeypatch.setattr(play.client.outbox._accounts, "_ask", unknown)
        monkeypatch.setattr(waker, "_AT_ONCE", 0.0)
        call = await publish(play)
        async with working(worker_for(play, "secret")):
            await call


async def test_a_key_that_the_server_refuses_reaches_those_who_wait_and_the_job_stays(
    postgres_url: str,
) -> None:
    async with playing(postgres_url) as play:
        play.box.faults.add(faults.status(403, {"detail": "Forbidden"}), path="/api/whoami", times=None)
        job = await play.client.rerun_profile_generation(user_id="u0")
        with pytest.raises(PermissionDenied, match="kept in the store"):
            async with asyncio.timeout(A_HANG):
                await job
        play.box.faults.clear()
        async with working(worker_for(play)):
            assert (await job).success


async def test_a_worker_that_is_stopped_leaves_its_lanes_to_others(postgres_url: str) -> None:
    async with playing(postgres_url) as play:
        play.box.faults.add(faults.internal_error(), method="POST", path=PUBLISH, times=3)
        call = await publish(play)
        async with working(worker_for(play)) as worker:
            await until(lambda: worker.stats().driving)
        assert worker.stats().driving == ()
        async with working(worker_for(play)):
            await call


async def test_a_worker_waits_once_for_an_answer_that_does_not_come(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STOP_SECONDS", 0.2)
    async with playing(postgres_url) as play:
        play.box.faults.add(faults.freeze(), method="POST", path=RERUN)
        await play.client.rerun_profile_generation(user_id="u0")
        worker = worker_for(play, client_options={"drain_timeout": 10 * A_HANG})
        async with asyncio.timeout(A_HANG), working(worker):
            await play.box.arrived("POST", RERUN)


# Jobs


async def deferred(worker: Worker) -> list[float]:
    """In how many seconds procrastinate is to run drains, of those that are to run later."""
    rows = await worker._database.read(
        "select extract(epoch from scheduled_at - now())::float8 from procrastinate_jobs "
        "where task_name = 'reflexio_async:drain' and status = 'todo' and scheduled_at > now()"
    )
    return [seconds for (seconds,) in rows]


async def test_a_client_leaves_its_jobs_to_a_worker(postgres_url: str) -> None:
    async with playing(postgres_url) as play:
        job = await play.client.rerun_profile_generation(user_id="u0")
        await asyncio.sleep(0.2)
        assert job.status.state == "queued"
        assert play.box.count("POST", RERUN) == 0
        async with working(worker_for(play)):
            response = await job
        assert response.success
        assert play.box.count("POST", RERUN) == 1


async def test_a_client_leaves_a_batch_to_workers(postgres_url: str) -> None:
    async with playing(postgres_url) as play, working(worker_for(play)):
        report = await play.client.rerun_profiles_many(USERS)
        assert sorted(outcome.key for outcome in report.completed) == USERS
        assert play.box.count("POST", RERUN) == len(USERS)


async def test_a_closed_rate_limit_holds_no_place_of_a_worker(postgres_url: str) -> None:
    async with playing(postgres_url, rate_limits=True) as play:
        jobs = [await play.client.rerun_profile_generation(user_id=user) for user in USERS]
        worker = worker_for(play)
        async with working(worker):
            await asyncio.gather(*(job for job in jobs[:5]))
            async with asyncio.timeout(A_HANG):
                while not (later := await deferred(worker)):  # noqa: ASYNC110  # the database tells
                    await asyncio.sleep(0.1)
            assert 30 < later[0] < 61
            assert worker.stats().driving == ()


async def test_a_slice_that_is_over_leaves_the_lane_to_its_next_drain(postgres_url: str) -> None:
    async with playing(postgres_url, rerun_seconds=1.0) as play:
        jobs = [await play.client.rerun_profile_generation(user_id=user) for user in USERS[:4]]
        async with working(worker_for(play, slice_seconds=0.8)):
            await asyncio.gather(*jobs)
        assert play.box.count("POST", RERUN) == 4


async def test_a_worker_outlasts_a_restart_of_the_database(
    postgres: PostgresServer, postgres_url: str
) -> None:
    async with playing(postgres_url, rerun_seconds=1.0) as play, working(worker_for(play)):
        jobs = [await play.client.rerun_profile_generation(user_id=user) for user in USERS[:3]]
        await until(lambda: play.box.count("POST", RERUN) == 1)
        # procrastinate does not read the error of a task that was writing just then.
        with loop_errors_ignored(ConnectorException):
            await asyncio.to_thread(postgres.stop)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(postgres.start)
            await asyncio.gather(*jobs)
        assert play.box.count("POST", RERUN) == 3


async def test_a_worker_that_others_took_for_dead_goes_on(postgres_url: str) -> None:
    async with playing(postgres_url) as play, working(worker_for(play)) as worker:
        await (await play.client.rerun_profile_generation(user_id="u0"))
        await worker._database.write([Statement("delete from procrastinate_workers")])
        assert (await (await play.client.rerun_profile_generation(user_id="u1"))).success


async def test_a_queued_job_says_when_no_worker_is_there(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waker, "WORKER_SILENT", 0.5)
    monkeypatch.setattr(waker, "_LOOK", 0.1)
    monkeypatch.setattr(watch_module, "_LOOK", 0.2)
    async with playing(postgres_url) as play:
        job = await play.client.rerun_profile_generation(user_id="u0")
        waiting = asyncio.create_task(job.result())
        await until(lambda: "start one with reflexio-async worker" in (job.status.message or ""))
        await asyncio.sleep(1.0)
        assert sum("no worker of" in record.message for record in caplog.records) == 1
        assert "pass-word" not in f"{caplog.text} {job.status.message}"
        async with working(worker_for(play)):
            await waiting


async def test_the_blueprint_works_in_an_app_of_the_user(postgres_url: str) -> None:
    async with playing(postgres_url) as play:
        call = await publish(play)
        app = App(connector=PsycopgConnector(conninfo=postgres_url))
        worker = worker_for(play)
        app.add_tasks_from(worker.blueprint, namespace="reflexio_async")
        async with app.open_async(), worker:
            await app.schema_manager.apply_schema_async()
            task = asyncio.create_task(app.run_worker_async(install_signal_handlers=False))
            await call
            task.cancel()
            await asyncio.wait([task])


def test_a_file_needs_no_worker() -> None:
    with pytest.raises(ConfigurationError, match="every client drives its jobs itself"):
        Worker("reflexio.db")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lanes": 0}, "lanes must be a whole number of at least 1, not 0"),
        ({"connections": "8"}, "connections must be a whole number"),
        ({"lease_seconds": "15"}, "lease_seconds must be a finite number of seconds"),
        ({"slice_seconds": -1}, "slice_seconds must be more than zero seconds, not -1"),
        ({"organisations": ["acme"]}, "organisations must be a mapping of names to Organisation, not list"),
        (
            {"organisations": {"acme": "http://acme"}},
            r"organisations\['acme'\] must be an Organisation, not str",
        ),
        ({"credentials": "key"}, "credentials must be callable, not str"),
    ],
)
def test_an_unusable_option_is_refused_by_its_name(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Worker("postgresql://nowhere/none", **options)


def test_without_the_extra_the_import_says_how_to_install_it() -> None:
    program = "import sys; sys.modules['procrastinate'] = None; import reflexio_async.worker"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "pip install 'reflexio-async[cluster]'" in done.stderr.splitlines()[-1]


def test_the_key_of_an_organisation_is_not_shown() -> None:
    assert "secret" not in repr(Organisation("http://server", "secret", "http://reflect", "secret"))
