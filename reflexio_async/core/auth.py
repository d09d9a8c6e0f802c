"""The bearer token, and getting a new one when it has expired."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async.settings import Secret


class Credentials:
    """One token, shared by every view of a client."""

    def __init__(self, token: Secret) -> None:
        self._token = token
        self._header = _bearer(token)
        self._sign_in: Callable[[], Awaitable[Secret]] | None = None
        self._renewing = asyncio.Lock()

    @property
    def header(self) -> str | None:
        """The value of ``Authorization``, or None when nobody has signed in."""
        return self._header

    def accept(self, token: Secret, sign_in: Callable[[], Awaitable[Secret]] | None) -> None:
        """Use ``token`` from now on, and ``sign_in`` to replace it once it is refused."""
        self._token, self._header, self._sign_in = token, _bearer(token), sign_in

    async def renew(self, refused: str | None) -> bool:
        """Replace the token behind the header ``refused``; True when another one is now in use.

        Calls refused together share one login. An error of the login itself is raised.
        """
        async with self._renewing:
            if self._header != refused:
                return True
            if self._sign_in is None:
                return False
            self._token = await self._sign_in()
            self._header = _bearer(self._token)
            return True

    def __repr__(self) -> str:
        return f"Credentials({'signed in' if self._token else 'anonymous'})"


def _bearer(token: Secret) -> str | None:
    return f"Bearer {token.reveal()}" if token else None
