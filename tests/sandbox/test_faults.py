"""Scripted faults: what they do, which requests they strike and how often."""

from __future__ import annotations

import asyncio
import json
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from reflexio_async.errors import ConfigurationError
from reflexio_async.sandbox import faults
from reflexio_async.sandbox.fault_config import ACTIONS
from reflexio_async.sandbox.fault_script import Fault, Faults
from reflexio_async.sandbox.virtual_clock import EPOCH
from tests.behaviour.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async.sandbox import Sandbox, VirtualClock
    from reflexio_async.sandbox.fault_script import Action
    from tests.sandbox.conftest import Opens

_PUBLISH = "/api/publish_interaction"


async def _publish(wire: Wire, request_id: str) -> bool:
    return bool((await wire.publish("u", request_id=request_id))["success"])


async def test_a_fault_strikes_times_requests_after_the_first(opened: Opens) -> None:
    async with opened() as (box, wire):
        fault = box.faults.add(faults.status(503), method="GET", path="/health", times=2, after=1)
        statuses = [(await wire.get("/health")).status for _ in range(5)]
        assert (await wire.get("/health/live")).status == 200
        assert (statuses, fault.hits) == ([200, 503, 503, 200, 200], 2)
        assert box.count("GET", "/health", 503) == 2


async def test_a_fault_may_select_requests_and_never_end(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.refused(), times=None, where=lambda record: record.body["user_id"] == "u")
        refused = [await wire.publish("u") for _ in range(3)]
        assert refused == [{"success": False, "message": "database is locked"}] * 3
        assert (await wire.publish("v"))["success"]
        box.faults.clear()
        assert (await wire.publish("u"))["success"]


async def test_a_delay_takes_virtual_time_while_the_client_holds_the_clock(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.delay(120))
        assert await _publish(wire, "r")
        assert clock.now() == 120
        assert clock.held == 0


async def test_the_clients_own_virtual_timeout_ends_a_frozen_request(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.freeze())
        with pytest.raises(TimeoutError):
            async with clock.timeout(300):
                await _publish(wire, "r")
        assert clock.now() == 300
        assert not box.stored_requests


@pytest.mark.parametrize(
    ("action", "stored"),
    [
        (faults.freeze(after_effect=True), True),
        (faults.delay(1000), False),
        (faults.delay(1000, after_effect=True), True),
    ],
    ids=["frozen after", "delayed before", "delayed after"],
)
async def test_a_slow_answer_comes_before_or_after_the_effect(
    opened: Opens, clock: VirtualClock, action: Action, *, stored: bool
) -> None:
    async with opened() as (box, wire):
        box.faults.add(action)
        with pytest.raises(TimeoutError):
            async with clock.timeout(10):
                await _publish(wire, "r")
        assert ("r" in box.stored_requests) is stored


@pytest.mark.parametrize(
    ("action", "stored"),
    [(faults.lost_before(), False), (faults.answer_lost(), True), (faults.cut_off(), True)],
    ids=["before", "after", "mid-body"],
)
async def test_a_lost_connection_is_lost_before_or_after_the_effect(
    opened: Opens, action: Action, *, stored: bool
) -> None:
    async with opened() as (box, wire):
        box.faults.add(action)
        with pytest.raises(aiohttp.ClientError):
            await _publish(wire, "r")
        assert ("r" in box.stored_requests) is stored
        assert box.requests[-1].status is None
        assert await _publish(wire, "s")


async def test_broken_json_is_an_answer_that_cannot_be_read(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.broken_json())
        answer = await wire.get("/api/whoami")
        assert answer.status == 200
        with pytest.raises(json.JSONDecodeError):
            _ = answer.json


async def test_refusals_look_like_the_servers(opened: Opens) -> None:
    async with opened() as (box, wire):
        for action in (
            faults.rate_limited(),
            faults.crowded(2),
            faults.no_capacity("r"),
            faults.html(),
            faults.internal_error(),
        ):
            box.faults.add(action)
        limited, crowded, full, page, crash = [await wire.get("/api/whoami") for _ in range(5)]
    assert (limited.status, limited.json) == (429, {"error": "Rate limit exceeded: 5 per 1 minute"})
    assert "Retry-After" not in limited.headers
    assert (crowded.status, crowded.headers["Retry-After"]) == (429, "2")
    assert (full.status, full.json["detail"]["reason"]) == (503, "capacity_deadline_exceeded")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (crash.status, crash.text) == (500, "Internal Server Error")
    assert "x-correlation-id" not in crash.headers


