"""Login, and login again when the token has expired."""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING

import pytest

from reflexio_async import (
    APITimeout,
    AsyncReflexioClient,
    AuthenticationError,
    BadRequest,
    NotFound,
    UnexpectedResponse,
)
from reflexio_async.sandbox import Sandbox, VirtualClock, faults
from tests.transport.servers import TURNS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ANA = ("ana@example.com", "p&q=ü s")


@pytest.fixture
async def box(clock: VirtualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(clock=clock, logins=dict([ANA]), token_lifetime=100) as box:
        yield box


async def test_without_a_login_calls_are_refused(client: AsyncReflexioClient) -> None:
    with pytest.raises(AuthenticationError, match=r"client\.login"):
        await client.whoami()


async def test_after_a_login_calls_are_accepted(box: Sandbox, client: AsyncReflexioClient) -> None:
    await client.login(*ANA)
    await client.whoami()
    await client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
    assert box.count("POST", "/token") == 1


async def test_a_login_returns_the_token_that_another_client_takes(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    token = await client.login(*ANA)
    assert token.token_type == "bearer"
    async with AsyncReflexioClient(token.api_key, box.url, clock=clock) as other:
        assert (await other.whoami()).success
    assert token.api_key not in f"{token} {token!r} {token.model_dump()}"


async def test_the_login_itself_sends_no_token(box: Sandbox, clock: VirtualClock) -> None:
    async with AsyncReflexioClient("stale", box.url, clock=clock) as client:
        await client.login(*ANA)
        await client.whoami()
    assert "Authorization" not in box.requests[0].headers


async def test_health_needs_no_login(client: AsyncReflexioClient) -> None:
    assert await client.health() == {"status": "healthy"}


async def test_a_wrong_password_is_an_authentication_error(box: Sandbox, client: AsyncReflexioClient) -> None:
    with pytest.raises(AuthenticationError, match="Incorrect username or password"):
        await client.login("ana@example.com", "wrong")
    assert len(box.requests) == 1


async def test_after_a_wrong_password_the_old_token_is_still_used(client: AsyncReflexioClient) -> None:
    await client.login(*ANA)
    with pytest.raises(AuthenticationError):
        await client.login("ana@example.com", "wrong")
    assert (await client.whoami()).success


async def test_the_error_of_a_server_without_logins_says_what_to_do(clock: VirtualClock) -> None:
    async with Sandbox(clock=clock) as box, AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client:
        with pytest.raises(NotFound, match=r"has no login \(POST /token\); pass api_key instead") as caught:
            await client.login(*ANA)
        assert box.url in str(caught.value)


async def test_after_an_expired_token_the_client_signs_in_and_repeats_the_call(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    await client.login(*ANA)
    await clock.sleep(200)
    assert (await client.whoami()).success
    assert [(record.path, record.status) for record in box.requests] == [
        ("/token", 200),
        ("/api/whoami", 401),
        ("/token", 200),
        ("/api/whoami", 200),
    ]


async def test_fifty_calls_refused_at_the_same_time_share_one_login(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    await client.login(*ANA)
    box.revoke_tokens()
    responses = await asyncio.gather(*(client.whoami() for _ in range(50)))
    assert all(response.success for response in responses)
    assert box.count("POST", "/token") == 2


async def test_fifty_calls_refused_at_the_same_time_share_one_failed_login(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    await client.login(*ANA)
    box.revoke_tokens()
    box.faults.add(
        faults.status(401, {"detail": "Incorrect username or password"}), path="/token", times=None
    )
    responses = await asyncio.gather(*(client.whoami() for _ in range(50)), return_exceptions=True)
    assert all(isinstance(response, AuthenticationError) for response in responses)
    assert box.count("POST", "/token") == 2


async def test_a_call_refused_after_the_new_login_is_an_error(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    await client.login(*ANA)
    box.faults.add(faults.status(401), path="/api/whoami", times=None)
    with pytest.raises(AuthenticationError):
        await client.whoami()
    assert box.count("POST", "/token") == 2
    assert box.count("GET", "/api/whoami") == 2


async def test_a_login_that_is_not_remembered_is_not_repeated(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    await client.login(*ANA, remember=False)
    await client.whoami()
    box.revoke_tokens()
    with pytest.raises(AuthenticationError):
        await client.whoami()
    assert box.count("POST", "/token") == 1


async def test_a_publish_refused_by_an_expired_token_is_stored_once(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    await client.login(*ANA)
    box.revoke_tokens()
    await client.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
    assert len(box.stored_requests) == 1


async def test_a_view_shares_the_login(box: Sandbox, client: AsyncReflexioClient) -> None:
    view = client.with_options(timeout=10)
    await view.login(*ANA)
    assert (await client.whoami()).success
    assert box.count("POST", "/token") == 1


async def test_signing_in_again_takes_no_longer_than_the_calls_timeout(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    await client.login(*ANA)
    box.revoke_tokens()
    box.faults.add(faults.freeze(), path="/token", times=None)
    with pytest.raises(APITimeout):
        await client.with_options(timeout=5).whoami()
    assert clock.now() == pytest.approx(5)


async def test_after_signing_in_again_a_call_has_the_rest_of_its_timeout(
    box: Sandbox, client: AsyncReflexioClient, clock: VirtualClock
) -> None:
    await client.login(*ANA)
    box.revoke_tokens()
    box.faults.add(faults.delay(4), path="/token")
    box.faults.add(faults.freeze(), path="/api/whoami", after=1)
    with pytest.raises(APITimeout):
        await client.with_options(timeout=5).whoami()
    assert clock.now() == pytest.approx(5)


@pytest.mark.parametrize("pair", [("", "x"), ("x", "")], ids=["no email", "no password"])
async def test_the_server_refuses_a_login_without_email_or_password(
    client: AsyncReflexioClient, pair: tuple[str, str]
) -> None:
    with pytest.raises(Exception, match=r"POST /token answered (401|422)"):
        await client.login(*pair)


# --- a stored login that the server refuses


@pytest.fixture
async def refused(box: Sandbox, client: AsyncReflexioClient) -> AsyncReflexioClient:
    """A client whose token is revoked, and whose password was changed at the server."""
    await client.login(*ANA)
    box.revoke_tokens()
    box.faults.add(faults.status(401, {"detail": "Incorrect username or password"}), path="/token")
    with pytest.raises(AuthenticationError, match=r"Incorrect username or password; log in again"):
        await client.whoami()
    return client


async def test_a_refused_login_is_not_repeated_by_later_calls(
    box: Sandbox, refused: AsyncReflexioClient
) -> None:
    sent = len(box.requests)
    for _ in range(30):
        with pytest.raises(AuthenticationError, match=r"log in again: await client\.login"):
            await refused.whoami()
    calls = (refused.search(query=str(number)) for number in range(30))
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in errors} == {AuthenticationError}
    assert len(box.requests) == sent


async def test_after_a_refused_login_a_publish_says_that_nothing_was_sent(
    box: Sandbox, refused: AsyncReflexioClient
) -> None:
    with pytest.raises(AuthenticationError) as caught:
        await refused.publish_interaction(user_id="u", session_id="s", interactions=TURNS)
    assert (caught.value.outcome_unknown, caught.value.attempts) == (False, 0)
    assert not box.stored_requests


async def test_after_a_refused_login_what_needs_no_token_is_still_sent(refused: AsyncReflexioClient) -> None:
    assert await refused.health_live()


async def test_a_new_login_ends_the_refusal(refused: AsyncReflexioClient) -> None:
    await refused.login(*ANA)
    assert (await refused.whoami()).success


async def test_a_new_login_that_is_refused_too_does_not_end_it(refused: AsyncReflexioClient) -> None:
    with pytest.raises(AuthenticationError, match="Incorrect"):
        await refused.login(ANA[0], "wrong")
    with pytest.raises(AuthenticationError, match="log in again"):
        await refused.whoami()


async def test_a_login_that_cannot_be_renewed_for_the_moment_is_tried_again_later(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    await client.login(*ANA)
    box.revoke_tokens()
    box.faults.add(faults.status(400), path="/token")
    with pytest.raises(BadRequest):
        await client.whoami()
    assert (await client.whoami()).success


# --- several logins


async def test_a_login_wins_over_a_renewal_in_flight(clock: VirtualClock) -> None:
    bob = ("bob@example.com", "secret")
    async with (
        Sandbox(clock=clock, logins=dict([ANA, bob])) as box,
        AsyncReflexioClient(url_endpoint=box.url, clock=clock) as client,
    ):
        await client.login(*ANA)
        box.revoke_tokens()
        box.faults.add(faults.delay(5), path="/token")
        call = asyncio.create_task(client.whoami())
        await box.arrived("POST", "/token", 2)
        token = await client.login(*bob)
        assert (await call).success
        await client.whoami()
        sent = [record.headers["Authorization"] for record in box.requests[-2:]]
        assert sent == [f"Bearer {token.api_key}"] * 2


async def test_of_two_logins_the_last_one_called_wins(box: Sandbox, client: AsyncReflexioClient) -> None:
    box.faults.add(faults.delay(5), path="/token")
    first = asyncio.create_task(client.login(*ANA))
    await box.arrived("POST", "/token")
    second = await client.login(*ANA)
    await first
    await client.whoami()
    assert box.requests[-1].headers["Authorization"] == f"Bearer {second.api_key}"


# --- the token of the server


UNUSABLE = ["", " ", "SECRET token", "SECRET\r\nX-Evil: 1", "SECRET\0", "SÉCRET", "SECRET\u2028", "S" * 8193]


@pytest.mark.parametrize("token", UNUSABLE, ids=repr)
async def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(
    box: Sandbox, client: AsyncReflexioClient, token: str
) -> None:
    first = await client.login(*ANA)
    box.faults.add(faults.status(200, {"api_key": token, "token_type": "bearer"}), path="/token")
    with pytest.raises(UnexpectedResponse, match="api_key") as caught:
        await client.login(*ANA)
    shown = "".join(traceback.format_exception(caught.value))
    assert "SECRET" not in shown
    assert "Evil" not in shown
    await client.whoami()
    assert box.requests[-1].headers["Authorization"] == f"Bearer {first.api_key}"


async def test_a_renewed_token_that_cannot_be_sent_is_an_error_of_the_call(
    box: Sandbox, client: AsyncReflexioClient
) -> None:
    await client.login(*ANA)
    box.revoke_tokens()
    box.faults.add(faults.status(200, {"api_key": "a\nb", "token_type": "bearer"}), path="/token")
    with pytest.raises(UnexpectedResponse, match="POST /token"):
        await client.whoami()
    assert (await client.whoami()).success
