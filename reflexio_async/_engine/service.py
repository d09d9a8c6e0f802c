"""What a service tells the engine about itself."""

from __future__ import annotations

from typing import NamedTuple


class Service(NamedTuple):
    """What the engine must know about one service to read its responses and to write its errors.

    Args:
        name: Its name in traces.
        url_hint: The hint in an error when no server or another one seems to be at the URL.
        key_hint: The hint in an error when the credential is missing or wrong.
        refuses: Whether ``success: false`` in a 200 response means that the server refused the call.
        nothing_stored: The text of refusals after which nothing was stored, so that a call may be tried
            again; empty: there are none.
        store_field: The part of a path that names the memory store, such as ``{project_id}``. Empty: the
            server is the store.
        busy: The text of 429 responses that mean "busy", not a rate limit; empty: there are none.
    """

    name: str
    url_hint: str
    key_hint: str
    refuses: bool = True
    nothing_stored: str = ""
    busy: str = ""
    store_field: str = ""

    def is_busy(self, text: str) -> bool:
        """Whether a 429 response with this text means "busy", not a rate limit."""
        return bool(self.busy) and self.busy in text
