"""Many calls at once: reruns and publishes, as batches."""

import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from reflexio_async._engine.batch.batch import Batch
from reflexio_async._engine.batch.items import Given
from reflexio_async._engine.batch.progress import BatchProgress
from reflexio_async._engine.batch.work import BATCH_OUTAGE_TIMEOUT, Attempt, Work
from reflexio_async._engine.jobs.job import Job, check_waiting
from reflexio_async._engine.jobs.kinds import SlotKind
from reflexio_async._engine.jobs.slot_job import Start
from reflexio_async._engine.jobs.status import JobState
from reflexio_async._engine.models import NotBlank, RequestModel, build_request, drop_none
from reflexio_async._engine.option_checks import positive_seconds, true_or_false
from reflexio_async._engine.wire import EncodedRequest, Endpoint, refusal_of
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflexio.api.interactions import InteractionsAPI
from reflexio_async.reflexio.api.playbooks import (
    RERUN_PLAYBOOK_GENERATION,
    UPGRADE_USER_PLAYBOOKS,
    PlaybooksAPI,
)
from reflexio_async.reflexio.api.profiles import RERUN_PROFILE_GENERATION, UPGRADE_PROFILES, ProfilesAPI
from reflexio_async.reflexio.jobs import PLAYBOOK_RERUN, PROFILE_RERUN
from reflexio_async.reflexio.models.interactions import (
    PublishUserInteractionRequest,
    PublishUserInteractionResponse,
)
from reflexio_async.reflexio.models.operations import (
    RerunPlaybookGenerationRequest,
    RerunPlaybookGenerationResponse,
    RerunProfileGenerationRequest,
    RerunProfileGenerationResponse,
)
from reflexio_async.reflexio.publishing import PUBLISH_INTERACTION, Publish

if TYPE_CHECKING:
    from reflexio_async._engine.call import Caller
    from reflexio_async._engine.jobs.record import JobRecord
    from reflexio_async._engine.settings import Settings
    from reflexio_async.durable.batches import StoredBatch

T = TypeVar("T")

# A server works on four publishes of an organisation at a time (server-behaviour: Concurrency).
_PUBLISH_WIDTH = 4
# Keys of a batch that are awaited at once where a store keeps the others: enough for one SELECT.
_STORED_WIDTH = 100
# The key of a rerun, checked without making a request of it.
_KEY = TypeAdapter(NotBlank, config=ConfigDict(str_min_length=0, defer_build=True))


