"""Scripted faults: what goes wrong, for which requests, and how often.

    box.faults.add(faults.answer_lost(), method="POST", path="/api/publish_interaction")
    box.faults.add(faults.delay(30), path="/api/get_operation_status", times=None, after=2)
    box.faults.add(faults.internal_error(), times=None, chance=0.1, seed=7, user="ana")

``Faults.from_toml`` reads a script from text.
"""

from __future__ import annotations

from reflexio_async.sandbox.faults.actions import (
    Action,
    answer_lost,
    broken_json,
    crowded,
    cut_off,
    delay,
    dropped_after,
    freeze,
    html,
    internal_error,
    lost_before,
    no_capacity,
    overwork,
    rate_limited,
    refused,
    restart,
    skew,
    slow_body,
    status,
    wrong_type,
)
from reflexio_async.sandbox.faults.script import Fault, Faults

__all__ = [
    "Action",
    "Fault",
    "Faults",
    "answer_lost",
    "broken_json",
    "crowded",
    "cut_off",
    "delay",
    "dropped_after",
    "freeze",
    "html",
    "internal_error",
    "lost_before",
    "no_capacity",
    "overwork",
    "rate_limited",
    "refused",
    "restart",
    "skew",
    "slow_body",
    "status",
    "wrong_type",
]
