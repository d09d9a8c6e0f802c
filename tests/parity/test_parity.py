"""The clients against the contracts and the official packages (see ``python -m tests.parity``)."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import get_type_hints

import pytest

from reflexio_async import AsyncReflectClient, AsyncReflexioClient
from reflexio_async.legacy.api import LegacyAPI
from tests.calls import calls
from tests.parity import reflect
from tests.parity.__main__ import main, table
from tests.parity.compare import CONTRACT, LEGACY
from tests.parity.official_data import OFFICIAL
from tests.parity.reasons import REASONS, reason

TABLE = table()

# Calls whose result is not the response itself: a part of it, what it becomes in the end, or more than it.
OTHER_RESULTS = {
    AsyncReflexioClient: {
        "get_learning_status",
        "publish_later",
        "regenerate_evaluations",
        "set_config",
        "update_config",
    },
    AsyncReflectClient: {
        "augment_with_memories",
        "create_memory",
        "create_trace",
        "create_trace_and_wait",
        "create_trace_later",
        "get_skill",
        "open_trace",
        "query_memories",
    },
    LegacyAPI: {"set_config"},
}

# Fields of a request that are no parameter of its call, or one of another type or default; and why.
OTHER_PARAMETERS = {
    "augment_with_memories(project_id)": "the client's",
    "delete_project(project_id)": "the client's",
    "delete_traces(project_id)": "the client's",
    "get_skill(project_id)": "the client's",
    "get_trace(project_id)": "the client's",
    "list_api_keys(project_id)": "the client's",
    "open_trace(project_id)": "the client's",
    "publish_interaction(agent_version)": "the official client's default",
    "publish_interaction(interactions)": "after an optional one, as in January; an error says it is needed",
    "publish_interaction(session_id)": "the official client's default; an error says that it is needed",
    "publish_interaction(user_id)": "after an optional one, as in January; an error says it is needed",
    "publish_later(agent_version)": "as in publish_interaction",
    "publish_later(session_id)": "as in publish_interaction",
    "publish_later(wait_for_response)": "it never waits for learning",
    "query_memories(project_id)": "the client's",
    "resolve_pending_tool_call(result)": "an answer may be given instead",
    "review_trace(project_id)": "the client's",
    "revoke_api_key(project_id)": "the client's",
}


def test_every_difference_has_a_reason() -> None:
    assert [line for line in TABLE if not line.same and reason(line.what) is None] == []


@pytest.mark.parametrize("pattern", REASONS)
def test_every_reason_is_needed(pattern: str) -> None:
    assert any(re.fullmatch(pattern, line.what) for line in TABLE if not line.same)


def test_the_table_is_whole() -> None:
    assert (len(CONTRACT["paths"]), len(LEGACY["paths"]), len(reflect.CONTRACT["paths"])) == (98, 32, 12)
    assert len(OFFICIAL["reflexio-ai"].described["ReflexioClient"]) == 82
    assert len(TABLE) > 5000


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--differences"]) == 0
    assert "0 without a reason" in capsys.readouterr().out


def test_every_call_is_called_on_the_real_server() -> None:
    folder = Path(__file__).parents[1] / "api"
    called: set[str] = set()
    for file in folder.glob("test_real_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                called.add(node.func.attr)
    # Only January's servers have it; tests/real/test_refusals.py calls it.
    called.add("login")
    assert sorted(set(calls(AsyncReflexioClient)) - called) == []


def test_a_plain_call_takes_every_field_of_its_request() -> None:
    differ: set[str] = set()
    for call in (
        call for client in OTHER_RESULTS for call in calls(client).values() if not call.takes_request
    ):
        parameters = inspect.signature(call.function).parameters
        types, field_types = get_type_hints(inspect.unwrap(call.function)), get_type_hints(call.request)
        for name, field in call.request.model_fields.items():
            default = inspect.Parameter.empty if field.is_required() else field.default
            if (
                name not in parameters
                or parameters[name].default != default
                or types[name] != field_types[name]
            ):
                differ.add(f"{call.name.removesuffix('_async')}({name})")
    assert sorted(differ) == sorted(OTHER_PARAMETERS)


@pytest.mark.parametrize("client", OTHER_RESULTS)
def test_a_call_gives_the_response_of_its_endpoint(client: type) -> None:
    others = {
        name.removesuffix("_async")
        for name, call in calls(client).items()
        if call.results != {call.endpoint.response}
    }
    assert others == OTHER_RESULTS[client]


@pytest.mark.parametrize("client", [AsyncReflexioClient, AsyncReflectClient, LegacyAPI])
def test_every_call_says_what_it_does(client: type) -> None:
    for name, call in calls(client).items():
        meaning = (call.function.__doc__ or "").partition("\n")[0]
        assert len(meaning) > 10, name
