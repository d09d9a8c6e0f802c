"""``publish``: publishes one message."""

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
class Publish:
    """Publish one message. The fields are the command's options."""

    user_id: str
    session_id: str
    text: str
    role: str = "user"
    learn_now: bool = False
    wait: bool = False
    wait_timeout: float | None = None
    url: str = ""
    api_key: str = field(default="", repr=False)

    async def run(self, _signals: Signals) -> int:
        """Return the exit code. Only the request id goes to stdout."""
        stderr = output.console(stderr=True)
        async with AsyncReflexioClient(
            self.api_key, self.url, CALL_TIMEOUT, wait_timeout=self.wait_timeout
        ) as client:
            receipt = await client.publish_interaction(
                user_id=self.user_id,
                session_id=self.session_id,
                interactions=[{"role": self.role, "content": self.text}],
                force_extraction=self.learn_now,
            )
            for warning in receipt.warnings:
                output.print_line(stderr, f"the server warns: {warning}", "yellow")
            if receipt.accepted:
                output.print_line(stderr, "accepted; the server has not stored it yet", "yellow")
            if receipt.request_id is None:
                output.print_line(
                    stderr, "stored; this server gives no request id to ask about its learning by"
                )
                return OK
            output.write_line(receipt.request_id)
            if self.wait:
                if receipt.learning_reason == "waiting_for_window" and not self.learn_now:
                    output.print_line(
                        stderr,
                        "the server waits for more from this user before it learns (--learn-now: at once)",
                    )
                status = await client.learning(receipt.request_id)
                why = f" ({status.reason})" if status.reason else ""
                output.print_line(stderr, f"learning is over: {status.status}{why}")
        return OK
