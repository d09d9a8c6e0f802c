"""Schemathesis runs every operation of the three contracts against the sandbox.

Each operation has a sandbox of its own, and must be answered with a success at least once: what a success
looks like is most of what the contracts declare.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, settings
from schemathesis.core.failures import FailureGroup

from tests.contracts.contracts import CHECKS, contract, operations, schema_of
from tests.contracts.findings import FINDINGS, Finding
from tests.contracts.serving import Loop, Place, served

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

pytestmark = pytest.mark.slow

DOCUMENTS: Final = {name: contract(name) for name in ("reflexio", "reflexio-legacy", "reflect")}
SCHEMAS: Final = {name: schema_of(document) for name, document in DOCUMENTS.items()}

# One sandbox for all requests to one operation is meant.
_one_sandbox = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def each_operation_of(name: str) -> Callable[[Callable[[Any, Run], None]], Any]:
    """Make a test of every operation out of a function that takes one case."""
    return lambda test: _one_sandbox(SCHEMAS[name].parametrize()(test))


@dataclass
class Run:
    """One operation under test."""

    place: Place
    operation: str
    successes: int = 0

    def check(self, case: Any) -> None:
        """Send it and look at the answer."""
        place = self.place
        case.path_parameters = place.known(case.path_parameters)
        case.query = place.known(case.query)
        case.headers.update(place.known(dict(case.headers)))
        case.body = place.acceptable(self.operation, case.body)
        response = case.call(base_url=place.url, session=place.session)
        self.successes += response.status_code < 300
        expected = [finding.message for finding in FINDINGS if finding.operation == self.operation]
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            if not all(any(message in str(failure) for message in expected) for failure in group.exceptions):
                raise


@pytest.fixture(scope="module")
def loop() -> Generator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def run(request: pytest.FixtureRequest, loop: Loop) -> Generator[Run]:
    test, _, label = request.node.name.partition("[")
    operation = label.removesuffix("]")
    with served(loop, test.removeprefix("test_").replace("_", "-"), operation) as place:
        run = Run(place, operation)
        yield run
    assert run.successes, "never answered with a success"


@each_operation_of("reflexio")
def test_reflexio(case: Any, run: Run) -> None:
    run.check(case)


@each_operation_of("reflexio-legacy")
def test_reflexio_legacy(case: Any, run: Run) -> None:
    run.check(case)


@each_operation_of("reflect")
def test_reflect(case: Any, run: Run) -> None:
    run.check(case)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_operation_of_the_contract_is_run(name: str) -> None:
    run = {result.ok().label for result in SCHEMAS[name].get_all_operations()}
    assert run == operations(DOCUMENTS[name])


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: f"{finding.operation}: {finding.message}")
def test_a_known_finding_is_still_found(finding: Finding, loop: Loop) -> None:
    method, _, path = finding.operation.partition(" ")
    with served(loop, "reflexio", finding.operation) as place:
        case = SCHEMAS["reflexio"][path][method].Case(
            path_parameters=place.names, query=finding.query, body=finding.body, media_type="application/json"
        )
        with pytest.raises(FailureGroup) as group:
            case.call_and_validate(base_url=place.url, session=place.session, checks=CHECKS)
    assert any(finding.message in str(failure) for failure in group.value.exceptions)
