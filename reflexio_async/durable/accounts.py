"""Which organisation the rows of a credential belong to. No credential is stored."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import SecretStr

    from reflexio_async.durable.store import Store


def account_of(header: SecretStr | None) -> str:
    """The name that rows have for a credential: a digest, which does not tell the credential.

    ``header`` is the value of the ``Authorization`` header; None: calls are sent without one.
    """
    secret = "" if header is None else header.get_secret_value()
    return sha256(f"reflexio_async account {secret}".encode()).hexdigest()[:32]


async def organisation_of(store: Store, account: str, url: str, ask: Callable[[], Awaitable[str]]) -> str:
    """The organisation of ``account`` at the server ``url``.

    ``ask`` asks the server, if no process has done so before. It returns nothing for servers that cannot
    tell. Then every credential is an organisation of its own.
    """
    known = await store.organisation(account, url)
    if known is not None:
        return known
    org = await ask() or account
    await store.add_account(account, url, org)
    return org
