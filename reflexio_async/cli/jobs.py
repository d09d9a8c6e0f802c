"""``jobs``: show the latest operations, wait for a job by its token, ask a job to stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import BAD_INPUT, OK
from reflexio_async.cli.options import CALL_TIMEOUT
from reflexio_async.cli.tables import new_table
from reflexio_async.client import AsyncReflexioClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.cli.signals import Signals
    from reflexio_async.reflexio.models.operations import OperationStatusInfo

SERVICES = ("profile_generation", "playbook_generation")


@dataclass(frozen=True)
class ShowStatus:
    """Print the latest operation of each service. The fields are the command's options."""

    services: Sequence[str]
    url: str = ""
    api_key: str = field(default="", repr=False)

    async def run(self, _signals: Signals) -> int:
        """Return the exit code."""
        table = new_table("service", "state", "users", "began", "details")
        async with AsyncReflexioClient(self.api_key, self.url, CALL_TIMEOUT) as client:
            for service in self.services:
                answer = await client.get_operation_status(service_name=service)
                info = answer.operation_status
                if info is None:
                    table.add_row(service, "", "", "", output.one_line(answer.msg or "nothing has run yet"))
                else:
                    table.add_row(service, *_cells(info))
        output.console().print(table)
        return OK


def _cells(info: OperationStatusInfo) -> tuple[str, ...]:
    failed = f", {info.failed_users} failed" if info.failed_users else ""
    started = datetime.fromtimestamp(info.started_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    current_user = f"at {info.current_user_id}" if info.current_user_id else ""
    return (
        output.printable(info.status),
        f"{info.processed_users} of {info.total_users}{failed}",
        started,
        output.one_line(info.error_message or current_user),
    )


@dataclass(frozen=True)
class Wait:
    """Wait for the job of a token, and print its result. The fields are the command's options."""

    token: str
    poll_interval: float | None = None
    wait_timeout: float | None = None
    url: str = ""
    api_key: str = field(default="", repr=False)
    store: str | None = field(default=None, repr=False)

    async def run(self, _signals: Signals) -> int:
        """Return the exit code. A job that does not complete is an error."""
        async with AsyncReflexioClient(self.api_key, self.url, store=self.store) as client:
            job = client.job(self.token)
            result = await job.result(poll_interval=self.poll_interval, wait_timeout=self.wait_timeout)
            if isinstance(result, BaseModel):
                output.write_line(result.model_dump_json())
            output.print_line(output.console(stderr=True), f"{job.kind} {job.id}: {job.status.state}")
        return OK


@dataclass(frozen=True)
class Cancel:
    """Ask the job of a token to stop. The fields are the command's options."""

    token: str
    url: str = ""
    api_key: str = field(default="", repr=False)
    store: str | None = field(default=None, repr=False)

    async def run(self, _signals: Signals) -> int:
        """Return the exit code."""
        stderr = output.console(stderr=True)
        async with AsyncReflexioClient(self.api_key, self.url, CALL_TIMEOUT, store=self.store) as client:
            job = client.job(self.token)
            try:
                await job.cancel()
            except NotImplementedError as error:
                output.print_error(error)
                return BAD_INPUT
            name = f"{job.kind} {job.id}"
            if job.status.done:
                output.print_line(stderr, f"{name}: had ended already: {job.status.state}")
            else:
                output.print_line(
                    stderr,
                    f"{name}: asked to stop; a server looks at this only between two users, so a job of one "
                    "user completes all the same",
                )
        return OK