class BatchesAPI(InteractionsAPI, PlaybooksAPI, ProfilesAPI):
    """Calls about many users, agent versions or publishes at once."""

    def rerun_profiles_many(
        self,
        user_ids: Iterable[str] | AsyncIterable[str],
        *,
        concurrency: int | None = None,
        source: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        poll_interval: float | None = None,
        wait_timeout: float | None = None,
        on_progress: Callable[[BatchProgress], None] | None = None,
        upgrade: bool = False,
        fail_fast: bool = False,
        outage_timeout: float = BATCH_OUTAGE_TIMEOUT,
        batch_id: str | None = None,
    ) -> Batch[str, RerunProfileGenerationResponse]:
        """Rerun the profiles of many users. One failure does not stop the others.

        Args:
            user_ids: A collection, which is checked as a whole in this call. Or an iterator, sync or async:
                its items are read and checked one after another, as earlier ones finish.
            concurrency: How many reruns are under way at once; None: the client's option, or 100 with a
                store. A server with one slot still runs one at a time.
            source: Only interactions from this source.
            start_time: Only interactions since then; naive means UTC.
            end_time: Only interactions until then; naive means UTC.
            poll_interval: Seconds between status requests; None: soon after a start, then up to 1.
            wait_timeout: Seconds that one rerun may take once the server has admitted it; None: 600.
            on_progress: Called with a BatchProgress after every change.
            upgrade: When all have completed, promote the pending profiles of the whole organisation. With a
                store, one of the processes that run the batch does so, and all have its response.
            fail_fast: Start no more reruns after the first that does not complete.
            outage_timeout: Seconds that the server may be away, once it has answered. Then the batch stops,
                and the rest is ``not_started``; of an iterator, the rest is not read. With a store, no outage
                ends a batch.
            batch_id: With a store, an id for the batch; None: one is made, ``batch.id``. The same id again
                continues the batch: what has ended gives its outcome at once, and what was withdrawn is
                queued again. A batch that runs in another process is joined. When it is left, or the process
                ends, its keys stay in the store: any client of the organisation with this store goes on with
                them. ``stop`` withdraws them.

        Raises:
            InvalidRequest: An id is empty, not text, or given twice; or an option has an unusable value.
                ``batch_id`` is that of another kind of batch or of another organisation, or the client has
                no store.
        """
        common = {"source": source, "start_time": start_time, "end_time": end_time}
        return self._reruns(
            "user_ids",
            user_ids,
            RERUN_PROFILE_GENERATION,
            RerunProfileGenerationRequest,
            PROFILE_RERUN,
            key_field="user_id",
            common=common,
            waiting=(poll_interval, wait_timeout),
            concurrency=concurrency,
            on_progress=on_progress,
            upgrade=upgrade,
            promotion=(UPGRADE_PROFILES, self.upgrade_profiles),
            fail_fast=fail_fast,
            outage_timeout=outage_timeout,
            batch_id=batch_id,
        )

    def rerun_playbooks_many(
        self,
        agent_versions: Iterable[str] | AsyncIterable[str],
        *,
        concurrency: int | None = None,
        source: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        poll_interval: float | None = None,
        wait_timeout: float | None = None,
        on_progress: Callable[[BatchProgress], None] | None = None,
        upgrade: bool = False,
        fail_fast: bool = False,
        outage_timeout: float = BATCH_OUTAGE_TIMEOUT,
        batch_id: str | None = None,
    ) -> Batch[str, RerunPlaybookGenerationResponse]:
        """Rerun the playbooks of many agent versions. The options are those of ``rerun_profiles_many``."""
        common = {"source": source, "start_time": start_time, "end_time": end_time}
        return self._reruns(
            "agent_versions",
            agent_versions,
            RERUN_PLAYBOOK_GENERATION,
            RerunPlaybookGenerationRequest,
            PLAYBOOK_RERUN,
            key_field="agent_version",
            common=common,
            waiting=(poll_interval, wait_timeout),
            concurrency=concurrency,
            on_progress=on_progress,
            upgrade=upgrade,
            promotion=(UPGRADE_USER_PLAYBOOKS, self.upgrade_user_playbooks),
            fail_fast=fail_fast,
            outage_timeout=outage_timeout,
            batch_id=batch_id,
        )

    def publish_many(
        self,
        items: Iterable[PublishUserInteractionRequest | Mapping[str, Any]]
        | AsyncIterable[PublishUserInteractionRequest | Mapping[str, Any]],
        *,
        concurrency: int | None = None,
        on_progress: Callable[[BatchProgress], None] | None = None,
        fail_fast: bool = False,
        outage_timeout: float = BATCH_OUTAGE_TIMEOUT,
    ) -> Batch[str, PublishUserInteractionResponse]:
        """Publish many requests. A ``request_id`` is made for each that has none.

        Rate limits are waited for, however long that takes. An item counts as completed, too, when the server
        has only accepted it (``result.accepted``).

        Args:
            items: Requests to publish: models, or mappings with their fields.
            concurrency: How many are under way at once; None: 4, as many as a server works on.
            on_progress: Called with a BatchProgress after every change.
            fail_fast: Publish no more after the first that fails.
            outage_timeout: As in ``rerun_profiles_many``.

        Raises:
            InvalidRequest: An item is unusable, or two share a ``request_id``.
        """
        engine = self._engine
        clock = engine.caller.clock

        def check(raw: Any) -> Publish:
            if isinstance(raw, Publish):  # from ``retry_failed`` of an earlier batch
                return raw
            return Publish.of(build_request(PublishUserInteractionRequest, raw))

        # A refusal is a failure of its item, whatever the client's own option says.
        positive_seconds("outage_timeout", outage_timeout, zero=True)
        settings = engine.settings.with_options(raise_on_refusal=True, outage_timeout=outage_timeout)
        strict = self._with_settings(settings)

        async def publish(item: Publish, attempt: Attempt[PublishUserInteractionResponse]) -> None:
            began = clock.now()
            try:
                attempt.result = await strict._deliver_publish(  # noqa: SLF001  # a view of self
                    item, limit_wait=float("inf"), withdrawn=attempt.stopped, on_attempt=attempt.count
                )
            except BaseException as error:
                # An error without these attributes, and a cancellation, say nothing about what was sent.
                unknown = getattr(error, "outcome_unknown", getattr(error, "repeated", attempt.attempts > 0))
                item.may_be_stored = item.may_be_stored or unknown
                raise
            finally:
                attempt.seconds_running = clock.now() - began

        work: Work[str, PublishUserInteractionResponse] = Work(
            name="items",
            check=check,
            key=lambda item: item.request_id,
            process_item=publish,
            width=_PUBLISH_WIDTH if concurrency is None else concurrency,
            per_minute=PUBLISH_INTERACTION.per_minute,
            rate_limiter=engine.caller.rate_limiter(PUBLISH_INTERACTION.path),
            availability=engine.caller.availability,
            outage_timeout=outage_timeout,
            fail_fast=fail_fast,
            on_progress=on_progress,
        )
        return Batch(work, items, clock, engine.tasks)

    def _reruns(
        self,
        name: str,
        given: Given,
        endpoint: Endpoint[T],
        model: type[RequestModel],
        kind: SlotKind[T],
        *,
        key_field: str,
        common: Mapping[str, Any],
        waiting: tuple[float | None, float | None],
        concurrency: int | None,
        on_progress: Callable[[BatchProgress], None] | None,
        upgrade: bool,
        promotion: tuple[Endpoint[Any], Callable[[], Awaitable[Any]]],
        fail_fast: bool,
        outage_timeout: float,
        batch_id: str | None,
    ) -> Batch[str, T]:
        true_or_false("upgrade", upgrade)
        poll_interval, wait_timeout = waiting
        check_waiting(poll_interval, wait_timeout)
        positive_seconds("outage_timeout", outage_timeout, zero=True)
        fields = drop_none(common)
        common_request = build_request(model, fields)
        settings = self._engine.settings.with_options(
            raise_on_refusal=True,  # a refused start is no completed outcome
            outage_timeout=outage_timeout,
            # As a setting, wait_timeout counts from admission; result() would count the queueing too.
            **drop_none(poll_interval=poll_interval, wait_timeout=wait_timeout),
        )
        view = self._with_settings(settings)
        default = settings.concurrency if self._engine.durable is None else _STORED_WIDTH
        width = default if concurrency is None else concurrency

        def check(raw: Any) -> str:
            if not isinstance(raw, str):
                # None would mean every user at once.
                message = f"{key_field} must be text, not {type(raw).__name__}"
                raise InvalidRequest(message)
            try:
                _KEY.validate_python(raw)
            except ValidationError:
                build_request(model, {**fields, key_field: raw})  # raises the error that names the field
            return raw

        start_of = view._start_by_key(endpoint, common_request, kind, key_field, width)  # noqa: SLF001  # a view of self
        stored, jobs = self._stored(batch_id, kind, settings, start_of), self._engine.jobs

        async def rerun(key: str, attempt: Attempt[T]) -> None:
            if stored is None:
                start, params = start_of(key)
                record: JobRecord[T] = await jobs.start(
                    kind, settings, start=start, params=params, finish=attempt.worker.finish
                )
            else:
                record = await stored.job(key)
            attempt.job = job = Job(record)
            try:
                if attempt.stopped.is_set() and job.status.state is JobState.QUEUED:
                    await job.cancel()
                if record.done and record.error is None:  # the answer to its start was its result
                    attempt.result = record.result
                else:
                    attempt.result = await job.result()
            finally:
                timing = job.timing
                attempt.seconds_queued, attempt.seconds_running = timing.queued, timing.running
                attempt.attempts, attempt.waits = timing.attempts, timing.waits
                attempt.ended_at = timing.ended_at
                if stored is None and job.status.state is JobState.QUEUED:
                    with contextlib.suppress(Exception):
                        await job.cancel()

        work: Work[str, T] = Work(
            name=name,
            check=check,
            key=lambda key: key,
            process_item=rerun,
            width=width,
            per_minute=endpoint.per_minute,
            rate_limiter=self._engine.caller.rate_limiter(endpoint.path),
            availability=self._engine.caller.availability,
            outage_timeout=outage_timeout,
            fail_fast=fail_fast,
            on_progress=on_progress,
            finish=partial(_promote, self._engine.caller, stored, *promotion) if upgrade else None,
            stored=stored,
            lane_waits_for=partial((self._engine.durable or self._engine.jobs).waiting_for, kind.slot),
        )
        return Batch(work, given, self._engine.caller.clock, self._engine.tasks)

    def _start_by_key(
        self, endpoint: Endpoint[T], common: RequestModel, kind: SlotKind[T], key_field: str, width: int
    ) -> Callable[[str], tuple[Start, dict[str, Any]]]:
        """A function that returns the start for a key, and the parameters that the status repeats.

        The request of a key is ``common`` with the key in its body. So no model is made of it.
        """
        observer = self._engine.tasks.observer
        common_request, send, limiter, width = self._start_of(endpoint, common, width)
        method, path, target, common_body, content_type, _ = common_request
        fields = from_json(common_body or b"{}")
        common_params = {name: getattr(common, name) for name in kind.echoed}

        def start_of(key: str) -> tuple[Start, dict[str, Any]]:
            # Not by ``_replace``: that takes twice as long.
            body = to_json({key_field: key, **fields})
            request = EncodedRequest(method, path, target, body, content_type)
            if observer.is_on:
                request = observer.stamped(request)
            return Start(request, send, limiter, width), {**common_params, key_field: key}

        return start_of

    def _stored(
        self,
        batch_id: str | None,
        kind: SlotKind[T],
        settings: "Settings",
        start: Callable[[str], tuple[Start, dict[str, Any]]],
    ) -> "StoredBatch[T] | None":
        """The batch in the client's store; None for a client without one."""
        if batch_id is not None and (not isinstance(batch_id, str) or not batch_id.strip()):
            message = f"batch_id must be text, and not empty, not {batch_id!r:.40}"
            raise InvalidRequest(message)
        try:
            (batch_id or "").encode()
        except UnicodeEncodeError:  # no store can hold it
            message = f"batch_id must be valid Unicode, not {batch_id!r:.40}"
            raise InvalidRequest(message) from None
        durable = self._engine.durable
        if durable is not None:
            from reflexio_async.durable.batches import StoredBatch  # noqa: PLC0415  # loads sqlite3

            return StoredBatch(durable, batch_id or uuid4().hex, kind, settings, start)
        if batch_id is None:
            return None
        message = "batch_id: only a store remembers a batch; open the client with store="
        raise InvalidRequest(message)


async def _promote(
    caller: "Caller",
    stored: "StoredBatch[Any] | None",
    endpoint: Endpoint[Any],
    send: Callable[[], Awaitable[Any]],
) -> Any:
    """Promote, and raise RequestRefused when the response says that nothing was promoted."""

    async def promote() -> Any:
        response = await send()
        refusal = refusal_of(endpoint, caller.service, response, caller.credentials.redact)
        if refusal is not None:
            raise refusal
        return response

    if stored is None:
        return await promote()
    if left := await stored.incomplete():
        message = f"not promoted: {left} other keys of the batch {stored.id} have not completed"
        raise InvalidRequest(message)
    return await stored.promote_once(promote, endpoint.read)
