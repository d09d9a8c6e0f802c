"""What a service tells the engine about itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """The words of one service, for errors and for reading its responses.

    Args:
        url_hint: What an error says when another server seems to have answered.
        key_hint: What an error says when the credential is missing or wrong.
        refuses: Whether ``success: false`` in a 200 response means that the server refused the call.
        nothing_stored: The text of refusals that a retry cures, since nothing was stored; empty: none.
        busy: The text of 429 responses that mean "busy", not a rate limit; empty: none.
    """

    url_hint: str
    key_hint: str
    refuses: bool = True
    nothing_stored: str = ""
    busy: str = ""

    def is_busy(self, text: str) -> bool:
        """Whether a 429 with this text says nothing about a rate limit."""
        return bool(self.busy) and self.busy in text
