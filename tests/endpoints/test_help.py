"""What an editor's console and ``help()`` show of a call."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from typing import Any

import pytest
from reflexio_async._engine.routing.route import BoundRow, Route, Row

from reflexio_async import AsyncReflexioClient
from reflexio_async._engine.wire import Endpoint

CLIENT = AsyncReflexioClient(url_endpoint="http://127.0.0.1:1")
ROWS: dict[str, Row[..., Any, Any]] = {
    name: row
    for name in dir(AsyncReflexioClient)  # some are loaded when they are looked at
    if isinstance(row := getattr(AsyncReflexioClient, name), Row)
}
every_row = pytest.mark.parametrize("name", ROWS)


def shown(call: object) -> str:
    return pydoc.plain(pydoc.render_doc(call))


def test_a_call_shows_its_keywords_its_meaning_its_fields_and_its_limit() -> None:
    text = shown(CLIENT.publish_interaction)
    for part in (
        "publish_interaction(",
        "user_id: str",
        "session_id: str",
        "wait_for_response: bool = False",
        "Store turns of a conversation",
        "POST /api/publish_interaction",
        "60 a minute",
        "request_id: Insert-once key",
        "InvalidRequest",
    ):
        assert part in text


def test_it_does_so_in_a_fresh_process_before_any_call() -> None:
    program = (
        "import pydoc; from reflexio_async import AsyncReflexioClient; "
        "c = AsyncReflexioClient(url_endpoint='http://127.0.0.1:1'); "
        "print(pydoc.plain(pydoc.render_doc(c.get_profiles)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "user_id: str" in result.stdout


def test_a_job_shows_how_to_wait() -> None:
    text = shown(CLIENT.rerun_profile_generation)
    for part in ("wait_for_response", "poll_interval", "wait_timeout", "as a Job", "5 a minute"):
        assert part in text


def test_a_slow_call_shows_how_long_it_may_take() -> None:
    assert "630 s" in shown(CLIENT.manual_profile_generation)


def test_a_positional_id_is_shown() -> None:
    assert "get_learning_status(request_id: str)" in shown(CLIENT.get_learning_status)


@pytest.mark.parametrize(
    ("name", "repeated"), [("whoami", True), ("get_profiles", True), ("upgrade_profiles", False)]
)
def test_it_says_whether_it_may_be_sent_twice(name: str, *, repeated: bool) -> None:
    assert ("it is not repeated" not in shown(getattr(CLIENT, name))) is repeated


def test_a_publish_is_not_said_to_be_sent_once_only() -> None:
    assert "it is not repeated" not in shown(CLIENT.publish_interaction)


@every_row
def test_every_call_is_documented(name: str) -> None:
    call = getattr(CLIENT, name)
    signature, meaning, *_ = call.__doc__.split("\n\n")
    assert signature.startswith(f"{name}(")
    assert "**data" not in signature
    assert len(meaning) > 20


@every_row
def test_every_call_has_a_name_and_a_signature(name: str) -> None:
    call = getattr(CLIENT, name)
    assert call.__name__ == name
    assert "Annotated" not in str(inspect.signature(call))
    endpoint = ROWS[name].endpoint
    assert f"{name}: {endpoint.method} {endpoint.path}" in repr(call)


@every_row
def test_on_the_class_a_row_is_the_declaration(name: str) -> None:
    assert getattr(AsyncReflexioClient, name) is ROWS[name]


def test_on_a_client_it_is_a_call_of_that_client() -> None:
    assert isinstance(CLIENT.whoami, BoundRow)


def test_a_row_whose_request_is_made_by_a_function_must_name_the_model() -> None:
    def by_id(thing_id: str) -> Any:
        return thing_id

    with pytest.raises(TypeError, match="needs model="):
        Route("GET", "/things", by_id, dict[str, str])


def test_reads_are_repeatable_and_writes_are_not_unless_said() -> None:
    by_method = {name: row.endpoint for name, row in ROWS.items()}
    assert by_method["whoami"].repeatable
    assert by_method["get_profiles"].repeatable
    assert not by_method["upgrade_profiles"].repeatable
    assert not by_method["rerun_profile_generation"].repeatable
    assert not Endpoint("POST", "/x").repeatable
