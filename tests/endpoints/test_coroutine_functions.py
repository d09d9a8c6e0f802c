"""Every call is a coroutine function: Python, mocks and frameworks see what they expect."""

from __future__ import annotations

import asyncio
import inspect
from functools import partial
from typing import get_type_hints
from unittest import mock

import pytest

from reflexio_async import AsyncReflectClient, AsyncReflexioClient
from tests.endpoints.calls import CALLS, CLIENTS, NO_CALLS, Call, every_call, every_class

WAITING = {"wait_for_response", "poll_interval", "wait_timeout"}


def test_the_calls_of_every_class_are_found() -> None:
    found = {owner.__name__: sum(call.owner is owner for call in CALLS) for owner in CLIENTS}
    least = {"AsyncReflexioClient": 106, "AsyncReflectClient": 27, "LegacyAPI": 30, "SessionScopedClient": 17}
    assert found.keys() == least.keys()
    assert all(found[name] >= number for name, number in least.items())


@every_class
def test_what_is_no_call_is_no_coroutine_function(owner: type) -> None:
    for name in NO_CALLS[owner]:
        assert not inspect.iscoroutinefunction(getattr(owner, name)), name


# --- as Python sees it


@every_call
def test_it_is_a_coroutine_function_in_its_class_and_on_a_client(call: Call) -> None:
    for function in (call.function, call.bound, partial(call.bound, **call.required(None))):
        assert inspect.iscoroutinefunction(function)
        assert asyncio.iscoroutinefunction(function)  # pyright: ignore[reportDeprecated]  # still in use
    assert inspect.ismethod(call.bound)
    assert inspect.isfunction(call.function) or call.name == "bootstrap"


@every_call
def test_its_source_is_the_function_in_the_api_file(call: Call) -> None:
    assert f"async def {call.function.__name__}(" in inspect.getsource(call.function)


@every_call
def test_it_has_a_docstring(call: Call) -> None:
    summary = call.function.__doc__.splitlines()[0]
    assert len(summary) > 20
    assert summary.endswith((".", ":"))


@every_call
def test_its_annotations_are_types(call: Call) -> None:
    hints = get_type_hints(call.function)
    assert set(hints) == {*call.parameters, "return"}
    assert "Annotated" not in str(hints)
    assert not any(isinstance(hint, str) for hint in hints.values())


@every_call
def test_its_signature_says_every_argument(call: Call) -> None:
    parameters = call.parameters.values()
    assert all(parameter.annotation is not inspect.Parameter.empty for parameter in parameters)
    assert not any(
        parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD} for parameter in parameters
    )
    assert inspect.signature(call.function).return_annotation is not inspect.Signature.empty


@every_call
def test_its_signature_binds_what_must_be_given(call: Call) -> None:
    given = call.required("x")
    assert inspect.signature(call.bound).bind(**given).arguments == given
    with pytest.raises(TypeError):
        inspect.signature(call.bound).bind(no_such_argument=1, **given)


@pytest.mark.parametrize("call", [call for call in CALLS if call.takes_a_request], ids=str)
def test_a_call_with_a_request_takes_keywords_alone(call: Call) -> None:
    assert {parameter.kind for parameter in call.parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("call", [call for call in CALLS if call.takes_a_request], ids=str)
def test_the_options_of_waiting_come_last_in_a_signature(call: Call) -> None:
    names = list(call.parameters)
    assert sorted(names, key=WAITING.__contains__) == names


def test_a_signature_says_names_types_and_defaults() -> None:
    assert str(inspect.signature(AsyncReflexioClient.manual_profile_generation)) == (
        "(self, *, user_id: Optional[str] = None, source: Optional[str] = None, "
        "extractor_names: list[str] | None = None, wait_for_response: bool = False, "
        "poll_interval: Optional[float] = None, wait_timeout: Optional[float] = None) -> "
        "reflexio_async._engine.tasks.BackgroundCall"
        "[reflexio_async.reflexio.models.operations.ManualProfileGenerationResponse]"
    )
    assert str(inspect.signature(AsyncReflectClient.get_trace)) == (
        "(self, trace_id: str) -> reflexio_async.reflect.models.traces.Trace"
    )


# --- mocks


@every_class
async def test_the_calls_of_an_autospec_are_awaited(owner: type) -> None:
    fake = mock.create_autospec(owner, instance=True)
    for call in (call for call in CALLS if call.owner is owner):
        given = call.required("x")
        faked = getattr(fake, call.name)
        faked.return_value = "faked"
        # Of a class method, Python 3.13 makes a mock that is awaited, but no function.
        assert inspect.iscoroutinefunction(faked) or call.name == "bootstrap", call
        assert await faked(**given) == "faked"
        faked.assert_awaited_once_with(**given)
        with pytest.raises(TypeError):
            await faked(no_such_argument=1, **given)


@every_class
async def test_the_calls_of_an_async_mock_of_the_class_or_a_client_are_awaited(owner: type) -> None:
    for fake in (mock.AsyncMock(spec=owner), mock.AsyncMock(spec=CLIENTS[owner])):
        for call in (call for call in CALLS if call.owner is owner):
            faked = getattr(fake, call.name)
            faked.return_value = "faked"
            assert inspect.iscoroutinefunction(faked), call
            assert await faked(**call.required("x")) == "faked"


@every_call
async def test_it_can_be_patched_in_the_class(call: Call) -> None:
    with mock.patch.object(call.owner, call.name, autospec=True) as patched:
        patched.return_value = "faked"
        assert await call.bound(**call.required("x")) == "faked"


@every_call
async def test_it_can_be_patched_on_a_client(call: Call) -> None:
    for autospec in (None, True):
        with mock.patch.object(CLIENTS[call.owner], call.name, autospec=autospec) as patched:
            patched.return_value = "faked"
            assert await call.bound(**call.required("x")) == "faked"
