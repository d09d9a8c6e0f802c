"""Keys, and what the server refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reflexio_async import (
    APIConnectionError,
    AsyncReflexioClient,
    AuthenticationError,
    NotFound,
    RetryPolicy,
    UnprocessableRequest,
)
from reflexio_async.testing import RealServer
from tests.real.helpers import client_of, current, publish

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real

KEY = "open-sesame-4711"


@pytest.fixture(scope="module")
def guarded() -> Iterator[RealServer]:
    with RealServer(api_key=KEY) as server:
        yield server


async def test_whoami_names_the_organisation_and_its_storage(client: AsyncReflexioClient) -> None:
    answer = await client.whoami()
    assert (answer.success, answer.org_id) == (True, "self-host-org")
    assert (answer.storage_type, answer.storage_configured) == ("sqlite", True)


async def test_health(client: AsyncReflexioClient) -> None:
    assert await client.health() == {"status": "healthy"}


async def test_the_right_key_opens(guarded: RealServer, name: str) -> None:
    async with client_of(guarded, api_key=KEY) as client:
        assert (await client.whoami()).success
        await publish(client, name, force_extraction=True, wait_for_response=True)
        assert await current(client, name) == 1


async def test_the_key_is_found_in_the_environment(
    guarded: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFLEXIO_API_KEY", KEY)
    monkeypatch.setenv("REFLEXIO_API_URL", guarded.url)
    async with AsyncReflexioClient() as client:
        assert (await client.whoami()).success


@pytest.mark.parametrize("key", ["wrong-key-0815", ""])
async def test_a_wrong_or_missing_key_is_refused_at_once(guarded: RealServer, key: str) -> None:
    before = [entry.status for entry in guarded.access_log() if entry.path == "/api/whoami"]
    async with client_of(guarded, api_key=key) as client:
        with pytest.raises(AuthenticationError, match="Authentication required") as caught:
            await client.whoami()
    assert (caught.value.status, caught.value.attempts) == (401, 1)
    assert "0815" not in str(caught.value)
    after = [entry.status for entry in guarded.access_log() if entry.path == "/api/whoami"]
    assert after == [*before, 401]


async def test_a_rerun_with_a_wrong_key_is_refused_before_anything_is_sent(guarded: RealServer) -> None:
    async with client_of(guarded, api_key="wrong-key-0815") as client:
        with pytest.raises(AuthenticationError):
            await client.rerun_profile_generation(user_id="ana")


async def test_health_needs_no_key(guarded: RealServer) -> None:
    async with client_of(guarded, api_key="wrong-key-0815") as client:
        assert await client.health() == {"status": "healthy"}


async def test_what_the_server_finds_wrong_is_named_without_the_input(
    client: AsyncReflexioClient, name: str
) -> None:
    with pytest.raises(UnprocessableRequest) as caught:
        await client.publish_interaction(
            user_id=name, session_id=name, interactions=[{"role": "user", "content": "  "}]
        )
    error = caught.value
    assert (error.status, error.path) == (422, "/api/publish_interaction")
    assert "interaction" in error.server_message
    assert name not in str(error)
    assert error.correlation_id


async def test_a_path_the_server_does_not_have_is_not_found(real_server: RealServer) -> None:
    async with AsyncReflexioClient(url_endpoint=f"{real_server.url}/nowhere") as client:
        with pytest.raises(NotFound, match="the API host itself") as caught:
            await client.whoami()
    assert (caught.value.status, caught.value.attempts) == (404, 1)


async def test_a_server_without_login_says_to_use_a_key(client: AsyncReflexioClient) -> None:
    with pytest.raises(NotFound, match="pass api_key instead"):
        await client.login("ana@example.com", "secret")


async def test_a_port_where_nobody_listens_is_named(name: str) -> None:
    retry = RetryPolicy(max_attempts=1)
    async with AsyncReflexioClient(url_endpoint="http://127.0.0.1:1", retry=retry, timeout=5) as client:
        with pytest.raises(APIConnectionError, match=r"cannot connect to http://127\.0\.0\.1:1") as caught:
            await client.get_profiles(user_id=name)
    assert caught.value.outcome_unknown is False
