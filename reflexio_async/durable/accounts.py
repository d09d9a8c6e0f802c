"""Which organisation the rows of a credential belong to. No credential is stored."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from reflexio_async._engine.retry import Meaning, is_away, meaning_of
from reflexio_async.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import SecretStr

    from reflexio_async._engine.auth import Credentials
    from reflexio_async.durable.store import Store


def account_of(header: SecretStr | None) -> str:
    """The name that rows have for a credential: a digest, which does not tell the credential.

    ``header`` is the value of the ``Authorization`` header; None: calls are sent without one.
    """
    secret = "" if header is None else header.get_secret_value()
    return sha256(f"reflexio_async account {secret}".encode()).hexdigest()[:32]


def is_refusal(error: Exception) -> bool:
    """Whether the server has refused to tell the organisation. Otherwise it was not asked, or is away."""
    passes = isinstance(error, StoreError) or is_away(error) or meaning_of(error) is Meaning.LATER
    return not passes


class Accounts:
    """The accounts of one client at its server: each credential that it has is one.

    Args:
        credentials: The client's credentials.
        url: The server's address.
        ask: Asks the server for the organisation. It returns nothing for servers that cannot tell. None:
            no server is asked. Then every credential is an organisation of its own.
    """

    def __init__(
        self, credentials: Credentials, url: str, ask: Callable[[], Awaitable[str]] | None = None
    ) -> None:
        self._credentials = credentials
        self._url = url
        self._ask = ask
        self._login = credentials.login
        self._used: set[str] = set()
        """Those of the present login. Its token may have been renewed."""

    @property
    def login(self) -> int:
        """The number of the login in use. A renewal of its token keeps it."""
        return self._credentials.login

    def current(self) -> str:
        """The account of the client's present credential."""
        if self._login != self.login:
            self._login, self._used = self.login, set()
        account = account_of(self._credentials.header)
        self._used.add(account)
        return account

    def on_login(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever the client has signed in."""
        self._credentials.on_login.append(callback)

    async def known_organisation(self, store: Store) -> str | None:
        """The organisation of the present credential, as the store says; None: it was not learned yet."""
        return await store.organisation(self.current(), self._url)

    async def organisation(self, store: Store) -> str:
        """The organisation of the present credential, as the store or else the server says.

        Raises:
            ReflexioError: Neither can say it.
        """
        while True:
            account, login = self.current(), self.login
            known = await store.organisation(account, self._url)
            if known is not None and self._used == {account}:
                return known
            org = known or (await self._ask() if self._ask is not None else "") or account
            # After another login, the question may have been sent with the credential of either.
            if login == self.login:
                break
        self.current()  # the question itself may have renewed the token
        for one in list(self._used):
            await store.add_account(one, self._url, org)
        self._used = {self.current()}
        return org
