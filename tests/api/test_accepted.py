"""What a call accepts, the sandbox accepts: no request that passed here is answered with 422."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import pytest
from hypothesis import given, settings

from reflexio_async import (
    AsyncReflexioClient,
    ReflexioError,
    RetryPolicy,
    UnprocessableRequest,
)
from reflexio_async.errors import InvalidRequest
from reflexio_async.sandbox import Sandbox, VirtualClock
from tests.api.test_requests import CALLS, NAMES, SCHEMAS, by_contract
from tests.calls import to_the_end

# Rules that the contract does not tell, and that may change with the server.
SERVERS_OWN = ("every interaction is empty", "Embedding must be")


async def call(name: str, body: dict[str, Any]) -> None:
    clock = VirtualClock()
    async with (
        Sandbox(clock=clock) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock, retry=RetryPolicy(max_attempts=1)) as client,
    ):
        try:
            await to_the_end(CALLS[name](client, body))
        except UnprocessableRequest as refused:
            if not any(rule in str(refused) for rule in SERVERS_OWN):
                raise
        except InvalidRequest:
            return  # what is refused here is the business of test_requests
        except ReflexioError:
            pass  # the sandbox does not have what was named
        assert box.requests


def renamed(body: dict[str, Any]) -> dict[str, Any]:
    """``body`` with the names that the calls have for its fields."""
    return {NAMES.get(name, name): value for name, value in body.items()}


@pytest.mark.parametrize("name", [name for name, call in CALLS.items() if call.request.__name__ in SCHEMAS])
def test_what_is_accepted_here_is_accepted_there(name: str) -> None:
    @settings(max_examples=4, deadline=None)
    @given(by_contract(CALLS[name].request.__name__))
    def check(body: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", UserWarning)
            asyncio.run(call(name, {**dict.fromkeys(CALLS[name].ids_in_path, "id"), **renamed(body)}))

    check()
