"""The Reflect service: what the engine must know about it, and the address, key and project of a client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from reflexio_async._engine.option_checks import first_url, secret_key
from reflexio_async._engine.service import Service
from reflexio_async.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import SecretStr

REFLECT = Service(
    name="reflect",
    url_hint="is the base URL (base_url or reflect_url, REFLECT_API_URL) the API host itself?",
    key_hint="pass api_key, or set REFLECT_API_KEY",
    store_field="{project_id}",
    refuses=False,  # ``success`` in its responses is about a run of an agent
)
DEFAULT_URL = "http://localhost:8000"
HOSTED_URL = "https://api.starlight-search.com"
"""The vendor's own server (server-behaviour: Address)."""
DEFAULT_PROJECT = "default"


class ReflectServer(NamedTuple):
    """The address, the key and the project of a client."""

    base_url: str
    api_key: SecretStr
    project_id: str
    is_given: bool = True
    """Whether the caller or the environment gave the address. Otherwise it is the default."""

    @property
    def url_hint(self) -> str:
        """The hint in an error when no server seems to be at the address."""
        if self.base_url != DEFAULT_URL:
            return REFLECT.url_hint
        return f"{REFLECT.url_hint} This is the default; the hosted server is {HOSTED_URL}"


def reflect_server(base_url: str, api_key: str, project_id: str | None, *, prefix: str = "") -> ReflectServer:
    """Check the arguments. The environment replaces those that are empty.

    Args:
        base_url: The address; else ``REFLECT_API_URL``, else ``http://localhost:8000``, a server of your own.
            The hosted server is ``https://api.starlight-search.com``.
        api_key: The bearer token; else ``REFLECT_API_KEY``, else none.
        project_id: The project; else ``REFLECT_PROJECT_ID``, else ``default``.
        prefix: The prefix of the caller's names of the first two arguments, for error messages.

    Raises:
        ConfigurationError: One of them is unusable.
    """
    url_name, key_name = f"{prefix}url" if prefix else "base_url", f"{prefix}api_key"
    in_environment = os.environ.get("REFLECT_API_URL", "")
    url = first_url((url_name, base_url), ("REFLECT_API_URL", in_environment), ("default", DEFAULT_URL))
    is_given = bool(base_url.strip() or in_environment.strip())
    key = secret_key(key_name, api_key, os.environ.get("REFLECT_API_KEY", ""), url_name=url_name)
    if project_id is None:
        project_id = os.environ.get("REFLECT_PROJECT_ID", "").strip() or DEFAULT_PROJECT
    return ReflectServer(url, key, check_project(project_id), is_given)


def check_project(project_id: str) -> str:
    """Return ``project_id``. Raise ConfigurationError when it cannot be part of a path."""
    if not isinstance(project_id, str) or not project_id.strip() or project_id in (".", ".."):
        message = f"project_id must be the id of a project, not {project_id!r:.40}"
        raise ConfigurationError(message)
    return project_id
