"""January's API against the models that its server and its client shared: reflexio-commons 0.1.0.0."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reflexio_async import AsyncReflexioClient
from reflexio_async._engine import wire
from reflexio_async.sandbox import Sandbox
from tests.environments import REFLEXIO_COMMONS
from tests.january import EVERY, call, fill
from tests.parity.compare import LEGACY
from tests.parity.refresh import january

pytestmark = [pytest.mark.real, pytest.mark.slow]  # the models are installed from a package index

_SCRIPT = Path(__file__).with_name("january.py")


class Exchange(NamedTuple):
    """One request of the client, and the response of the sandbox."""

    method: str
    path: str
    sent: Any
    answer: Any


@pytest.fixture(scope="module")
async def exchanges() -> list[Exchange]:
    """Every call of January's API on the sandbox."""
    bodies: list[Any] = []
    decode = wire.decode

    def noting(endpoint: Any, service: Any, response: Any, *others: Any) -> Any:
        bodies.append(json.loads(response.body))
        return decode(endpoint, service, response, *others)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wire, "decode", noting)
        logins = {"ana@example.com": "secret"}
        async with (
            Sandbox(legacy=True, logins=logins, rate_limits=False, rerun_seconds=0.01) as box,
            AsyncReflexioClient(url_endpoint=box.url) as client,
        ):
            await client.login("ana@example.com", "secret")
            await fill(box, client.legacy)
            # Reads first: some calls delete.
            for name in sorted(EVERY, key=lambda name: not name.startswith(("get_", "search_"))):
                await call(client.legacy, name)
            seen = [
                Exchange(one.method, one.path, one.body, body)
                for one, body in zip(box.requests, bodies, strict=True)
            ]
    return seen


def _problems(given: list[tuple[str, Any, bool]]) -> list[str]:
    """What January's models say against each: a name, a body, whether it must hold every field."""
    done = subprocess.run(
        [REFLEXIO_COMMONS.python(), _SCRIPT],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    return [f"{name}: {problem}" for (name, _, _), problem in zip(given, said, strict=True) if problem]


def _named(part: Any) -> str:
    """The name of the schema of a request or a response of the contract."""
    (content,) = part["content"].values()
    return str(content["schema"].get("$ref", "")).rpartition("/")[2]


async def test_every_route_of_january_is_called(exchanges: list[Exchange]) -> None:
    called = {(one.method.lower(), one.path) for one in exchanges}
    assert called == {(verb, path) for path, verbs in LEGACY["paths"].items() for verb in verbs}


async def test_the_sandbox_answers_as_january_s_models_write(exchanges: list[Exchange]) -> None:
    given = [
        (_named(LEGACY["paths"][one.path][one.method.lower()]["responses"]["200"]), one.answer, True)
        for one in exchanges
        if one.path != "/token"  # servers add fields that the model of a token does not have
    ]
    assert await asyncio.to_thread(_problems, given) == []


async def test_january_s_models_accept_what_the_client_sends_and_know_every_key(
    exchanges: list[Exchange],
) -> None:
    given: list[tuple[str, Any, bool]] = []
    for one in exchanges:
        operation = LEGACY["paths"][one.path][one.method.lower()]
        if "requestBody" in operation and one.path != "/token":
            # ``request_id`` of a publish is that of older servers.
            sent = {name: value for name, value in one.sent.items() if (one.path, name) != _OLDER}
            given.append((_named(operation["requestBody"]), sent, False))
    assert await asyncio.to_thread(_problems, given) == []


_OLDER = ("/api/publish_interaction", "request_id")


async def test_the_contract_of_january_has_the_schemas_of_its_models() -> None:
    assert await asyncio.to_thread(january) == LEGACY