async def _pooled(box: Sandbox, action: Action | None) -> list[str]:
    """The outcomes of two POSTs over one pool, the first suffering ``action``."""
    outcomes: list[str] = []
    async with aiohttp.ClientSession() as session:
        wire = Wire(box.url, session)
        await wire.get("/health")
        if action is not None:
            box.faults.add(action, method="POST")
        for _ in range(2):
            try:
                outcomes.append(str((await wire.post("/api/get_requests")).status))
            except aiohttp.ClientError as error:
                outcomes.append(type(error).__mro__[1].__name__)
    return outcomes


async def test_an_unannounced_disconnect_breaks_the_next_post_on_that_connection(opened: Opens) -> None:
    async with opened() as (box, _):
        assert await _pooled(box, None) == ["200", "200"]
        first, second = await _pooled(box, faults.dropped_after())
        assert first == "200"
        assert second != "200"


async def test_records_identify_connections(opened: Opens) -> None:
    async with opened() as (box, wire):
        await _pooled(box, None)
        assert len({record.connection for record in box.requests}) == 1
        await wire.get("/health")
        assert len({record.connection for record in box.requests}) == 2


async def test_records_show_what_was_sent(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (box, wire):
        await clock.sleep(7)
        await wire.send("POST", "/api/nope?a=1", json={"b": 2}, headers={"User-Agent": "tests"})
        [record] = box.requests
    assert (record.method, record.path, dict(record.query)) == ("POST", "/api/nope", {"a": "1"})
    assert (record.body, record.user_agent, record.at, record.status) == ({"b": 2}, "tests", 7.0, 404)


async def test_many_slow_requests_wait_at_the_same_time(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.delay(60), times=None)
        await asyncio.gather(*(wire.get("/health") for _ in range(100)))
        assert clock.now() == 60


async def _struck(box: Sandbox, wire: Wire, requests: int, **when: Any) -> list[bool]:
    box.faults.clear()
    box.faults.add(faults.status(503), times=None, **when)
    return [(await wire.get("/health")).status == 503 for _ in range(requests)]


async def test_a_chance_strikes_some_requests_and_its_seed_decides_which(opened: Opens) -> None:
    async with opened() as (box, wire):
        first = await _struck(box, wire, 40, chance=0.5, seed=7)
        again = await _struck(box, wire, 40, chance=0.5, seed=7)
        other = await _struck(box, wire, 40, chance=0.5, seed=8)
    assert first == again != other
    assert 10 <= sum(first) <= 30


async def test_a_chance_of_zero_never_strikes_and_of_one_always(opened: Opens) -> None:
    async with opened() as (box, wire):
        assert not any(await _struck(box, wire, 10, chance=0.0))
        assert all(await _struck(box, wire, 10, chance=1.0))


@pytest.mark.parametrize("chance", [-0.1, 1.1, 10])
async def test_a_chance_that_is_no_probability_is_refused(opened: Opens, chance: float) -> None:
    async with opened() as (box, _):
        with pytest.raises(ValueError, match="chance"):
            box.faults.add(faults.freeze(), chance=chance)


async def test_a_fault_may_strike_one_user_by_body_or_query(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.status(503), times=None, user="ana")
        assert (await wire.send("POST", _PUBLISH, json={"user_id": "ana"})).status == 503
        assert (await wire.get("/api/get_profile_statistics?user_id=ana")).status == 503
        assert (await wire.publish("bob"))["success"]
        assert (await wire.get("/health")).status == 200


async def test_a_slow_body_takes_its_seconds_and_is_whole(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.slow_body(50))
        slow = await wire.get("/api/get_config")
        assert clock.now() == pytest.approx(50)
        body = slow.json
        assert body["window_size"] == 10
        assert (await wire.get("/api/get_config")).json == body


async def test_a_wrong_type_changes_nothing_else(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.wrong_type("text/csv"))
        answer = await wire.get("/api/whoami")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv")
        assert answer.json["success"]


async def test_a_skewed_clock_changes_times_in_answers_but_no_durations(
    opened: Opens, clock: VirtualClock
) -> None:
    async with opened(rerun_seconds=30) as (box, wire):
        box.seed("u")
        box.skew(-3600)
        await wire.post("/api/rerun_profile_generation", user_id="u")
        began = clock.now()
        await clock.sleep(29)
        assert (await wire.operation())["status"] == "in_progress"
        await clock.sleep(1)
        status = await wire.operation()
        assert status["started_at"] == EPOCH + began - 3600
        assert status["completed_at"] - status["started_at"] == 30


async def test_a_scripted_skew_dates_later_rows(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.skew(7200), path=_PUBLISH, after=1)
        await wire.publish("u", request_id="before")
        await wire.publish("u", request_id="after")
        before, after = box.stored_requests["before"], box.stored_requests["after"]
        assert (before.created_at, after.created_at) == (int(clock.time()), int(clock.time()) + 7200)


async def test_the_date_header_is_by_the_virtual_clock(opened: Opens, clock: VirtualClock) -> None:
    async with opened() as (_, wire):
        await clock.advance(86400 * 365 * 10)
        date = parsedate_to_datetime((await wire.get("/api/whoami")).headers["Date"])
    assert abs(date.timestamp() - clock.time()) < 2


async def test_a_skewed_server_sends_a_skewed_date_header(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.skew(-86400 * 365)
        assert " 2025 " in (await wire.get("/api/whoami")).headers["Date"]


@pytest.mark.parametrize("keep_data", [True, False])
async def test_a_scripted_restart_loses_the_answer_and_optionally_the_data(
    opened: Opens, *, keep_data: bool
) -> None:
    async with opened() as (box, wire):
        await wire.publish("u", request_id="r")
        box.faults.add(faults.restart(keep_data=keep_data), method="POST")
        with pytest.raises(aiohttp.ClientError):
            await wire.publish("u", request_id="s")
        await box.settled()
        assert (await wire.get("/health")).status == 200
        assert list(box.stored_requests) == (["r"] if keep_data else [])
        assert (await wire.publish("u", request_id="s"))["success"]


async def test_a_scripted_restart_can_come_between_the_effect_and_its_answer(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.restart(after_effect=True))
        with pytest.raises(aiohttp.ClientError):
            await wire.publish("u", request_id="r")
        await box.settled()
        assert "r" in box.stored_requests


_SCRIPT = """
[[fault]]
action = "status"
code = 503
body = { detail = "too busy" }
headers = { Retry-After = "4" }
path = "/health"
times = "always"
after = 1

[[fault]]
action = "refused"
text = "no"
user = "ana"
chance = 1
seed = -3
times = 2
"""


async def test_a_script_in_toml_is_applied(opened: Opens) -> None:
    async with opened(faults=Faults.from_toml(_SCRIPT)) as (_, wire):
        first, second, third = [await wire.get("/health") for _ in range(3)]
        assert [first.status, second.status, third.status] == [200, 503, 503]
        assert (second.json, second.headers["Retry-After"]) == ({"detail": "too busy"}, "4")
        answers = [(await wire.publish("ana"))["success"] for _ in range(3)]
        assert answers == [False, False, True]


def test_every_action_of_the_module_can_be_scripted() -> None:
    actions = {
        name
        for name, made in vars(faults).items()
        if getattr(made, "__annotations__", {}).get("return") == "Action"
    }
    assert {"freeze", "restart", "wrong_type"} < actions
    for name in actions:
        needed = "".join(f"{key} = {500 if key == 'code' else 1}\n" for key in ACTIONS[name].required)
        [fault] = Faults.from_toml(f"[[fault]]\naction = '{name}'\n{needed}").script
        assert fault.times == 1


def test_an_empty_script_holds_no_faults() -> None:
    assert Faults.from_toml("# nothing yet").script == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[fault]", "not TOML"),
        ("[[faults]]\naction = 'freeze'", "faults: unknown at the top"),
        ("fault = 3", "expected a list of tables"),
        ("[fault]\naction = 'freeze'", "expected a list of tables"),
        ("fault = [1]", "expected a list of tables"),
        ("[[fault]]\npath = '/'", "fault 1: action: missing; expected one of answer_lost, broken_json"),
        ("[[fault]]\naction = 3", "fault 1: action: 3 is unknown"),
        (
            "[[fault]]\naction = 'freeze'\n[[fault]]\naction = 'frieze'",
            "fault 2: action: 'frieze' is unknown",
        ),
        ("[[fault]]\naction = 'freeze'\nsconds = 1", r"fault 1 \(freeze\): sconds: unknown; expected after"),
        ("[[fault]]\naction = 'delay'", r"fault 1 \(delay\): seconds: missing"),
        ("[[fault]]\naction = 'delay'\nseconds = '3'", "seconds: expected a number, 0 or more, not '3'"),
        ("[[fault]]\naction = 'delay'\nseconds = -1", "seconds: expected a number, 0 or more, not -1"),
        ("[[fault]]\naction = 'delay'\nseconds = inf", "seconds: expected a number, 0 or more, not inf"),
        ("[[fault]]\naction = 'delay'\nseconds = true", "seconds: expected a number"),
        ("[[fault]]\naction = 'skew'\nseconds = 1e15", "seconds: expected a number from -1e10 to 1e10"),
        ("[[fault]]\naction = 'freeze'\nmethod = 'FETCH'", "method: expected one of DELETE, GET, HEAD"),
        ("[[fault]]\naction = 'freeze'\npath = 'health'", 'path: expected text that begins with "/"'),
        ("[[fault]]\naction = 'freeze'\npath = '/health?a=b'", "path: expected .* without a query"),
        ("[[fault]]\naction = 'freeze'\npath = '/{a'", "path: expected text that begins"),
        ("[[fault]]\naction = 'wrong_type'\ncontent_type = ''", "content_type: expected text such as"),
        ("[[fault]]\naction = 'status'\ncode = 500\nheaders = {'a b' = 'c'}", "headers: expected a table"),
        ("[[fault]]\naction = 'status'\ncode = 500\nheaders = {'' = 'c'}", "headers: expected a table"),
        (
            "[[fault]]\naction = 'status'\ncode = 500\nheaders = {content-length = '5'}",
            "headers: expected a table of texts by names of headers, without Content-Length",
        ),
        (
            "[[fault]]\naction = 'status'\ncode = 500\nheaders = {Transfer-Encoding = 'chunked'}",
            "headers: expected .* and Transfer-Encoding",
        ),
        ("[[fault]]\naction = 'freeze'\nchance = 2", "chance: expected a number from 0 to 1, not 2"),
        (
            "[[fault]]\naction = 'freeze'\ntimes = 0",
            'times: expected a whole number from 1, or "always", not 0',
        ),
        ("[[fault]]\naction = 'freeze'\ntimes = 'ever'", "times: expected a whole number from 1"),
        ("[[fault]]\naction = 'freeze'\nafter = 1.5", "after: expected a whole number, 0 or more, not 1.5"),
        ("[[fault]]\naction = 'freeze'\nseed = 'x'", "seed: expected a whole number"),
        ("[[fault]]\naction = 'freeze'\nuser = 3", "user: expected text, not 3"),
        ("[[fault]]\naction = 'freeze'\nafter_effect = 1", "after_effect: expected true or false, not 1"),
        ("[[fault]]\naction = 'status'\ncode = 99", "code: expected a status code from 200 to 599, not 99"),
        ("[[fault]]\naction = 'status'\ncode = 500\nbody = 1979-05-27", "body: expected a JSON value"),
        ("[[fault]]\naction = 'status'\ncode = 500\nheaders = {A = 1}", "headers: expected a table of texts"),
        ("[[fault]]\naction = 'status'\ncode = 500\nheaders = {A = \"1\\n2\"}", "headers: expected a table"),
        ("[[fault]]\naction = 'wrong_type'\ncontent_type = \"a\\nb\"", "content_type: expected text such as"),
    ],
)
def test_a_mistake_in_a_script_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Faults.from_toml(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: faults.delay(float("nan")), "delay: seconds: expected a number, 0 or more, not nan"),
        (lambda: faults.delay(-1), "delay: seconds: expected a number, 0 or more, not -1"),
        (lambda: faults.delay(10**400), "delay: seconds: expected a number, 0 or more, not 1000"),
        (lambda: faults.delay(10**5000), "delay: seconds: expected .*, not this int"),
        (lambda: faults.slow_body(seconds=float("inf")), "slow_body: seconds: expected a number"),
        (lambda: faults.status(999), "status: code: expected a status code from 200 to 599, not 999"),
        (lambda: faults.status(503, body=object()), "status: body: expected a JSON value, not <object"),
        (lambda: faults.status(503, body="\ud800"), "status: body: expected a JSON value"),
        (lambda: faults.status(503, headers={"a b": "c"}), "status: headers: expected a table of texts"),
        (lambda: faults.status(503, headers={"Content-Length": "5"}), "status: headers: expected"),
        (lambda: faults.crowded(retry_after=-1), "crowded: retry_after: expected a whole number"),
        (lambda: faults.skew(float("nan")), "skew: seconds: expected a number from -1e10 to 1e10, not nan"),
        (lambda: Fault(faults.html(), times=0), "times: expected a whole number from 1, or None"),
        (lambda: Fault(faults.html(), after=-1), "after: expected a whole number, 0 or more"),
        (lambda: Fault(faults.html(), method="FETCH"), "method: expected one of DELETE, GET"),
        (lambda: Fault(faults.html(), path="health"), "path: expected text that begins with"),
    ],
)
def test_a_mistake_in_python_is_named_at_once(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


async def test_times_in_python_are_a_number_or_none(opened: Opens) -> None:
    async with opened() as (box, _):
        add: Any = box.faults.add
        with pytest.raises(ValueError, match=r"times: expected .* or None for always, not 'always'"):
            add(faults.html(), times="always")
        assert box.faults.script == []


async def test_an_action_that_was_not_called_is_refused(opened: Opens) -> None:
    async with opened() as (box, _):
        add: Any = box.faults.add
        with pytest.raises(TypeError, match=r"action: expected one such as delay\(30\), .*call it: html\("):
            add(faults.html)
        with pytest.raises(TypeError, match=r"not 'html'$"):
            add("html")
        with pytest.raises(TypeError, match="where: expected a function of the request, not 3"):
            add(faults.html(), where=3)


async def test_a_method_may_be_lower_case(opened: Opens) -> None:
    script = Faults.from_toml("[[fault]]\naction = 'html'\nmethod = 'get'\ncode = 503")
    async with opened(faults=script) as (box, wire):
        box.faults.add(faults.html(502), method="get")
        assert [(await wire.get("/health")).status for _ in range(3)] == [503, 502, 200]


async def test_a_name_in_a_path_stands_for_one_segment(opened: Opens) -> None:
    path = "/api/evaluations/regenerate/{job_id}"
    script = Faults.from_toml(f"[[fault]]\naction = 'html'\npath = '{path}'\ncode = 503\ntimes = 'always'")
    asked = [path.replace("{job_id}", name) for name in ("j1", "a.b", "a/b", "")]
    async with opened(faults=script) as (box, wire):
        assert [(await wire.get(each)).status == 503 for each in asked] == [True, True, False, False]
        box.faults.clear()
        box.faults.add(faults.html(503), path=path, times=None)
        assert [(await wire.get(each)).status == 503 for each in asked] == [True, True, False, False]


async def test_the_rest_of_a_path_with_names_is_literal(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.html(503), path="/a.c/{one}/{two}", times=None)
        asked = ("/a.c/1/2", "/abc/1/2", "/a.c/1")
        assert [(await wire.get(path)).status for path in asked] == [503, 404, 404]


async def test_a_text_body_of_a_status_is_sent_as_json(opened: Opens) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.status(503, 'too "busy"'))
        answer = await wire.get("/health")
        assert (answer.json, answer.headers["Content-Type"]) == ('too "busy"', "application/json")


@pytest.mark.parametrize("name", ["Content-Type", "content-type"])
async def test_a_status_has_only_the_given_content_type(opened: Opens, name: str) -> None:
    async with opened() as (box, wire):
        box.faults.add(faults.status(503, headers={name: "text/html", "Retry-After": "4"}))
        headers: Any = (await wire.get("/health")).headers
        assert headers.getall("Content-Type") == ["text/html"]
        assert headers["Retry-After"] == "4"
