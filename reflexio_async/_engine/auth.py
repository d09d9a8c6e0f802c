"""The bearer token, and its renewal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import SecretStr

    from reflexio_async._engine.loops import LoopBinding


class Credentials:
    """The token of one client. All views of the client share it."""

    def __init__(self, token: SecretStr, loops: LoopBinding) -> None:
        self._token = token
        self._loops = loops
        self.header = _bearer(token)
        """The value of the ``Authorization`` header, or None without a token."""
        self._sign_in: Callable[[], Awaitable[SecretStr]] | None = None
        self._failures = 0
        self._last_failure: Exception | None = None

    def set_token(self, token: SecretStr, sign_in: Callable[[], Awaitable[SecretStr]] | None) -> None:
        """Use ``token`` from now on. ``sign_in`` gets a new one when the server refuses it."""
        self._token, self.header, self._sign_in = token, _bearer(token), sign_in

    async def renew(self, refused: str | None) -> bool:
        """Replace the token when ``refused`` is still its header. Return whether another token is now in use.

        Calls that are refused at the same time share one login, and its error if it fails.
        """
        failures_before = self._failures
        async with self._loops.scope.part(self, asyncio.Lock):
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

    def redact(self, text: str) -> str:
        """Return ``text`` without the token. A server may repeat it in an error message."""
        return text.replace(self._token.get_secret_value(), "***") if self._token else text

    def __repr__(self) -> str:
        return f"Credentials({'signed in' if self._token else 'anonymous'})"


def _bearer(token: SecretStr) -> str | None:
    return f"Bearer {token.get_secret_value()}" if token else None
