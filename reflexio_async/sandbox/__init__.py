"""Local Reflexio and Reflect servers on a clock of your choice, for tests and demonstrations."""

from __future__ import annotations

from reflexio_async.sandbox import faults
from reflexio_async.sandbox.http.request_log import Record
from reflexio_async.sandbox.reflect.settings import ReflectSettings
from reflexio_async.sandbox.sandbox import Sandbox
from reflexio_async.sandbox.virtual_clock import VirtualClock

__all__ = ["Record", "ReflectSettings", "Sandbox", "VirtualClock", "faults"]
