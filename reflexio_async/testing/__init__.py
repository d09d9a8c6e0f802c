"""What tests need, in one import: a local server, a virtual clock and scripted faults.

    from reflexio_async.testing import Sandbox, VirtualClock, faults

    async with Sandbox(clock=VirtualClock()) as box:
        box.faults.add(faults.delay(30), path="/api/get_operation_status")
        ...

``faults`` is the module with the functions that make an action. ``Faults.from_toml`` reads a script.
"""

from __future__ import annotations

from reflexio_async._engine.clock import Clock, SystemClock
from reflexio_async.sandbox import Record, ReflectSettings, Sandbox, VirtualClock, faults
from reflexio_async.sandbox.fault_script import Action, Fault, Faults
from reflexio_async.sandbox.reflexio.settings import Dialect
from reflexio_async.sandbox.storage.data_file import NotStored
from reflexio_async.sandbox.thread import SandboxThread
from reflexio_async.testing.environments import NoPython, NotInstallable
from reflexio_async.testing.real_server import RealServer

__all__ = [
    "Action",
    "Clock",
    "Dialect",
    "Fault",
    "Faults",
    "NoPython",
    "NotInstallable",
    "NotStored",
    "RealServer",
    "Record",
    "ReflectSettings",
    "Sandbox",
    "SandboxThread",
    "SystemClock",
    "VirtualClock",
    "faults",
]
