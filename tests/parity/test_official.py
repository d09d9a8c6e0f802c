"""The clients against the official packages, as they were recorded (``python -m tests.parity.refresh``)."""

from __future__ import annotations

from typing import Any

import pytest

import reflexio_async
from tests.parity import refresh
from tests.parity.compare import load
from tests.parity.official_calls import REFLECT, REFLEXIO, called
from tests.parity.official_data import FOLDER, OFFICIAL
from tests.parity.recording import Names, evaluate

CLIENTS = {
    "reflexio-ai": ("ReflexioClient", "SessionScopedClient", REFLEXIO),
    "reflect-sdk": ("ReflectClient", "TraceContext", REFLECT),
}
"""Of the packages that have the most: the client, what else has methods, and the calls."""


def _ignore(**_: Any) -> None:
    pass


class Spy:
    """Stands for a client. Notes the names of the parameters that each method is given."""

    def __init__(self, methods: dict[str, dict[str, Any]], scoped: Spy | None = None) -> None:
        self.given: dict[str, set[str]] = {name: set() for name in methods if name != "__init__"}
        self._methods = methods
        self._scoped = scoped

    def __getattr__(self, name: str) -> Any:
        if name not in self._methods:  # of the session: the client's
            return _ignore

        def method(*values: Any, **keywords: Any) -> Any:
            positions = [one for one, about in self._methods[name].items() if "position" in about]
            self.given[name] |= {*positions[: len(values)], *keywords}
            return self._scoped

        return method


@pytest.mark.parametrize("package", CLIENTS)
def test_every_official_method_is_called_with_every_parameter(package: str) -> None:
    client_class, other_class, calls = CLIENTS[package]
    described = OFFICIAL[package].described
    other = Spy(described[other_class])
    client = Spy(described[client_class], scoped=other)

    def traced(context: Spy, **output: Any) -> None:
        context.set_output(**output)

    given = {"client": client, "session": other, "ReflectClient": client, "traced": traced, "URL": ""}
    for call in (call for call in calls if not call.startswith("decorated")):
        evaluate(call, Names(reflexio_async, **given))
    for kind, spy in ((client_class, client), (other_class, other)):
        missing = {name: set(described[kind][name]) - given for name, given in spy.given.items()}
        assert {name: parameters for name, parameters in missing.items() if parameters} == {}


@pytest.mark.parametrize("package", CLIENTS)
def test_the_newest_client_sends_every_call(package: str) -> None:
    assert list(OFFICIAL[package].calls) == CLIENTS[package][2]


def test_the_client_on_its_own_lacks_only_what_came_later() -> None:
    lacks = {called(call) for call in REFLEXIO} - {called(call) for call in OFFICIAL["reflexio-client"].calls}
    later = {"for_session", "finalize_session", "finalize_session_async"}
    later |= {"submit_playbook_aggregation", "get_playbook_aggregation_operation"}
    assert {name for name in lacks if not name.startswith("session.")} == later


def test_the_recorded_versions_are_those_of_the_environments() -> None:
    recorded = {distribution: package.version for distribution, package in OFFICIAL.items()}
    assert recorded == {distribution: version for distribution, (version, _, _) in refresh.PACKAGES.items()}


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("distribution", refresh.PACKAGES)
def test_what_is_recorded_is_what_the_official_package_gives(distribution: str) -> None:
    assert refresh.recorded(distribution) == (FOLDER / f"{distribution}.json").read_text()


@pytest.mark.real
@pytest.mark.slow
def test_the_recorded_contract_is_the_server_s() -> None:
    assert refresh.contract() == load(refresh.CONTRACT.name)
