"""Log records have fields with stable names, without ids of users and contents."""

from __future__ import annotations

import ast
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from reflexio_async._engine.logs import Event, Fields
from reflexio_async.sandbox import faults
from tests.scene import RERUN, STATUS, scene

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/observing.md"
# The sandbox and the command line have loggers and texts of their own.
OTHERS = ("sandbox", "cli", "testing")
METHODS = ("debug", "info", "warning", "error", "exception", "log")


def log_calls(file: Path) -> list[ast.Call]:
    """The calls of ``logger`` in a file."""
    return [
        node
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in METHODS
        and ast.unparse(node.func.value) == "logger"
    ]


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The fields of the records of one event."""
    return [
        {key: value for key, value in vars(record).items() if key.startswith("reflexio_")}
        for record in caplog.records
        if getattr(record, "reflexio_event", None) == event
    ]


def test_every_record_of_the_package_has_fields_and_every_event_is_used() -> None:
    events: set[str] = set()
    for file in sorted((ROOT / "reflexio_async").rglob("*.py")):
        if file.relative_to(ROOT / "reflexio_async").parts[0] in OTHERS:
            continue
        for call in log_calls(file):
            extra = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "extra"]
            assert extra == ["known"] or extra[0].startswith("fields("), f"{file}:{call.lineno}"
        events.update(re.findall(r"\bfields\(\s*\"(\w+)\"", file.read_text("utf-8")))
    assert events == set(get_args(Event))


def test_the_page_lists_every_event_and_every_field() -> None:
    text = PAGE.read_text("utf-8").partition("## Logging")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", text))
    fields = {f"reflexio_{name}" for name in ("event", "error", *Fields.__optional_keys__)}
    assert {name for name in named if name.startswith("reflexio_")} - {"reflexio_async"} == fields
    assert set(get_args(Event)) <= named


async def test_a_retry_is_logged_with_its_route_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reflexio_async")
    async with scene() as play:
        play.box.faults.add(faults.status(503, {"detail": "busy"}), path="/api/whoami")
        await play.client.whoami()
    (found,) = logged(caplog, "call_retried")
    assert 0 <= found.pop("reflexio_delay") <= 0.2
    assert found == {
        "reflexio_event": "call_retried",
        "reflexio_error": "ServerError",
        "reflexio_method": "GET",
        "reflexio_route": "/api/whoami",
        "reflexio_attempt": 1,
    }


async def test_an_outage_is_logged_with_its_length(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reflexio_async")
    async with scene(1) as play:
        await play.client.whoami()
        play.box.faults.add(faults.lost_before(), path=STATUS, times=12)
        await (await play.client.rerun_profile_generation(user_id="user-0"))
    away, back = logged(caplog, "server_away"), logged(caplog, "server_answers")
    assert [found["reflexio_url"] for found in (*away, *back)] == [play.box.url] * (len(away) + len(back))
    assert away[0]["reflexio_error"] == "APIConnectionError"
    assert back[0]["reflexio_seconds"] >= 5.0


async def records_of_trouble(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """The records of what goes wrong with two users, ana-7 and ben-8."""
    caplog.set_level(logging.DEBUG, "reflexio_async")
    async with scene(rerun_seconds=1.0, failing_users={"ben-8"}) as play:
        for user in ("ana-7", "ben-8"):
            play.box.seed(user, "zebra")
        await play.client.rerun_profile_generation(user_id="ben-8")  # it fails, and nobody awaits it
        await play.clock.sleep(5.0)
        play.box.faults.add(faults.answer_lost(), path=RERUN)
        await play.client.rerun_profile_generation(user_id="ana-7")
        await play.client.rerun_profile_generation(user_id="ana-7")
    events = {record.reflexio_event for record in caplog.records}  # type: ignore[attr-defined]
    assert {"start_unanswered", "background_error", "client_closing"} <= events
    return caplog.records


async def test_no_field_has_the_id_of_a_user(caplog: pytest.LogCaptureFixture) -> None:
    records = await records_of_trouble(caplog)
    values = [value for record in records for key, value in vars(record).items() if "reflexio_" in key]
    assert not re.search("ana-7|ben-8|zebra", str(values))


async def test_texts_name_the_users_whose_jobs_failed_or_were_left(caplog: pytest.LogCaptureFixture) -> None:
    records = await records_of_trouble(caplog)
    texts = [record.getMessage() for record in records if record.levelno >= logging.INFO]
    assert re.search("ana-7", str(texts))
    assert re.search("ben-8", str(texts))
