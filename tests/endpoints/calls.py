"""Every call of every client, found in the classes themselves."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import pytest

from reflexio_async import AsyncReflectClient, AsyncReflexioClient
from reflexio_async.legacy.api import LegacyAPI
from reflexio_async.reflexio.api.session_scoped import SessionScopedClient

CLIENT = AsyncReflexioClient(url_endpoint="http://127.0.0.1:1", reflect_url="http://127.0.0.1:1")
CLIENTS: dict[type, Any] = {
    AsyncReflexioClient: CLIENT,
    AsyncReflectClient: AsyncReflectClient(base_url="http://127.0.0.1:1"),
    LegacyAPI: CLIENT.legacy,
    SessionScopedClient: CLIENT.for_session("s"),
}
"""The classes that have calls, with a client of each. No server answers them."""

NO_CALLS: dict[type, set[str]] = {
    AsyncReflexioClient: {
        "base_url",
        "conversation",
        "for_session",
        "job",
        "iter_requests",  # an async iterator
        "learning",
        "outbox",
        "legacy",
        "publish_many",  # a Batch
        "reflect",
        "rerun_playbooks_many",
        "rerun_profiles_many",
        "store",
        "with_options",
    },
    AsyncReflectClient: {
        "base_url",
        "create_traces_many",  # a Batch
        "job",
        "outbox",
        "store",
        "trace",  # an async context manager
        "trace_async",
        "with_options",
        "with_project",
    },
    LegacyAPI: set(),
    SessionScopedClient: {"client", "session_id"},
}
"""The public names that stand for something else than a coroutine function."""


class Call(NamedTuple):
    """A call, and the class that it is a call of."""

    owner: type
    name: str

    def __str__(self) -> str:
        return f"{self.owner.__name__}.{self.name}"

    @property
    def function(self) -> Any:
        """The call in its class."""
        return getattr(self.owner, self.name)

    @property
    def bound(self) -> Any:
        """The call on a client."""
        return getattr(CLIENTS[self.owner], self.name)

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """Those of the call on a client."""
        return dict(inspect.signature(self.bound).parameters)

    @property
    def takes_a_request(self) -> bool:
        """Whether its arguments are the fields of a request."""
        return hasattr(self.function, "__wrapped__")

    def required(self, value: Any) -> dict[str, Any]:
        """``value`` for every argument that must be given."""
        return {
            name: value
            for name, parameter in self.parameters.items()
            if parameter.default is inspect.Parameter.empty
        }


CALLS = [
    Call(owner, name)
    for owner, others in NO_CALLS.items()
    for name in dir(owner)
    if not name.startswith("_") and name not in others
]

every_call = pytest.mark.parametrize("call", CALLS, ids=str)
every_class = pytest.mark.parametrize("owner", CLIENTS, ids=lambda owner: owner.__name__)
