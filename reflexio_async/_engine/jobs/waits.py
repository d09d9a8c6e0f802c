"""What a job waited for, and when: a rate limit, a server that was away, a slot that another client had."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class WaitReason(StrEnum):
    """What a job waited for.

    ``rate_limit``: the window of the rate limit was used up. ``server_away``: the server did not answer.
    ``slot_taken``: an operation of another client ran in the server's slot.
    """

    RATE_LIMIT = "rate_limit"
    SERVER_AWAY = "server_away"
    SLOT_TAKEN = "slot_taken"


class JobWait(NamedTuple):
    """One wait of a job, while it was the next to be started or while it ran.

    Attributes:
        reason: What it waited for.
        began_at: Since when, in epoch seconds.
        ended_at: Until when, in epoch seconds.
    """

    reason: WaitReason
    began_at: float
    ended_at: float
