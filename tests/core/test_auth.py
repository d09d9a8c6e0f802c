"""The bearer token and its renewal."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from reflexio_async import APIConnectionError, AuthenticationError, PermissionDenied
from reflexio_async._engine.auth import Credentials
from reflexio_async._engine.loops import LoopBinding
from tests.hang import A_HANG

REFUSALS = [
    AuthenticationError("wrong password", status=401, method="POST", path="/token", from_api=True),
    AuthenticationError("wrong password", status=401, method="POST", path="/token"),
    PermissionDenied("locked", status=403, method="POST", path="/token", from_api=True),
]


class Login:
    """A login that counts its calls and waits for ``open``."""

    def __init__(self, error: Exception | None = None) -> None:
        self.logins = 0
        self.error = error
        self.open = asyncio.Event()
        self.open.set()

    async def sign_in(self) -> SecretStr:
        self.logins += 1
        number = self.logins
        await asyncio.sleep(0)
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return SecretStr(f"new-{number}")


def test_without_a_token_there_is_no_header() -> None:
    assert Credentials(SecretStr(""), LoopBinding()).header is None


def test_a_token_is_sent_as_bearer() -> None:
    assert Credentials(SecretStr("t"), LoopBinding()).header == SecretStr("Bearer t")


@pytest.mark.parametrize("token", ["", "SECRET"])
def test_the_token_is_not_in_the_repr(token: str) -> None:
    credentials = Credentials(SecretStr(token), LoopBinding())
    assert "SECRET" not in repr(credentials)
    assert ("signed in" in repr(credentials)) is bool(token)


def test_a_token_is_redacted_in_a_text() -> None:
    assert Credentials(SecretStr("SECRET"), LoopBinding()).redact("bad token SECRET!") == "bad token ***!"
    assert Credentials(SecretStr(""), LoopBinding()).redact("anything") == "anything"


async def test_a_token_without_a_login_is_not_renewed() -> None:
    credentials = Credentials(SecretStr("old"), LoopBinding())
    assert not await credentials.renew(SecretStr("Bearer old"))
    assert credentials.header == SecretStr("Bearer old")


async def test_a_login_renews_the_token() -> None:
    credentials, login = Credentials(SecretStr(""), LoopBinding()), Login()
    credentials.set_token(SecretStr("old"), login.sign_in, credentials.begin_login())
    assert await credentials.renew(SecretStr("Bearer old"))
    assert credentials.header == SecretStr("Bearer new-1")


async def test_a_login_that_is_not_remembered_is_not_repeated() -> None:
    credentials = Credentials(SecretStr(""), LoopBinding())
    credentials.set_token(SecretStr("old"), None, credentials.begin_login())
    assert not await credentials.renew(SecretStr("Bearer old"))


async def test_a_token_that_was_replaced_before_needs_no_login() -> None:
    credentials, login = Credentials(SecretStr(""), LoopBinding()), Login()
    credentials.set_token(SecretStr("new"), login.sign_in, credentials.begin_login())
    assert await credentials.renew(SecretStr("Bearer old"))
    assert login.logins == 0


async def test_fifty_calls_refused_at_the_same_time_share_one_login() -> None:
    credentials, login = Credentials(SecretStr(""), LoopBinding()), Login()
    credentials.set_token(SecretStr("old"), login.sign_in, credentials.begin_login())
    assert all(await asyncio.gather(*(credentials.renew(SecretStr("Bearer old")) for _ in range(50))))
    assert login.logins == 1


async def test_fifty_calls_refused_at_the_same_time_share_one_failed_login() -> None:
    credentials, login = Credentials(SecretStr(""), LoopBinding()), Login(REFUSALS[0])
    credentials.set_token(SecretStr("old"), login.sign_in, credentials.begin_login())
    refused = (credentials.renew(SecretStr("Bearer old")) for _ in range(50))
    errors = await asyncio.gather(*refused, return_exceptions=True)
    assert {type(error) for error in errors} == {AuthenticationError}
    assert login.logins == 1


async def test_after_a_login_that_failed_a_later_call_signs_in_again() -> None:
    credentials, login = Credentials(SecretStr(""), LoopBinding()), Login(APIConnectionError("lost"))
    credentials.set_token(SecretStr("old"), login.sign_in, credentials.begin_login())
    with pytest.raises(APIConnectionError):
        await credentials.renew(SecretStr("Bearer old"))
    login.error = None
    assert await credentials.renew(SecretStr("Bearer old"))
    assert login.logins == 2


@pytest.mark.parametrize("error", REFUSALS, ids=["401", "401 of a page", "403"])
async def test_a_login_that_was_refused_is_not_tried_again(error: Exception) -> None:
    credentials, login = Credentials(SecretStr(""), LoopBinding()), Login(error)
    credentials.set_token(SecretStr("old"), login.sign_in, credentials.begin_login())
    for _ in range(3):
        with pytest.raises(AuthenticationError, match="log in again"):
            await credentials.renew(SecretStr("Bearer old"))
    assert login.logins == 1


async def test_a_403_of_something_in_between_is_no_refusal() -> None:
    error = PermissionDenied("403", status=403, method="POST", path="/token")
    credentials, login = Credentials(SecretStr(""), LoopBinding()), Login(error)
    credentials.set_token(SecretStr("old"), login.sign_in, credentials.begin_login())
    for _ in range(2):
        with pytest.raises(PermissionDenied):
            await credentials.renew(SecretStr("Bearer old"))
    assert login.logins == 2


async def test_a_new_token_ends_a_refusal() -> None:
    credentials, login = Credentials(SecretStr(""), LoopBinding()), Login(REFUSALS[0])
    credentials.set_token(SecretStr("old"), login.sign_in, credentials.begin_login())
    with pytest.raises(AuthenticationError):
        await credentials.renew(SecretStr("Bearer old"))
    credentials.set_token(SecretStr("new"), None, credentials.begin_login())
    assert credentials.refusal is None
    assert await credentials.renew(SecretStr("Bearer old"))


@pytest.mark.parametrize("error", [None, REFUSALS[0], APIConnectionError("lost")], ids=str)
async def test_a_login_wins_over_a_renewal_in_flight_however_that_ends(error: Exception | None) -> None:
    credentials, login = Credentials(SecretStr(""), LoopBinding()), Login(error)
    credentials.set_token(SecretStr("old"), login.sign_in, credentials.begin_login())
    login.open.clear()
    renewal = asyncio.create_task(credentials.renew(SecretStr("Bearer old")))
    await asyncio.sleep(0)
    credentials.set_token(SecretStr("other"), None, credentials.begin_login())
    login.open.set()
    assert await renewal
    assert credentials.header == SecretStr("Bearer other")
    assert credentials.refusal is None


async def test_of_two_logins_the_one_that_began_last_wins() -> None:
    credentials = Credentials(SecretStr(""), LoopBinding())
    first, second = credentials.begin_login(), credentials.begin_login()
    credentials.set_token(SecretStr("second"), None, second)
    credentials.set_token(SecretStr("first"), None, first)
    assert credentials.header == SecretStr("Bearer second")


async def test_after_a_caller_is_cancelled_the_next_one_signs_in() -> None:
    credentials, login = Credentials(SecretStr(""), LoopBinding()), Login()
    credentials.set_token(SecretStr("old"), login.sign_in, credentials.begin_login())
    login.open.clear()
    first, second = (asyncio.create_task(credentials.renew(SecretStr("Bearer old"))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    login.open.set()
    assert await asyncio.wait_for(second, A_HANG)
    assert credentials.header in (SecretStr("Bearer new-1"), SecretStr("Bearer new-2"))
