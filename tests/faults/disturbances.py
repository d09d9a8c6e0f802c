"""What happens to a simulation that its callers do not do: of the server, of others, of other event loops."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from reflexio_async import ConfigurationError
from reflexio_async.sandbox import faults
from reflexio_async.sandbox.fault_script import Fault
from tests.faults.actions import send_stray_bytes
from tests.faults.calls import publish_of
from tests.faults.schedules import ForeignLoop, ForeignOperation, Outage, Restart, StrayBytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflexio_async import AsyncReflexioClient
    from tests.faults.schedules import Step
    from tests.faults.simulation import Simulation

SERVICES = ("profile_generation", "playbook_generation")

FOREIGN_USES: dict[str, Callable[[AsyncReflexioClient], Awaitable[Any]]] = {
    "call": lambda client: client.whoami(),
    "publish": lambda client: client.publish_interaction(**publish_of("from another loop", None)),
    "rerun": lambda client: client.rerun_profile_generation(user_id="user-0"),
    "batch": lambda client: client.rerun_profiles_many(["user-0"]).run(),
    "job": lambda client: client.learning("r").result(),
    "closing": lambda client: client.aclose(),
}
"""What another event loop may do with the client; each must be refused."""


class Disturbances:
    """The disturbances of one simulation.

    Attributes:
        foreign: By service, how many operations another client has started.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.foreign: Counter[str] = Counter()
        self._simulation = simulation
        self._restart_lock = asyncio.Lock()

    async def happen(self, step: Step) -> None:
        match step:
            case ForeignOperation():
                self._start_foreign_operation(step)
            case Restart():
                await self._restart(step)
            case Outage():
                await self._outage(step)
            case StrayBytes():
                await self._simulation.clock.settle()  # a call under way would take them for its own answer
                send_stray_bytes(self._simulation.box)
            case ForeignLoop():
                self._use_on_another_loop(step)
            case _:
                raise AssertionError(step)

    async def _restart(self, step: Restart) -> None:
        box = self._simulation.box
        async with self._restart_lock:
            await box.stop()
            box._process.reflexio.rate_limiter.clear()
            if step.down:
                await self._simulation.clock.sleep(step.down)
            await box.start()

    async def _outage(self, step: Outage) -> None:
        fault = Fault(getattr(faults, step.kind)(*step.args), times=None)
        self._simulation.box.faults.script.append(fault)
        await self._simulation.clock.sleep(step.seconds)
        with suppress(ValueError):  # all faults have been cleared
            self._simulation.box.faults.script.remove(fault)

    def _use_on_another_loop(self, step: ForeignLoop) -> None:
        ends: list[BaseException | None] = []

        async def use() -> None:
            await asyncio.wait_for(FOREIGN_USES[step.use](self._simulation.client), 10.0)

        def run() -> None:
            try:
                asyncio.run(use())
            except BaseException as error:  # noqa: BLE001  # judged below
                ends.append(error)
            else:
                ends.append(None)

        before = len(self._simulation.box.requests)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()  # this loop stands still meanwhile, and so does its clock
        if not isinstance(ends[0], ConfigurationError) and not self._simulation.left:
            self._simulation.problems.append(
                f"the {step.use} of another event loop was not refused: {ends[0]!r}"
            )
        if len(self._simulation.box.requests) != before:
            self._simulation.problems.append(f"the {step.use} of another event loop has sent something")

    def _start_foreign_operation(self, step: ForeignOperation) -> None:
        service = SERVICES[step.service]
        latest = self._simulation.box._process.reflexio.slots[service].latest
        if latest is None or not latest.running:
            self.foreign[service] += 1
            self._simulation.box.start_foreign_operation(service, step.seconds, user_id="somebody-else")
