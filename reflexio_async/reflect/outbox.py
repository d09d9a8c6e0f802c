"""Sending traces through the outbox: accepted now, delivered in the background."""

from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.outbox_call import OutboxCall
from reflexio_async._engine.wire import encode
from reflexio_async.errors import StoreError
from reflexio_async.reflect.api import CREATE_TRACE, ReflectAPI
from reflexio_async.reflect.models.traces import TraceCreate, TraceSubmission

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflexio_async._engine.engine import Engine
    from reflexio_async.durable.outbox import Outbox
    from reflexio_async.durable.rows import OutboxRow

_CREATE_TRACE = "create_trace"


class TraceOutboxAPI(ReflectAPI):
    """Traces that are accepted now and delivered in the background."""

    _outboxes: "list[Outbox]"
    """Empty, or the outbox. It is a list because all views of the client share it."""

    @takes(TraceCreate)
    async def create_trace_later(self, request: TraceCreate) -> OutboxCall[TraceSubmission]:
        """Accept one run of an agent, and deliver it in the background. It returns before anything is sent.

        The outbox waits for a server that is away, for as long as it takes. The server knows no id of a
        trace that would be stored only once. So a trace that may have arrived is not sent again: it is set
        aside with that reason, and ``client.reflect.outbox.refused()`` returns it.

        With ``store=``, the trace is on the disk when this returns. Without, closing the client waits for it.
        Awaiting the handle returns the answer of the server, with the ``id`` of the trace. The handle may be
        dropped. When 100,000 traces or 256 MiB wait, this call waits until there is room.

        Raises:
            InvalidRequest: A field has an unusable value; nothing was accepted.
            StoreError: The outbox cannot be used; nothing was accepted.
        """
        encoded = encode(CREATE_TRACE, self._in_project(request))
        row_id = uuid4().hex
        return await self.outbox.add(_CREATE_TRACE, row_id, row_id, encoded)

    @property
    def outbox(self) -> "Outbox":
        """The outbox of this client: its counts, and the traces that were set aside."""
        if not self._outboxes:
            from reflexio_async.durable.delivery import Delivery  # noqa: PLC0415  # loads the database
            from reflexio_async.durable.outbox import outbox_of  # noqa: PLC0415

            engine = self._engine._replace(lifetime=None)  # the outbox must not keep the client alive
            delivery = Delivery(
                partial(_deliver, engine),
                repeatable=False,
                elsewhere=_elsewhere,
                limiter=engine.caller.rate_limiter(CREATE_TRACE.path),
            )
            self._outboxes.append(outbox_of(engine, {_CREATE_TRACE: delivery}, "stored_traces"))
        return self._outboxes[0]


async def _deliver(
    engine: "Engine",
    row: "OutboxRow",
    maybe_sent: bool,  # noqa: ARG001, FBT001  # such a trace is set aside
    guard: "Callable[[], None]",
) -> TraceSubmission:
    return await engine.caller.send(
        CREATE_TRACE, row.request, engine.settings, limit_wait=float("inf"), guard=guard
    )


def _elsewhere(row_id: str) -> TraceSubmission:
    message = f"the trace {row_id} was delivered by another process, which has the answer of the server"
    raise StoreError(message)
