"""Which proxy the requests to a server go through."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from reflexio_async.errors import ConfigurationError

_SCHEMES = ("http", "https")  # what aiohttp speaks


class Proxy:
    """A proxy.

    Args:
        url: Its URL, with the credentials.
        name: Its scheme, host and port, for messages.
    """

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name


def proxy_for(base_url: str, proxy: str | None, *, trust_env: bool) -> Proxy | None:
    """The proxy for the server at ``base_url``, or None.

    It is ``proxy``, else the environment's: ``HTTP_PROXY``, ``HTTPS_PROXY`` or ``ALL_PROXY`` (but not for
    hosts in ``NO_PROXY``), else the system's. These two are never used for a server on this machine.

    Raises:
        ConfigurationError: It is no usable URL, or aiohttp does not speak its scheme.
    """
    if proxy is not None:
        return _checked("proxy", proxy)
    parts = urlsplit(base_url)
    if not trust_env or is_this_machine(base_url) or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    for scheme in (parts.scheme.lower(), "all"):
        if scheme in proxies:
            name = f"the proxy of the environment ({scheme.upper()}_PROXY; trust_env=False ignores it)"
            return _checked(name, proxies[scheme])
    return None


def _checked(name: str, proxy: str) -> Proxy:
    # A URL without a scheme is taken for http, as curl and the standard library do.
    url = proxy.strip() if "://" in proxy else f"http://{proxy.strip()}"
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")
        # aiohttp sends credentials in this encoding.
        is_usable = bool(parts.hostname) and url.isprintable() and " " not in url
        for text in (parts.username, parts.password):
            unquote(text or "").encode("latin-1")
    except ValueError:
        is_usable, port, parts = False, None, urlsplit("")
    scheme = parts.scheme.lower()
    if scheme and scheme not in _SCHEMES:
        message = f"{name} must be an http:// or https:// URL; {scheme}:// is not supported"
        raise ConfigurationError(message)
    if not is_usable or port == 0:
        message = f"{name} must be a URL such as http://user:password@proxy.example:3128"
        raise ConfigurationError(message)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return Proxy(url, f"{scheme}://{host}" + (f":{port}" if port else ""))


def is_this_machine(url: str) -> bool:
    """Whether the host of ``url`` is this machine."""
    host = (urlsplit(url).hostname or "").lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified
