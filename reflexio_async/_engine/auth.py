"""The bearer token, and getting a new one when it has expired."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async._engine.settings import Secret


class Credentials:
    """One token, shared by every view of a client."""

    def __init__(self, token: Secret) -> None:
        self._token = token
        self.header = _bearer(token)
        """The value of ``Authorization``, or None when nobody has signed in."""
        self._sign_in: Callable[[], Awaitable[Secret]] | None = None
        self._renewing = asyncio.Lock()
        self._failures: int = 0
        self._last_failure: Exception | None = None

    def accept(self, token: Secret, sign_in: Callable[[], Awaitable[Secret]] | None) -> None:
        """Use ``token`` from now on, and ``sign_in`` to replace it once it is refused."""
        self._token, self.header, self._sign_in = token, _bearer(token), sign_in

    async def renew(self, refused: str | None) -> bool:
        """Replace the token behind the header ``refused``; True when another one is now in use.

        Calls refused together share one login, and its error if it fails.
        """
        failures_before = self._failures
        async with self._renewing:
            if self.header != refused:
                return True
            if self._sign_in is None:
                return False
            if self._failures != failures_before and self._last_failure is not None:
                raise self._last_failure.with_traceback(None)
            try:
                self._token = await self._sign_in()
            except Exception as error:
                self._failures += 1
                self._last_failure = error
                raise
            self.header = _bearer(self._token)
            return True

    def redacted(self, text: str) -> str:
        """``text`` without the token, should a server have echoed it."""
        return text.replace(self._token.reveal(), "***") if self._token else text

    def __repr__(self) -> str:
        return f"Credentials({'signed in' if self._token else 'anonymous'})"


def _bearer(token: Secret) -> str | None:
    return f"Bearer {token.reveal()}" if token else None
