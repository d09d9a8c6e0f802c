"""The keys of a worker: which client sends the rows of which lane."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pydantic import SecretStr

from reflexio_async._engine.logs import fields
from reflexio_async.client import AsyncReflexioClient
from reflexio_async.errors import ReflexioError
from reflexio_async.reflect.client import AsyncReflectClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from reflexio_async._engine.settings import ClientOptions
    from reflexio_async.durable.rows import LaneKey

logger = logging.getLogger("reflexio_async")

_ASKED_AGAIN = 5.0  # seconds between two times that one organisation is asked for
_KEY_SECONDS = 60.0  # seconds for which a key that ``credentials`` has returned is used

Key: TypeAlias = "str | SecretStr | None"
Client: TypeAlias = AsyncReflexioClient | AsyncReflectClient
Credentials: TypeAlias = "Callable[[str, str], Key | Awaitable[Key]]"


@dataclass(frozen=True)
class Organisation:
    """The servers and keys of one organisation.

    Attributes:
        url: The address of its Reflexio server.
        api_key: Its key there; empty: the server asks for none.
        reflect_url: The address of its Reflect server, if traces are sent through the outbox.
        reflect_api_key: Its key there.
    """

    url: str
    api_key: str = field(default="", repr=False)
    reflect_url: str = ""
    reflect_api_key: str = field(default="", repr=False)


class Account:
    """One key for one server, and the client that uses it while there is work for it.

    Attributes:
        url: The server's address, as lanes have it.
        org: The organisation's id there; None while it is not learned.
    """

    def __init__(self, make_client: Callable[[], Client], org: str | None = None) -> None:
        self.url = make_client().base_url
        self.org = org
        self._make_client = make_client
        self._client: Client | None = None
        self._users = 0
        self._used_at = 0.0
        self._asked_at = -_ASKED_AGAIN

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Client]:
        """The client, which stays open while the block runs."""
        client = self._client = self._client or self._make_client()
        self._users += 1
        try:
            yield client
        finally:
            self._users -= 1
            self._used_at = asyncio.get_running_loop().time()

    @property
    def is_open(self) -> bool:
        """Whether it has a client."""
        return self._client is not None

    async def learn(self) -> None:
        """Learn the organisation, from the store or the server, unless that failed a moment ago."""
        now = asyncio.get_running_loop().time()
        if self.org is None and now - self._asked_at >= _ASKED_AGAIN:
            self._asked_at = now
            async with self.client() as client:
                try:
                    self.org = await client.outbox.organisation()
                except ReflexioError as error:
                    logger.warning(
                        "the organisation of a key for %s is not known yet: %s",
                        self.url,
                        error,
                        extra=fields("organisation_unknown", error, url=self.url),
                    )

    async def close(self, idle: float = -1.0) -> None:
        """Close the client if it was not used for that long."""
        now = asyncio.get_running_loop().time()
        if self._client is not None and not self._users and now - self._used_at > idle:
            client, self._client = self._client, None
            await client.aclose()


class GivenKey(NamedTuple):
    """A key that ``credentials`` has returned, the account that uses it, and when that was."""

    key: SecretStr
    account: Account
    at: float


class Keyring:
    """The keys that a worker has."""

    def __init__(
        self,
        organisations: Mapping[str, Organisation],
        credentials: Credentials | None,
        options: ClientOptions,
    ) -> None:
        self._credentials = credentials
        self._options = options
        self._accounts: dict[str, list[Account]] = {}
        """By the server's address."""
        self._given: dict[tuple[str, str], GivenKey] = {}
        """By the server's address and the organisation's id there."""
        self._replaced: list[Account] = []
        """Those whose key was replaced, until they are closed."""
        for organisation in organisations.values():
            self._add(Account(partial(self._reflexio, organisation.url, organisation.api_key)))
            if organisation.reflect_url:
                self._add(
                    Account(partial(self._reflect, organisation.reflect_url, organisation.reflect_api_key))
                )

    def _add(self, account: Account) -> None:
        self._accounts.setdefault(account.url, []).append(account)

    def _reflexio(self, url: str, key: str) -> AsyncReflexioClient:
        return AsyncReflexioClient(key, url, **self._options)

    def _reflect(self, url: str, key: str) -> AsyncReflectClient:
        return AsyncReflectClient(base_url=url, api_key=key, **self._options)

    async def account_of(self, lane: LaneKey) -> Account | None:
        """The account whose key the rows of ``lane`` are sent with; None: there is none."""
        accounts = self._accounts.get(lane.url, [])
        for account in accounts:
            if account.org == lane.org:
                return account
        for account in accounts:
            await account.learn()
            if account.org == lane.org:
                return account
        return None if self._credentials is None else await self._given_for(self._credentials, lane)

    async def _given_for(self, credentials: Credentials, lane: LaneKey) -> Account | None:
        """The account with the key that ``credentials`` returns. It is asked again: keys are replaced."""
        place = (lane.url, lane.org)
        now = asyncio.get_running_loop().time()
        given = self._given.get(place)
        if given is not None and now - given.at < _KEY_SECONDS:
            return given.account
        found = credentials(*place)
        answer = await found if isawaitable(found) else found
        if answer is None:
            return None
        key = answer if isinstance(answer, SecretStr) else SecretStr(answer)
        given = self._given.get(place)  # another lane of the organisation may have asked, too
        if given is not None and given.key == key:
            account = given.account
        else:
            account = Account(partial(self._reflexio, lane.url, key.get_secret_value()), lane.org)
            if given is not None:
                self._replaced.append(given.account)
        self._given[place] = GivenKey(key, account, now)
        return account

    async def learn(self) -> None:
        """Learn the organisations of all keys."""
        for account in self._all():
            await account.learn()

    async def close(self, idle: float = -1.0) -> None:
        """Close the clients that were not used for that long."""
        for account in self._all():
            await account.close(idle)
        self._replaced = [account for account in self._replaced if account.is_open]

    def _all(self) -> list[Account]:
        named = [account for accounts in self._accounts.values() for account in accounts]
        return [*named, *(given.account for given in self._given.values()), *self._replaced]
