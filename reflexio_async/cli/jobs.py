"""``jobs``: what runs at the server, waiting for one job by its token, asking it to stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel

from reflexio_async.cli import output
from reflexio_async.cli.running import BAD_INPUT, OK
from reflexio_async.cli.tables import table
from reflexio_async.client import AsyncReflexioClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflexio_async.cli.signals import Signals
    from reflexio_async.reflexio.models.operations import OperationStatusInfo

SERVICES = ("profile_generation", "playbook_generation")


@dataclass(frozen=True)
class Status:
    """The latest operation of each service."""

    services: Sequence[str]
    url: str = ""
    api_key: str = field(default="", repr=False)

    async def run(self, _signals: Signals) -> int:
        """The exit code."""
        rows = table("service", "state", "users", "began", "details")
        async with AsyncReflexioClient(self.api_key, self.url, 60.0) as client:
            for service in self.services:
                answer = await client.get_operation_status(service_name=service)
                info = answer.operation_status
                if info is None:
                    rows.add_row(service, "", "", "", output.one_line(answer.msg or "nothing has run yet"))
                else:
                    rows.add_row(service, *_cells(info))
        output.console().print(rows)
        return OK


def _cells(info: OperationStatusInfo) -> tuple[str, ...]:
    failed = f", {info.failed_users} failed" if info.failed_users else ""
    began = datetime.fromtimestamp(info.started_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    now_at = f"at {info.current_user_id}" if info.current_user_id else ""
    return (
        output.visible(info.status),
        f"{info.processed_users} of {info.total_users}{failed}",
        began,
        output.one_line(info.error_message or now_at),
    )


@dataclass(frozen=True)
class Wait:
    """Wait for the job of a token."""

    token: str
    poll_interval: float | None = None
    wait_timeout: float | None = None
    url: str = ""
    api_key: str = field(default="", repr=False)

    async def run(self, _signals: Signals) -> int:
        """The exit code; a job that does not complete is an error."""
        async with AsyncReflexioClient(self.api_key, self.url) as client:
            job = client.resume_job(self.token)
            result = await job.result(poll_interval=self.poll_interval, wait_timeout=self.wait_timeout)
            if isinstance(result, BaseModel):
                output.write_line(result.model_dump_json())
            output.say(output.console(stderr=True), f"{job.kind} {job.id}: {job.status.state}")
        return OK


@dataclass(frozen=True)
class Cancel:
    """Ask the job of a token to stop."""

    token: str
    url: str = ""
    api_key: str = field(default="", repr=False)

    async def run(self, _signals: Signals) -> int:
        """The exit code."""
        people = output.console(stderr=True)
        async with AsyncReflexioClient(self.api_key, self.url, 60.0) as client:
            job = client.resume_job(self.token)
            try:
                await job.cancel()
            except NotImplementedError as error:
                output.complain(error)
                return BAD_INPUT
            name = f"{job.kind} {job.id}"
            if job.status.done:
                output.say(people, f"{name}: had ended already: {job.status.state}")
            else:
                output.say(
                    people,
                    f"{name}: asked to stop; a server looks at this only between two users, so a job of one "
                    "user completes all the same",
                )
        return OK
