"""Publishing through the outbox: accepted now, delivered in the background."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast
from uuid import uuid4

from reflexio_async._engine.models import ListOf, OrMapping, build_request, drop_none
from reflexio_async._engine.outbox_call import OutboxCall
from reflexio_async._engine.wire import encode
from reflexio_async.errors import APIConnectionError, StoreError
from reflexio_async.reflexio.api.identity import IdentityAPI
from reflexio_async.reflexio.api.interactions import InteractionsAPI, publish_fields
from reflexio_async.reflexio.models.interactions import (
    DEFAULT_AGENT_VERSION,
    InteractionData,
    PublishUserInteractionRequest,
    PublishUserInteractionResponse,
)
from reflexio_async.reflexio.publishing import PUBLISH_INTERACTION, Publish

if TYPE_CHECKING:
    from reflexio_async.durable.outbox import Outbox
    from reflexio_async.durable.rows import OutboxRow

_OWN_ID = "publish_interaction"
_CALLERS_ID = "publish_interaction with an id of the caller"


class OutboxAPI(InteractionsAPI, IdentityAPI):
    """Calls that are accepted now and delivered in the background."""

    _outboxes: "list[Outbox]"
    """Empty, or the outbox. It is a list because all views of the client share it."""

    async def publish_later(
        self,
        user_id: str,
        interactions: ListOf[OrMapping[InteractionData]],
        source: str = "",
        agent_version: str = DEFAULT_AGENT_VERSION,
        session_id: str | None = None,
        skip_aggregation: bool = False,
        force_extraction: bool = False,
        evaluation_only: bool = False,
        override_learning_stall: bool = False,
        retrieval_experiment_id: str | None = None,
        retrieval_experiment_arm: Literal["treatment", "holdout"] | None = None,
        session_finished: bool = False,
        *,
        request_id: str | None = None,
    ) -> OutboxCall[PublishUserInteractionResponse]:
        """Accept a publish, and deliver it in the background. It returns before anything is sent.

        The publishes of one session are delivered in their order. The outbox waits for a server that is away,
        for as long as it takes. A publish that the server refuses is set aside with the reason:
        ``client.outbox.refused()`` returns those.

        With ``store=``, the publish is on the disk when this returns. It is delivered even when the process
        is killed: then by the next process with this store. Without, closing the client waits for it.
        When 100,000 publishes or 256 MiB wait, this call waits until there is room.

        Args:
            user_id: As in ``publish_interaction``, and so are the others.
            interactions: The turns. Those without ``created_at`` get the present time.
            source: Where the turns come from.
            agent_version: The agent's version.
            session_id: The conversation that the turns belong to. Required.
            skip_aggregation: Learn user playbooks, but do not aggregate them.
            force_extraction: Learn now, however few turns there are.
            evaluation_only: Store the turns for evaluation, and do not learn from them.
            override_learning_stall: Learn although learning has stopped.
            retrieval_experiment_id: The experiment that the search reported.
            retrieval_experiment_arm: The arm that the search reported.
            session_finished: The session is over, so that learning need not wait for more turns.
            request_id: An id of your own for this publish.

        Returns:
            A handle with the ``request_id``. Awaiting it waits for the server's response. It may be dropped.

        Raises:
            InvalidRequest: An argument has an unusable value, or ``request_id`` is that of a call to another
                server, or of another organisation, that waits in the store; nothing was accepted.
            StoreError: The outbox cannot be used; nothing was accepted.
        """
        fields = publish_fields(
            user_id,
            interactions,
            source,
            agent_version,
            session_id,
            skip_aggregation,
            force_extraction,
            evaluation_only,
            override_learning_stall,
            retrieval_experiment_id,
            retrieval_experiment_arm,
            session_finished,
            request_id=uuid4().hex if request_id is None else request_id,
        )
        return await self._accept_publish("publish_later", fields, id_is_ours=request_id is None)

    async def _accept_publish(
        self, name: str, fields: Mapping[str, Any], *, id_is_ours: bool
    ) -> OutboxCall[PublishUserInteractionResponse]:
        """Accept a publish of these fields, without those that are None. ``name`` is the call, for errors."""
        request = build_request(PublishUserInteractionRequest, drop_none(fields), name)
        now = int(self._engine.caller.clock.time())
        for turn in cast("Sequence[InteractionData]", request.interactions):  # validation has made models
            if "created_at" not in turn.model_fields_set:
                turn.created_at = now
        call = _OWN_ID if id_is_ours else _CALLERS_ID
        return await self.outbox.add(
            call, cast("str", request.request_id), request.session_id, encode(PUBLISH_INTERACTION, request)
        )

    @property
    def outbox(self) -> "Outbox":
        """The outbox of this client: its counts, and the calls that the server has refused.

        Without ``store=`` it is kept in memory, and lost with the process.
        """
        if not self._outboxes:
            from reflexio_async.durable.delivery import Delivery  # noqa: PLC0415  # SQLite
            from reflexio_async.durable.outbox import outbox_of  # noqa: PLC0415

            # The outbox must not keep the client alive: a client that is dropped is noticed.
            engine = self._engine._replace(lifetime=None)
            view = self._with_settings(engine.settings.with_options(raise_on_refusal=True))
            view._engine = view._engine._replace(lifetime=None)  # noqa: SLF001  # a copy of self
            limiter = engine.caller.rate_limiter(PUBLISH_INTERACTION.path)
            deliveries = {
                call: Delivery(
                    partial(_deliver, view, id_is_ours=call == _OWN_ID),
                    repeatable=True,
                    elsewhere=_elsewhere,
                    limiter=limiter,
                )
                for call in (_OWN_ID, _CALLERS_ID)
            }
            self._outboxes.append(outbox_of(engine, deliveries, "stored_publishes"))
        return self._outboxes[0]


async def _deliver(
    view: OutboxAPI,
    row: "OutboxRow",
    maybe_sent: bool,
    guard: Callable[[], None],
    *,
    id_is_ours: bool,
) -> PublishUserInteractionResponse:
    request = PublishUserInteractionRequest.model_validate_json(row.request.body or b"")
    try:
        return await view._deliver_publish(  # noqa: SLF001  # of this file
            Publish.of(request, id_is_ours=id_is_ours, may_be_stored=maybe_sent),
            limit_wait=float("inf"),
            guard=guard,
        )
    except APIConnectionError as error:
        if error.outcome_unknown and view._server.knows_request_ids is False:  # noqa: SLF001
            message = f"it may have arrived, and this server cannot be asked for it: {error}"
            raise StoreError(message) from error
        raise


def _elsewhere(request_id: str) -> PublishUserInteractionResponse:
    message = "Delivered by another process"
    return PublishUserInteractionResponse(success=True, message=message, request_id=request_id)
