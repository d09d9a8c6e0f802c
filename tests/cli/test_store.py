"""``store`` and ``outbox``: what a store holds."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async.sandbox import Sandbox, faults
from tests.transport.servers import TURNS, closed_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.commands import Run

PUBLISH = "/api/publish_interaction"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "reflexio.db"


def accept(file: Path, url: str, users: int = 1) -> None:
    """Accept publishes and leave them to the next process."""

    async def run() -> None:
        client = AsyncReflexioClient("key", url, store=file, drain_timeout=0)
        for number in range(users):
            await client.publish_later(f"u{number}", TURNS, session_id=f"s{number}")
        await client.aclose()

    asyncio.run(run())


# --- store


def test_a_store_shows_its_jobs_its_outbox_and_its_lanes(run: Run, file: Path) -> None:
    accept(file, f"http://127.0.0.1:{closed_port()}", users=2)
    done = run("store", "--store", str(file))
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert lines[0].startswith(f"store: {file}, 0.")
    assert lines[1:3] == ["jobs: none", "outbox: 2 waiting, 0 set aside"]


def test_a_store_for_programs(run: Run, file: Path) -> None:
    accept(file, f"http://127.0.0.1:{closed_port()}")
    stats: dict[str, Any] = json.loads(run("store", "--store", str(file), "--json").stdout)
    assert stats.pop("bytes") > 1000
    assert stats == {
        "store": str(file),
        "jobs": {},
        "outbox": {"waiting": 1, "set_aside": 0},
        "without_organisation": 1,
        "lanes": [],
    }


def test_looking_at_a_store_sends_nothing(run: Run, box: Sandbox, file: Path) -> None:
    accept(file, f"http://127.0.0.1:{closed_port()}")
    run("store", "--store", str(file))
    run("outbox", "--store", str(file), "--url", box.url)
    assert not box.requests


def test_prune_deletes_jobs_that_ended_long_ago(run: Run, file: Path) -> None:
    accept(file, f"http://127.0.0.1:{closed_port()}")
    done = run("store", "prune", "--store", str(file), "--older-than", "3")
    assert (done.exit_code, done.stdout) == (0, "deleted 0 jobs that had ended 3 days ago or earlier\n")
    assert json.loads(run("store", "prune", "--store", str(file), "--json").stdout) == {"deleted": 0}


# --- outbox


def test_an_outbox_shows_what_waits_for_a_server(run: Run, file: Path) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    accept(file, url, users=3)
    done = run("outbox", "--store", str(file), "--url", url)
    assert done.exit_code == 0
    first, waiting, set_aside = done.stdout.splitlines()[:3]
    assert first == f"server: {url}"
    assert waiting.startswith("waiting: 3 (0.0 MB), the oldest for ")
    assert set_aside == "set aside: 0"


def test_an_outbox_says_what_is_of_no_known_organisation(run: Run, file: Path) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    accept(file, url, users=3)
    shown = run("outbox", "--store", str(file), "--url", url).stdout
    assert "not known" in shown
    assert "assign it or discard it" in shown
    (account,) = json.loads(run("outbox", "--store", str(file), "--url", url, "--json").stdout)["accounts"]
    assert (account["organisation"], account["waiting"], account["jobs"]) == (None, 3, 0)


def accept_unheard(file: Path, box: Sandbox, users: int = 1) -> None:
    """Accept publishes while the server does not answer: the organisation of "key" is not learned."""
    box.faults.add(faults.lost_before(), times=None)
    accept(file, box.url, users)
    box.faults.clear()


def account_in(run: Run, file: Path, url: str) -> str:
    """The account of a store whose organisation is not known."""
    accounts = json.loads(run("outbox", "--store", str(file), "--url", url, "--json").stdout)["accounts"]
    (account,) = [entry["id"] for entry in accounts if entry["organisation"] is None]
    return str(account)


def test_what_waits_for_a_key_that_was_replaced_is_sent_once_it_is_assigned(
    run: Run, box: Sandbox, file: Path
) -> None:
    accept_unheard(file, box)

    async def publish() -> int:
        async with AsyncReflexioClient("new key", box.url, store=file) as client:
            await (await client.publish_later("u", TURNS, session_id="s"))
            await client.outbox.drained()
            return (await client.store.stats()).outbox_waiting

    assert asyncio.run(publish()) == 1
    account = account_in(run, file, box.url)
    done = run("outbox", "assign", account, "self-host-org", "--store", str(file))
    assert done.stdout == f"what waits for {account} is sent by the clients of self-host-org\n"
    assert asyncio.run(publish()) == 0
    assert box.count("POST", PUBLISH, 200) == 3


def test_an_organisation_that_never_used_the_store_is_no_choice(run: Run, box: Sandbox, file: Path) -> None:
    accept_unheard(file, box)
    account = account_in(run, file, box.url)
    done = run("outbox", "assign", account, "self-hots-org", "--store", str(file))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "has not used this store" in done.stderr


def test_what_waits_for_a_key_that_was_replaced_can_be_discarded(run: Run, box: Sandbox, file: Path) -> None:
    accept_unheard(file, box, users=3)
    account = account_in(run, file, box.url)
    assert run("outbox", "discard", account, "--store", str(file)).stdout == "discarded: 3\n"
    assert (
        run("outbox", "--store", str(file), "--url", box.url).stdout.splitlines()[1] == "waiting: 0 (0.0 MB)"
    )


def test_what_is_of_a_known_organisation_is_not_discarded(run: Run, box: Sandbox, file: Path) -> None:
    refuse(file, box)
    shown = json.loads(run("outbox", "--store", str(file), "--url", box.url, "--json").stdout)
    (account,) = shown["accounts"]
    done = run("outbox", "discard", account["id"], "--store", str(file))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "belongs to the organisation 'self-host-org'" in done.stderr


def test_an_outbox_names_what_is_for_other_servers(run: Run, file: Path) -> None:
    accept(file, f"http://127.0.0.1:{closed_port()}")
    done = run("outbox", "--store", str(file), "--url", "http://127.0.0.1:1")
    assert done.stdout.splitlines()[-1] == "1 are for other servers; name one with --url"


def refuse(file: Path, box: Sandbox) -> None:
    """Accept a publish that the server refuses."""
    box.faults.add(faults.status(422, {"detail": "no such user"}), path=PUBLISH)

    async def run() -> None:
        async with AsyncReflexioClient("key", box.url, store=file) as client:
            call = await client.publish_later("u1", TURNS, session_id="s1")
            with pytest.raises(Exception, match="no such user"):
                await call

    asyncio.run(run())


def test_an_outbox_shows_what_was_refused_and_why(run: Run, box: Sandbox, file: Path) -> None:
    refuse(file, box)
    shown = run("outbox", "--store", str(file), "--url", box.url).stdout
    assert "set aside: 1" in shown
    assert "no such user" in shown
    (entry,) = json.loads(run("outbox", "--store", str(file), "--url", box.url, "--json").stdout)["refused"]
    assert (entry["call"], entry["session"]) == ("publish_interaction", "s1")
    assert "no such user" in entry["reason"]


def test_what_was_refused_is_delivered_once_more(run: Run, box: Sandbox, file: Path) -> None:
    refuse(file, box)
    done = run("outbox", "retry", "--store", str(file), "--url", box.url, "--api-key", "key")
    assert (done.exit_code, done.stdout) == (0, "1 tried again: 0 waiting, 0 set aside\n")
    assert box.count("POST", PUBLISH, 200) == 1


def test_what_is_refused_again_is_exit_code_1(run: Run, box: Sandbox, file: Path) -> None:
    refuse(file, box)
    box.faults.add(faults.status(422, {"detail": "still not"}), path=PUBLISH)
    args = ("outbox", "retry", "--store", str(file), "--url", box.url, "--api-key", "key", "--json")
    done = run(*args)
    assert (done.exit_code, json.loads(done.stdout)) == (1, {"retried": 1, "waiting": 0, "set_aside": 1})


# --- stores that cannot be used


@pytest.mark.parametrize(
    "args",
    [
        ("store",),
        ("store", "prune"),
        ("outbox",),
        ("outbox", "retry"),
        ("outbox", "assign", "account", "org"),
        ("outbox", "discard", "account"),
    ],
    ids=" ".join,
)
def test_a_file_that_is_not_there_is_not_made(run: Run, file: Path, args: tuple[str, ...]) -> None:
    done = run(*args, "--store", str(file))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: --store: there is no file '{file}'")
    assert not file.exists()


@pytest.mark.parametrize("args", [("store", "--json"), ("outbox", "--json")], ids=" ".join)
def test_without_a_store_the_command_asks_for_it(run: Run, args: tuple[str, ...]) -> None:
    done = run(*args)
    assert (done.exit_code, done.stderr) == (2, "error: name the store with --store\n")


def one_error(run: Run, *args: str) -> str:
    done = run(*args)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_file_of_a_newer_release_is_one_error(run: Run, file: Path) -> None:
    accept(file, f"http://127.0.0.1:{closed_port()}")
    with sqlite3.connect(file) as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    assert "newer release" in one_error(run, "store", "--store", str(file))


def test_a_file_that_is_no_store_is_one_error(run: Run, file: Path) -> None:
    file.write_text("user-1\nuser-2\n" * 1000)
    assert str(file) in one_error(run, "store", "--store", str(file))
