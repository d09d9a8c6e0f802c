"""A certificate authority of our own, and servers that it vouches for."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import trustme

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Authority:
    """An authority that no computer trusts."""

    _authority: Any = field(default_factory=trustme.CA)

    def server(self, *names: str, until: datetime = datetime(2099, 1, 1, tzinfo=UTC)) -> ssl.SSLContext:
        """For a server with a certificate for ``names``, which are this machine's by default."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = self._authority.issue_cert(
            *(names or ("127.0.0.1", "memory.internal")), not_after=until
        )
        certificate.configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """For a client that trusts this authority."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    def write(self, path: Path) -> None:
        """Write the authority's certificate to a file."""
        self._authority.cert_pem.write_to_path(str(path))
