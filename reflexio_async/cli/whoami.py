"""``whoami``: shows the organisation and the storage of a key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reflexio_async.cli import output
from reflexio_async.cli.command_runner import OK
from reflexio_async.cli.options import CALL_TIMEOUT
from reflexio_async.client import AsyncReflexioClient

if TYPE_CHECKING:
    from reflexio_async.cli.signals import Signals


@dataclass(frozen=True)
class Whoami:
    """Print the organisation and the storage of the key. The fields are the command's options."""

    url: str = ""
    api_key: str = field(default="", repr=False)

    async def run(self, _signals: Signals) -> int:
        """Return the exit code."""
        stdout = output.console()
        async with AsyncReflexioClient(self.api_key, self.url, CALL_TIMEOUT) as client:
            answer = await client.whoami()
            url = client.base_url
        storage = answer.storage_label or answer.storage_type or "not configured"
        for name, value in (("server", url), ("organisation", answer.org_id), ("storage", storage)):
            output.print_line(stdout, f"{name}: {value}")
        return OK
