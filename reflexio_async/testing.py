"""What tests need, in one import: a local server, a virtual clock and scripted faults.

from reflexio_async.testing import Sandbox, VirtualClock, faults

async with Sandbox(clock=VirtualClock()) as box:
box.faults.add(faults.delay(30), path="/api/get_operation_status")
...
"""

from __future__ import annotations

from reflexio_async._engine.clock import Clock, SystemClock
from reflexio_async.sandbox import Record, ReflectSettings, Sandbox, VirtualClock, faults
from reflexio_async.sandbox.faults import Action, Fault, Faults

__all__ = [
    "Action",
    "Clock",
    "Fault",
    "Faults",
    "Record",
    "ReflectSettings",
    "Sandbox",
    "SystemClock",
    "VirtualClock",
    "faults",
]
