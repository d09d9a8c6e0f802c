"""What a request model takes, the sandbox takes: no call that passed here is answered with 422."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import pytest
from hypothesis import given, settings

from reflexio_async import (
    AsyncReflexioClient,
    BackgroundCall,
    Job,
    ReflexioError,
    RetryPolicy,
    UnprocessableRequest,
)
from reflexio_async.errors import InvalidRequest
from reflexio_async.sandbox import Sandbox, VirtualClock
from tests.api.test_requests import ROWS, SCHEMAS, by_contract

# Rules that the contract does not tell, and that may change with the server.
SERVERS_OWN = ("every interaction is empty", "Embedding must be")
CALLS = sorted(name for name, row in ROWS.items() if row.model.__name__ in SCHEMAS)


async def call(name: str, body: dict[str, Any]) -> None:
    clock = VirtualClock()
    async with (
        Sandbox(clock=clock) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock, retry=RetryPolicy(max_attempts=1)) as client,
    ):
        try:
            answer = await getattr(client, name)(body)
            if isinstance(answer, BackgroundCall | Job):
                await answer
        except UnprocessableRequest as refused:
            if not any(rule in str(refused) for rule in SERVERS_OWN):
                raise
        except InvalidRequest:
            return  # what is refused here is the business of test_requests
        except ReflexioError:
            pass  # the sandbox does not have what was named
        assert box.requests


@pytest.mark.parametrize("name", CALLS)
def test_what_is_taken_here_is_taken_there(name: str) -> None:
    @settings(max_examples=4, deadline=None)
    @given(by_contract(ROWS[name].model.__name__))
    def check(body: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", UserWarning)
            asyncio.run(call(name, body))

    check()
