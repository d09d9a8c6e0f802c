"""What aiohttp's errors mean for the user of a client: what went wrong, and what to do."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

if TYPE_CHECKING:
    from reflexio_async._engine.proxy import Proxy

# OpenSSL's words for an answer that is not TLS.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
# X.509's codes for a certificate whose issuer is not known: 18 and 19 self-signed, 20 and 21 not found.
_UNKNOWN_ISSUER = (18, 19, 20, 21)


class SpokeFirst(aiohttp.ClientError):
    """Bytes came on a new connection before anything was sent."""


def explanation(
    error: aiohttp.ClientError | OSError,
    *,
    server: str,
    proxy: Proxy | None,
    connected: bool,
    has_answered: bool,
    url_hint: str,
) -> str:
    """What went wrong and what to do, without credentials or headers.

    Args:
        error: What aiohttp raised.
        server: The base URL.
        proxy: The proxy in front of the server.
        connected: Whether there was a connection to the server.
        has_answered: Whether this server has ever answered this client.
        url_hint: The sentence that says which option holds the address.
    """
    kind = type(error).__name__
    through = "" if proxy is None else f" through the proxy {proxy.name}"
    if isinstance(error, aiohttp.ClientConnectorError):
        peer, hint = server, url_hint
        if proxy is not None and _is_of(proxy, error):
            peer, hint = f"the proxy {proxy.name}", "is it an address of a proxy?"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return f"the certificate of {peer} is not valid {_about_certificate(error)}"
        return f"cannot connect to {peer} {_about_connecting(error, hint)}"
    if isinstance(error, SpokeFirst):
        return f"what listens at {server}{through} is no HTTP server: it sends before it is asked"
    if proxy is not None and isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy {proxy.name} refused to connect to {server} (status {error.status})"
    if proxy is not None and not connected:
        return f"the proxy {proxy.name} broke the connection before it led to {server} ({kind})"
    scheme_hint = ""
    if not has_answered and server.lower().startswith("http:"):
        scheme_hint = "; it has never answered: is it https:// rather than http://?"
    return f"the connection to {server}{through} broke ({kind}){scheme_hint}"


def _is_of(proxy: Proxy, error: aiohttp.ClientConnectorError) -> bool:
    """Whether ``error`` is about the connection to the proxy, not about the one through it."""
    url = URL(proxy.url)
    return (error.host, error.port) == (url.raw_host, url.port)


def _about_certificate(error: aiohttp.ClientConnectorCertificateError) -> str:
    reason = error.certificate_error
    text = f"({getattr(reason, 'verify_message', '') or type(reason).__name__})"
    if getattr(reason, "verify_code", None) in _UNKNOWN_ISSUER:
        text += (
            "; for a CA of your own pass ssl=ssl.create_default_context(cafile=…), "
            "or set SSL_CERT_FILE before Python starts"
        )
    return text


def _about_connecting(error: aiohttp.ClientConnectorError, hint: str) -> str:
    reason = error.os_error
    if isinstance(error, aiohttp.ClientSSLError):
        name = str(getattr(reason, "reason", "") or type(reason).__name__)
        return f"(TLS: {name})" + ("; is it http:// rather than https://?" if name in _NOT_TLS else "")
    return f"({_text_of(reason)}); is it running? {hint}"


def _text_of(reason: OSError) -> str:
    """What the system says. asyncio writes texts of its own over those of sockets."""
    if reason.errno is not None and reason.errno in errno.errorcode:
        return os.strerror(reason.errno)
    return reason.strerror or type(reason).__name__
