"""What ``help()``, an editor's console and documentation tools show of the calls."""

from __future__ import annotations

import pydoc
import subprocess
import sys
from pathlib import Path
from typing import Any

import griffe
import pytest

import reflexio_async
from tests.endpoints.calls import CALLS, CLIENT, Call, every_call, every_class


def shown(thing: object) -> str:
    return pydoc.plain(pydoc.render_doc(thing))


# --- help of Python


@every_class
def test_help_of_a_class_lists_every_call_with_its_arguments(owner: type) -> None:
    text = shown(owner)
    for call in (call for call in CALLS if call.owner is owner):
        name = call.function.__name__
        alias = "" if name == call.name else f"{call.name} = "
        assert f"async {alias}{name}(" in text, call
        assert call.function.__doc__.splitlines()[0] in text, call


def test_help_of_a_call_says_its_arguments_its_meaning_and_its_errors() -> None:
    text = shown(CLIENT.publish_interaction)
    for part in (
        "publish_interaction(",
        "user_id: str",
        "session_id: str",
        "wait_for_response: bool = False",
        "Store interactions: turns of a conversation",
        "request_id: An id of your own",
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
    for part in (
        "as a Job",
        "wait_for_response: Wait for the result, and return it in place of the handle.",
        "poll_interval: Seconds between status requests.",
        "wait_timeout: Seconds to wait, queueing included.",
    ):
        assert part in text


def test_what_a_field_of_the_request_means_is_said() -> None:
    assert "top_k: In a request, None means all of them; as a keyword, 30." in shown(CLIENT.get_profiles)


def test_a_positional_id_is_shown() -> None:
    assert "get_learning_status(request_id: str)" in shown(CLIENT.get_learning_status)


@every_call
def test_help_of_a_call_begins_with_its_name_and_has_its_docstring(call: Call) -> None:
    _, _, *lines = shown(call.bound).splitlines()
    assert f"{call.function.__name__}(" in lines[0]
    assert f"    {call.function.__doc__.splitlines()[0]}" in lines


# --- griffe, which reads the source alone

PATHS = {
    "AsyncReflexioClient": "client.AsyncReflexioClient",
    "AsyncReflectClient": "reflect.client.AsyncReflectClient",
    "LegacyAPI": "legacy.api.LegacyAPI",
    "SessionScopedClient": "reflexio.api.session_scoped.SessionScopedClient",
}


@pytest.fixture(scope="module")
def documented() -> Any:
    """The package as griffe sees it."""
    place = Path(reflexio_async.__file__).parents[1]
    return griffe.load("reflexio_async", search_paths=[place], resolve_aliases=True, allow_inspection=False)


@every_class
def test_griffe_finds_every_public_name_with_a_text(documented: Any, owner: type) -> None:
    members = documented[PATHS[owner.__name__]].all_members
    public = [name for name in dir(owner) if not name.startswith("_")]
    assert [name for name in public if name not in members or not members[name].docstring] == []


@every_class
def test_griffe_takes_every_call_for_a_coroutine_function(documented: Any, owner: type) -> None:
    members = documented[PATHS[owner.__name__]].all_members
    for call in (call for call in CALLS if call.owner is owner):
        member = members[call.name]
        if call.name == call.function.__name__:
            assert member.is_function, call
            assert "async" in member.labels, call
        else:
            assert member.is_attribute, call
            assert str(member.value) == call.function.__name__, call
