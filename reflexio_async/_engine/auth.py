"""The bearer token and its renewal, and the secrets that no message may show."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import deque
from copy import copy
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import SecretStr

from reflexio_async._engine.proxy import proxy_for
from reflexio_async.errors import AuthenticationError, PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async._engine.loops import LoopBinding
    from reflexio_async._engine.settings import Settings

_SHORTEST = 4  # characters; removing shorter ones would only make a text unreadable
_TOKENS = 16  # tokens of logins that are remembered


class Secrets:
    """The credentials that a client knows. They are removed from the texts of servers.

    Args:
        settings: Their proxy's password and the values of their headers are secrets.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._fixed: set[str] = set()
        self._tokens: deque[str] = deque(maxlen=_TOKENS)
        if settings is not None:
            self.add_settings(settings)

    def add_settings(self, settings: Settings) -> None:
        """Remember the secrets of ``settings``."""
        self.add(*(value for name, value in settings.headers.items() if name.lower() != "user-agent"))
        trust_env = settings.trust_env and settings.session is None
        proxy = proxy_for(settings.base_url, settings.proxy, trust_env=trust_env)
        if proxy is not None:
            parts = urlsplit(proxy.url)
            name, password = unquote(parts.username or ""), unquote(parts.password or "")
            if password:
                self.add(password, b64encode(f"{name}:{password}".encode()).decode())

    def add(self, *secrets: str) -> None:
        """Remember ``secrets`` for as long as the client lives."""
        for secret in secrets:
            if len(secret) >= _SHORTEST:
                self._fixed |= {secret, quote(secret, safe=""), quote_plus(secret)}

    def add_token(self, token: SecretStr) -> None:
        """Remember a token. After many later ones it is forgotten."""
        text = token.get_secret_value()
        if len(text) >= _SHORTEST and text not in self._tokens:
            self._tokens.append(text)

    def redact(self, text: str) -> str:
        """Return ``text`` without secrets. A server may repeat them in an error message."""
        # The longest first: one secret may be a part of another.
        for secret in sorted((*self._fixed, *self._tokens), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


class Credentials:
    """The token of one client. All views of the client share it.

    Attributes:
        secrets: The credentials that the client knows.
        header: The value of the ``Authorization`` header; None without a token.
        refusal: The server refused the stored login, when the token had to be renewed. Until the next login,
            calls that need a token raise a copy of this error, and nothing is sent.
        on_login: Called whenever another login is in use. A renewal of the token is none.
    """

    def __init__(self, token: SecretStr, loops: LoopBinding, secrets: Secrets | None = None) -> None:
        self._loops = loops
        self.secrets = secrets or Secrets()
        self.header: SecretStr | None = None
        self.refusal: AuthenticationError | None = None
        self.on_login: list[Callable[[], None]] = []
        self._use(token)
        self._sign_in: Callable[[], Awaitable[SecretStr]] | None = None
        self._logins = 0
        self._login_in_use = 0
        self._failures = 0
        self._last_failure: Exception | None = None

    def begin_login(self) -> int:
        """Return the number of a login that begins. ``set_token`` takes it."""
        self._logins += 1
        return self._logins

    def set_token(
        self, token: SecretStr, sign_in: Callable[[], Awaitable[SecretStr]] | None, login: int
    ) -> None:
        """Use ``token`` from now on, unless a login that began later has ended before.

        Args:
            token: The token.
            sign_in: Gets a new one when the server refuses it.
            login: What ``begin_login`` returned.
        """
        if login < self._login_in_use:
            return
        self._login_in_use = login
        self._use(token)
        self._sign_in = sign_in
        for callback in self.on_login:
            callback()

    @property
    def login(self) -> int:
        """The number of the login in use; 0: the token that the client was made with."""
        return self._login_in_use

    def _use(self, token: SecretStr) -> None:
        self.secrets.add_token(token)
        self.header = SecretStr(f"Bearer {token.get_secret_value()}") if token else None
        self.refusal = None

    async def renew(self, refused: SecretStr | None) -> bool:
        """Replace the token when ``refused`` is still its header. Return whether another token is now in use.

        Calls that are refused at the same time share one login, and its error if it fails. A login of the
        user that ends meanwhile wins: what the renewal got is dropped.

        Raises:
            AuthenticationError: The server refused the stored login.
            ReflexioError: The login failed.
        """
        failures_before = self._failures
        async with self._loops.scope.part(self, asyncio.Lock):
            if self.header != refused:
                return True
            if self.refusal is not None:
                raise copy(self.refusal)
            sign_in = self._sign_in
            if sign_in is None:
                return False
            if self._failures != failures_before and self._last_failure is not None:
                raise copy(self._last_failure)
            try:
                token = await sign_in()
            except Exception as error:
                if self._sign_in is not sign_in:
                    return True
                if isinstance(error, AuthenticationError) or (
                    isinstance(error, PermissionDenied) and error.from_api
                ):
                    self.refusal = _login_refused(error)
                    raise copy(self.refusal) from None
                self._failures += 1
                self._last_failure = copy(error)
                raise
            if self._sign_in is sign_in:
                self._use(token)
            return True

    def redact(self, text: str) -> str:
        """Return ``text`` without the secrets of the client."""
        return self.secrets.redact(text)

    def __repr__(self) -> str:
        return f"Credentials({'anonymous' if self.header is None else 'signed in'})"


def _login_refused(error: AuthenticationError | PermissionDenied) -> AuthenticationError:
    """The error of every call after the server has refused the stored login."""
    reason = f": {error.server_message}" if error.server_message else ""
    message = (
        f"the token was refused, and {error.method} {error.path} answered {error.status} to the stored login"
        f"{reason}; log in again: await client.login(email, password)"
    )
    return AuthenticationError(
        message,
        status=error.status,
        method=error.method,
        path=error.path,
        server_message=error.server_message,
        headers=error.headers,
        from_api=True,  # nothing will change it but a login
    )
