"""Many calls at once: reruns and publishes, as batches."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from reflexio_async._engine.batch.batch import Batch
from reflexio_async._engine.batch.work import Attempt, Work
from reflexio_async._engine.jobs.job import check_waiting
from reflexio_async._engine.jobs.status import JobState
from reflexio_async._engine.wire import build_request, refusal_of
from reflexio_async.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
    from datetime import datetime

    from reflexio_async._engine.batch.items import Given
    from reflexio_async._engine.batch.progress import BatchProgress
    from reflexio_async._engine.engine import Engine, HasEngine
    from reflexio_async._engine.routing.job_route import JobRoute
    from reflexio_async._engine.wire import Endpoint
    from reflexio_async.reflexio.models.interactions import (
        PublishUserInteractionRequest,
        PublishUserInteractionResponse,
    )
    from reflexio_async.reflexio.models.operations import (
        RerunPlaybookGenerationResponse,
        RerunProfileGenerationResponse,
    )

T = TypeVar("T")

# A server publishes four at a time per organisation, the rest only queues there (fact).
_PUBLISH_WIDTH = 4


@dataclass(frozen=True, slots=True)
class _Item:
    """One publish; ``made``: under an id made here, ``again``: sent by an earlier batch already."""

    request: PublishUserInteractionRequest
    made: bool
    again: bool = False


class BatchesAPI:
    """Fan-out over many users, agent versions or publishes."""

    def rerun_profiles_many(
        self: HasEngine,
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
    ) -> Batch[str, RerunProfileGenerationResponse]:
        """Rerun the profiles of many users; one failure never stops the others.

        Args:
            user_ids: A collection, checked whole here; or an iterator, sync or async, pulled and checked
                as capacity frees, so that any number streams in flat memory.
            concurrency: How many are under way at once; None: the client's. A server with one slot still
                runs one at a time.
            source: Only interactions from this source.
            start_time: Only interactions since then; naive means UTC.
            end_time: Only interactions until then; naive means UTC.
            poll_interval: Seconds between status requests; None: soon after a start, then up to 1.
            wait_timeout: Seconds each user may take from its admission; None: 600.
            on_progress: Called with a BatchProgress after every step.
            upgrade: Promote once, organisation-wide, after all completed.
            fail_fast: Start nothing more after the first that does not complete.

        Raises:
            InvalidRequest: An id is empty, not text, or given twice; or an option is unusable.
        """
        from reflexio_async.reflexio.api.profiles import ProfilesAPI  # noqa: PLC0415  # models take long to load
        from reflexio_async.reflexio.models.profiles import UpgradeProfilesRequest  # noqa: PLC0415

        engine = self.engine

        async def promote() -> Any:
            row = ProfilesAPI.upgrade_profiles
            return _refused(engine, row.endpoint, await row.send(engine, UpgradeProfilesRequest()))

        common = {"source": source, "start_time": start_time, "end_time": end_time}
        return _reruns(
            engine,
            "user_ids",
            user_ids,
            ProfilesAPI.rerun_profile_generation,
            key_field="user_id",
            common=common,
            waiting=(poll_interval, wait_timeout),
            concurrency=concurrency,
            on_progress=on_progress,
            finish=promote if upgrade else None,
            fail_fast=fail_fast,
        )

    def rerun_playbooks_many(
        self: HasEngine,
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
    ) -> Batch[str, RerunPlaybookGenerationResponse]:
        """Rerun the playbooks of many agent versions; the options are those of ``rerun_profiles_many``."""
        from reflexio_async.reflexio.api.playbooks import PlaybooksAPI  # noqa: PLC0415  # models take long to load
        from reflexio_async.reflexio.models.playbooks import UpgradeUserPlaybooksRequest  # noqa: PLC0415

        engine = self.engine

        async def promote() -> Any:
            row = PlaybooksAPI.upgrade_user_playbooks
            return _refused(engine, row.endpoint, await row.send(engine, UpgradeUserPlaybooksRequest()))

        common = {"source": source, "start_time": start_time, "end_time": end_time}
        return _reruns(
            engine,
            "agent_versions",
            agent_versions,
            PlaybooksAPI.rerun_playbook_generation,
            key_field="agent_version",
            common=common,
            waiting=(poll_interval, wait_timeout),
            concurrency=concurrency,
            on_progress=on_progress,
            finish=promote if upgrade else None,
            fail_fast=fail_fast,
        )

    def publish_many(
        self: HasEngine,
        items: Iterable[PublishUserInteractionRequest | Mapping[str, Any]]
        | AsyncIterable[PublishUserInteractionRequest | Mapping[str, Any]],
        *,
        concurrency: int | None = None,
        on_progress: Callable[[BatchProgress], None] | None = None,
        fail_fast: bool = False,
    ) -> Batch[str, PublishUserInteractionResponse]:
        """Publish many requests (models or mappings), each under its ``request_id``, made here when absent.

        ``concurrency`` is how many are under way at once; None: 4, which is as many as a server works on.
        Rate limits are waited out, however long that takes.

        Raises:
            InvalidRequest: An item is unusable, or two share a ``request_id``.
        """
        from reflexio_async.reflexio.api.interactions import InteractionsAPI, publish_once  # noqa: PLC0415  # models take long to load

        engine = self.engine
        row = InteractionsAPI.publish_interaction
        clock = engine.caller.clock

        def check(raw: Any) -> _Item:
            if isinstance(raw, _Item):  # of a batch before this one
                return replace(raw, again=True)
            request: PublishUserInteractionRequest = build_request(row.model, raw)
            if request.request_id is not None:
                return _Item(request, made=False)
            return _Item(request.model_copy(update={"request_id": uuid4().hex}), made=True)

        strict = engine.with_settings(engine.settings.with_options(raise_on_refusal=True))

        async def publish(item: _Item, attempt: Attempt[PublishUserInteractionResponse]) -> None:
            began = clock.now()
            try:
                attempt.result = await publish_once(
                    strict,
                    row.endpoint,
                    item.request,
                    row.answer,
                    limit_wait=float("inf"),
                    withdrawn=attempt.stopped,
                    on_attempt=attempt.count,
                    made=item.made,
                    again=item.again,
                )
            finally:
                attempt.seconds_running = clock.now() - began
                row.forget(engine)

        work: Work[str, PublishUserInteractionResponse] = Work(
            name="items",
            check=check,
            key=lambda item: item.request.request_id,
            carry_out=publish,
            width=_PUBLISH_WIDTH if concurrency is None else concurrency,
            per_minute=row.endpoint.per_minute,
            limit=engine.caller.rate_limiter(row.endpoint.path),
            fail_fast=fail_fast,
            on_progress=on_progress,
        )
        return Batch(work, items, clock, engine.tasks)


def _reruns(
    engine: Engine,
    name: str,
    given: Given,
    row: JobRoute[..., ..., Any, T],
    *,
    key_field: str,
    common: Mapping[str, Any],
    waiting: tuple[float | None, float | None],
    concurrency: int | None,
    on_progress: Callable[[BatchProgress], None] | None,
    finish: Callable[[], Awaitable[Any]] | None,
    fail_fast: bool,
) -> Batch[str, T]:
    model = row.model
    poll_interval, wait_timeout = waiting
    check_waiting(poll_interval, wait_timeout)
    fields = {field: value for field, value in common.items() if value is not None}
    common_request = build_request(model, fields)
    # Whatever a refusal is to the caller of one, it is no completed outcome.
    settings = engine.settings.with_options(raise_on_refusal=True)
    if poll_interval is not None:
        settings = settings.with_options(poll_interval=poll_interval)
    if wait_timeout is not None:
        # As a setting it counts from admission; given to result() it would count the queueing too.
        settings = settings.with_options(wait_timeout=wait_timeout)
    engine = engine.with_settings(settings)
    width = settings.concurrency if concurrency is None else concurrency

    def check(raw: Any) -> str:
        if not isinstance(raw, str):
            # None would mean every user at once.
            message = f"{key_field} must be text, not {type(raw).__name__}"
            raise InvalidRequest(message)
        build_request(model, {**fields, key_field: raw})
        return raw

    async def rerun(key: str, attempt: Attempt[T]) -> None:
        request = common_request.model_copy(update={key_field: key})  # which ``check`` has seen
        job = attempt.job = await row.start(engine, request, width=width)
        try:
            if attempt.stopped.is_set() and job.status.state is JobState.QUEUED:
                await job.cancel()
            attempt.result = await job.result()
        finally:
            timing = job.timing
            attempt.seconds_queued, attempt.seconds_running = timing.queued, timing.running
            attempt.attempts = timing.attempts
            if job.status.state is JobState.QUEUED:
                with contextlib.suppress(Exception):
                    await job.cancel()

    work: Work[str, T] = Work(
        name=name,
        check=check,
        key=lambda key: key,
        carry_out=rerun,
        width=width,
        per_minute=row.endpoint.per_minute,
        limit=engine.caller.rate_limiter(row.endpoint.path),
        fail_fast=fail_fast,
        on_progress=on_progress,
        finish=finish,
    )
    return Batch(work, given, engine.caller.clock, engine.tasks)


def _refused(engine: Engine, endpoint: Endpoint, answer: Any) -> Any:
    """``answer``, or the error it stands for: a promotion that promoted nothing is worth knowing of."""
    refusal = refusal_of(endpoint, answer, engine.caller.credentials.redacted)
    if refusal is not None:
        raise refusal
    return answer
