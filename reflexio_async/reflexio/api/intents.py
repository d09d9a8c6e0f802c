"""Starting a job exactly once under an engine that repeats its steps, such as Temporal, DBOS or Celery."""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, Self
from uuid import uuid4
from weakref import WeakValueDictionary

from pydantic import TypeAdapter

from reflexio_async._engine.engine import API
from reflexio_async._engine.jobs.job import Job
from reflexio_async._engine.jobs.kinds import Operation, SlotKind
from reflexio_async._engine.jobs.tokens import Token
from reflexio_async._engine.models import RequestModel, build_request, drop_none
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflexio.api.operations import GET_OPERATION_STATUS
from reflexio_async.reflexio.jobs import (
    MANUAL_PLAYBOOKS,
    MANUAL_PROFILES,
    PLAYBOOK_RERUN,
    PROFILE_RERUN,
    operation,
)
from reflexio_async.reflexio.models.operations import (
    ByService,
    ManualPlaybookGenerationRequest,
    ManualProfileGenerationRequest,
    RerunPlaybookGenerationRequest,
    RerunProfileGenerationRequest,
)
from reflexio_async.reflexio.starts import STARTS

REQUESTS: Final[Mapping[str, type[RequestModel]]] = {
    PROFILE_RERUN.name: RerunProfileGenerationRequest,
    PLAYBOOK_RERUN.name: RerunPlaybookGenerationRequest,
    MANUAL_PROFILES.name: ManualProfileGenerationRequest,
    MANUAL_PLAYBOOKS.name: ManualPlaybookGenerationRequest,
}

_VERSION = 1


class Intent(NamedTuple):
    """The intent to start one job.

    Attributes:
        id: Its own id, which is the id of the job's row in a store.
        kind: The name of the job's kind.
        url: The server's address.
        request: The fields of the request.
        before: The slot's latest operation when the intent was made.
    """

    id: str
    kind: str
    url: str
    request: dict[str, Any]
    before: dict[str, Any] | None

    def to_text(self) -> str:
        """The intent as the engine keeps it."""
        return json.dumps({"v": _VERSION, **self._asdict()}, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read an intent; raise InvalidRequest when ``text`` is none of this release."""
        try:
            content = json.loads(text)
            if content.pop("v") == _VERSION:
                return TypeAdapter(cls).validate_python(content, strict=True)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        given = "" if isinstance(text, str) else f", not {type(text).__name__}"
        message = (
            f"start_or_adopt: not an intent of this release; pass the text that client.intent returned{given}"
        )
        raise InvalidRequest(message)


class IntentsAPI(API):
    """Two steps for an engine that repeats each step until it has ended."""

    _intents: WeakValueDictionary[str, Job[Any]]
    """By id, the jobs of intents that somebody holds in this process. All views share it."""

    async def intent(
        self,
        kind: str,
        *,
        user_id: str | None = None,
        agent_version: str | None = None,
        source: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
    ) -> str:
        """Note what is to be started, as text for ``start_or_adopt``. Nothing is started.

        Make it in a step of its own, so that the engine keeps the text. The server is asked once, for the
        latest operation of the slot.

        Args:
            kind: ``profile_rerun``, ``playbook_rerun``, ``manual_profiles`` or ``manual_playbooks``.
            user_id: As in the call that starts such a job, where it has this argument. So are the others.
            agent_version: As above.
            source: As above.
            start_time: As above.
            end_time: As above.

        Returns:
            The intent: JSON, without secrets. It has no time limit.

        Raises:
            InvalidRequest: There is no such kind, or an argument is unusable.
            ReflexioError: The server could not be asked.
        """
        model = REQUESTS.get(kind)
        if model is None:
            message = f"intent: kind must be one of {', '.join(REQUESTS)}, not {kind!r:.40}"
            raise InvalidRequest(message)
        fields = {
            "user_id": user_id,
            "agent_version": agent_version,
            "source": source,
            "start_time": start_time,
            "end_time": end_time,
        }
        request = build_request(model, drop_none(fields), "intent")
        before = await self._latest(STARTS[kind][0].slot.service)
        return Intent(
            uuid4().hex,
            kind,
            self._engine.settings.base_url,
            request.model_dump(mode="json", exclude_unset=True),
            None if before is None else before.to_dict(),
        ).to_text()

    async def start_or_adopt(self, intent: str) -> Job[Any]:
        """Start the job of ``intent``, or return it if an earlier call has started it.

        An earlier call may have died before it returned. The server's status tells whether its start was
        admitted: it shows the latest operation of the slot. So give the engine one queue for each
        organisation and service. If another job of the service has run since the intent was made, an earlier
        start can no longer be seen, and the job is started. With a store, it is started once in any case.

        Args:
            intent: The text that ``intent`` returned.

        Returns:
            The job, as a call with the same arguments returns it. One that has failed is returned, too: to
            run it again, make a new intent.

        Raises:
            InvalidRequest: It is no intent, or one for another server.
            StoreError: The store cannot be used; nothing was started.
            ReflexioError: The server could not be asked, or it refused the start. The intent stays usable.
        """
        noted = Intent.from_text(intent)
        engine = self._engine
        if noted.url != engine.settings.base_url:
            here = engine.settings.base_url
            message = f"start_or_adopt: the intent is for {noted.url}, this client speaks to {here}"
            raise InvalidRequest(message)
        if noted.kind not in REQUESTS:
            message = f"start_or_adopt: this release does not know the kind {noted.kind!r:.40}"
            raise InvalidRequest(message)
        kind, endpoint = STARTS[noted.kind]
        request = build_request(REQUESTS[noted.kind], noted.request, "start_or_adopt")
        if engine.durable is not None:
            return await self._start(endpoint, request, kind, row=noted.id)
        lock = engine.loops.enter().part((IntentsAPI, kind.slot), asyncio.Lock)
        async with lock:
            job = self._intents.get(noted.id)
            if job is None:
                job = await self._adopted(noted, kind, request)
            if job is None:
                job = await self._start(endpoint, request, kind)
            self._intents[noted.id] = job  # a step that is repeated in this process gets the same job
        return job

    async def _adopted(self, noted: Intent, kind: SlotKind[Any], request: RequestModel) -> Job[Any] | None:
        """The job that an earlier call has started; None: the status shows none."""
        latest = await self._latest(kind.slot.service)
        before = Operation.from_dict(noted.before)
        params = {name: getattr(request, name) for name in kind.echoed}
        if latest is None or latest.is_same(before) or not kind.matches(params, latest):
            return None
        token = Token(
            kind=kind.name,
            url=noted.url,
            id=latest.id or kind.shared_id,
            params=params,
            not_before=None if before is None else before.started_at,
        )
        return Job(self._engine.jobs.resume(token.to_text(), self._engine.settings))

    async def _latest(self, service: str) -> Operation | None:
        """The latest operation in a slot."""
        answer = await self._send(GET_OPERATION_STATUS, ByService(service_name=service))
        if answer.operation_status is not None:
            return operation(answer.operation_status)
        return None
