"""The Reflexio service: what the engine must know of it, and which server a client talks to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reflexio_async._engine.option_checks import first_url, secret_key
from reflexio_async._engine.service import Service

if TYPE_CHECKING:
    from pydantic import SecretStr

DEFAULT_URL = "https://www.reflexio.ai/"

SLOW_CALL_DEADLINE = 630.0
"""In seconds: the server ends slow calls after 600 (server-behaviour: Deadlines); 30 for its response."""

REFLEXIO = Service(
    name="reflexio",
    url_hint="is the base URL (url_endpoint, REFLEXIO_API_URL) the API host itself?",
    key_hint="pass api_key, set REFLEXIO_API_KEY, or await client.login(email, password)",
    # SQLite says so under load. Nothing was stored, and a retry works (server-behaviour: Publishing).
    nothing_stored="database is locked",
    busy="concurrency",
)


def base_url_from(url_endpoint: str) -> str:
    """The API's address: the argument, ``REFLEXIO_API_URL``, ``REFLEXIO_URL``, or the hosted service."""
    return first_url(
        ("url_endpoint", url_endpoint),
        ("REFLEXIO_API_URL", os.environ.get("REFLEXIO_API_URL", "")),
        ("REFLEXIO_URL", os.environ.get("REFLEXIO_URL", "")),
        ("default", DEFAULT_URL),
    )


def api_key_from(api_key: str) -> SecretStr:
    """The bearer token given, else ``REFLEXIO_API_KEY``, else none."""
    return secret_key("api_key", api_key, os.environ.get("REFLEXIO_API_KEY", ""), url_name="url_endpoint")
