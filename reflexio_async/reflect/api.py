"""The calls of a Reflect server, each one HTTP exchange or two."""

from collections import deque
from collections.abc import Mapping
from typing import Any, TypeVar

from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.engine import API
from reflexio_async._engine.models import Empty, ListOf, build_request
from reflexio_async._engine.wire import Endpoint
from reflexio_async.errors import NotFound
from reflexio_async.reflect.jobs import GET_TRACE, PROJECT, TraceJob, TraceKinds, job_id_of
from reflexio_async.reflect.learning_report import MAX_TASK, LearningReport, SeenQuery, read_learning_report
from reflexio_async.reflect.models.common import InProject, NoFields
from reflexio_async.reflect.models.memories import AugmentedTask, Memory, MemoryQuery
from reflexio_async.reflect.models.projects import (
    ApiKeyCreate,
    ApiKeyInfo,
    ByKey,
    CreatedApiKey,
    DeleteProjectResponse,
    Skill,
    SkillCreate,
)
from reflexio_async.reflect.models.traces import (
    AuthoredMemory,
    ByTrace,
    DeleteTraces,
    DeleteTracesResponse,
    IngestStatus,
    ListTraces,
    ReviewCreate,
    Trace,
    TraceCreate,
    TraceCreateAndWait,
    TraceSubmission,
)
from reflexio_async.reflect.prompt import augment

R = TypeVar("R", bound=InProject)

HEALTH = Endpoint("GET", "/health", dict[str, str], public=True)
QUERY_MEMORIES = Endpoint(
    "POST", PROJECT + "/memory/query", list[Memory], repeatable=True, memory="search_memory"
).or_none()
CREATE_TRACE = Endpoint("POST", PROJECT + "/traces", TraceSubmission, memory="upsert_memory")
LIST_TRACES = Endpoint("GET", PROJECT + "/traces", list[Trace])
REVIEW_TRACE = Endpoint("POST", PROJECT + "/traces/{trace_id}/review", Trace, memory="upsert_memory")
DELETE_TRACES = Endpoint(
    "POST", PROJECT + "/traces/delete", DeleteTracesResponse, repeatable=True, writes=True
)
GET_SKILL = Endpoint("GET", PROJECT + "/skill", Skill)
CREATE_SKILL = Endpoint("POST", PROJECT + "/skill/create", Skill)
LIST_API_KEYS = Endpoint("GET", PROJECT + "/api-keys", list[ApiKeyInfo])
CREATE_API_KEY = Endpoint("POST", PROJECT + "/api-keys", CreatedApiKey)
REVOKE_API_KEY = Endpoint(
    "POST", PROJECT + "/api-keys/{key_id}/revoke", ApiKeyInfo, repeatable=True, writes=True
)
DELETE_PROJECT = Endpoint("DELETE", PROJECT, DeleteProjectResponse, memory="delete_memory_store")


class ReflectAPI(API):
    """Traces, memories, skills and API keys of one project."""

    _project_id: str
    _kinds: TraceKinds
    _seen_queries: deque[SeenQuery]

    async def health(self) -> dict[str, str]:
        """Return the health of the server. This call needs no key."""
        return await self._send(HEALTH, Empty())

    async def query_memories(
        self,
        task: str,
        *,
        limit: int = 10,
        lambda_: float = 0.5,
        metadata_filter: Mapping[str, Any] | None = None,
        similarity_threshold: float | None = None,
        mmr_lambda: float = 0.7,
    ) -> list[Memory]:
        """Find the memories that may help with ``task``, best first.

        Args:
            task: What the agent is about to do.
            limit: The maximum number of memories.
            lambda_: 1 ranks by similarity alone, 0 by q-value alone (how useful a memory has been).
            metadata_filter: Only memories whose metadata has all these entries. Where it has a list, one of
                the list's values must be the wanted one.
            similarity_threshold: The minimum similarity. None: the server's default.
            mmr_lambda: 1 allows near-duplicates, 0 prefers memories that differ.
        """
        request = MemoryQuery(
            task=task,
            limit=limit,
            lambda_=lambda_,
            metadata_filter=metadata_filter,
            similarity_threshold=similarity_threshold,
            mmr_lambda=mmr_lambda,
        )
        return await self._query(request)

    query_memories_async = query_memories
    """The same call as ``query_memories``: the official client has both names."""

    async def augment_with_memories(
        self,
        task: str,
        *,
        limit: int = 10,
        lambda_: float = 0.5,
        metadata_filter: Mapping[str, Any] | None = None,
        similarity_threshold: float | None = None,
        mmr_lambda: float = 0.7,
    ) -> AugmentedTask:
        """Find memories as ``query_memories`` does, and write them into a prompt below ``task``.

        The arguments are those of ``query_memories``. If no memory is found, the prompt is the task.
        """
        fields = {
            "task": task,
            "limit": limit,
            "lambda_": lambda_,
            "metadata_filter": metadata_filter,
            "similarity_threshold": similarity_threshold,
            "mmr_lambda": mmr_lambda,
        }
        memories = await self._query(build_request(MemoryQuery, fields, "augment_with_memories"))
        return AugmentedTask(augment(task, memories), memories)

    augment_with_memories_async = augment_with_memories
    """The same call as ``augment_with_memories``: the official client has both names."""

    @takes(TraceCreate)
    async def create_trace(self, request: TraceCreate) -> TraceJob:
        """Send one run of an agent, and return its TraceJob. The server stores the trace afterwards.

        With ``review_result``, the server then reviews the run and makes a memory of it. Awaiting the job
        waits for that, or without a review until the trace is stored.
        """
        return await self._submit_trace(request)

    create_trace_async = create_trace
    """The same call as ``create_trace``: the official client has both names."""

    @takes(TraceCreateAndWait)
    async def create_trace_and_wait(self, request: TraceCreateAndWait) -> Trace:
        """Send one run of an agent as ``create_trace`` does, wait for its job, and return the Trace.

        Raises:
            JobFailed: The server could not store the trace. The message has its reason.
            JobTimeout: The wait ended before the job. ``client.job(error.token)`` returns the job.
            APITimeout: The server did not take the trace in time.
        """
        job = await self._submit_trace(request, settings=self._settings_within(request))
        return await job.result_within(request.wait_timeout, poll_interval=request.poll_interval)

    create_trace_and_wait_async = create_trace_and_wait
    """The same call as ``create_trace_and_wait``: the official client has both names."""

    @takes(AuthoredMemory)
    async def create_memory(self, request: AuthoredMemory) -> TraceJob:
        """Store a lesson that the caller has written, and return its TraceJob.

        The ``created_memory_id`` of the job's Trace names the new memory.
        """
        return await self._submit_trace(request.as_trace())

    create_memory_async = create_memory
    """The same call as ``create_memory``: the official client has both names."""

    @takes(ListTraces)
    async def list_traces(self, request: ListTraces) -> list[Trace]:
        """Return the traces of the project: all, or those with ``review_status`` pending or reviewed."""
        return await self._send(LIST_TRACES, self._in_project(request))

    async def get_trace(self, trace_id: str) -> Trace:
        """Return one trace of the project.

        Raises:
            NotFound: There is no such trace, or it is not stored yet.
        """
        return await self._send(GET_TRACE, self._in_project(ByTrace(trace_id=trace_id)))

    get_trace_async = get_trace
    """The same call as ``get_trace``: the official client has both names."""

    async def review_trace(
        self, trace_id: str, *, result: str, feedback_text: str | None = None, alpha: float | None = None
    ) -> Trace:
        """Review a trace that was sent without a review. ``wait_for_trace`` waits for its memory.

        Args:
            trace_id: The trace.
            result: ``pass`` (or ``success``), or ``fail`` (or ``failure``).
            feedback_text: What went wrong.
            alpha: How far the review moves the q-values of the used memories, 0 to 1. None: the server's
                default.
        """
        request = ReviewCreate(trace_id=trace_id, result=result, feedback_text=feedback_text, alpha=alpha)
        return await self._send(REVIEW_TRACE, self._in_project(request))

    async def learning_report(self) -> LearningReport:
        """Say what the project learns, and what to change: ``print(await client.learning_report())``.

        It names the traces without a review, the memories whose q-value never moved, and the queries that
        found nothing. Of queries it knows those of this client and its views only, the last 1,000. The call
        reads all traces of the project in one response: with very many, ``max_response_bytes`` may be too
        small for it.
        """
        return await read_learning_report(self, self._project_id, self._seen_queries)

    async def delete_traces(self, trace_ids: ListOf[str]) -> DeleteTracesResponse:
        """Delete traces by their ids."""
        return await self._send(DELETE_TRACES, self._in_project(DeleteTraces(trace_ids=trace_ids)))

    async def get_skill(self) -> Skill | None:
        """Return what was learned from the runs of the project, as one text. None while there is none."""
        try:
            return await self._send(GET_SKILL, self._in_project(NoFields()))
        except NotFound:
            return None

    get_skill_async = get_skill
    """The same call as ``get_skill``: the official client has both names."""

    @takes(SkillCreate)
    async def create_skill(self, request: SkillCreate) -> Skill:
        """Make the skill of the project again, from a number of passed and failed traces."""
        return await self._send(CREATE_SKILL, self._in_project(request))

    async def list_api_keys(self) -> list[ApiKeyInfo]:
        """Return the API keys of the project, without their secrets."""
        return await self._send(LIST_API_KEYS, self._in_project(NoFields()))

    @takes(ApiKeyCreate)
    async def create_api_key(self, request: ApiKeyCreate) -> CreatedApiKey:
        """Make an API key. No later response will hold its secret."""
        return await self._send(CREATE_API_KEY, self._in_project(request))

    async def revoke_api_key(self, key_id: str) -> ApiKeyInfo:
        """Revoke an API key: the server refuses it from now on."""
        return await self._send(REVOKE_API_KEY, self._in_project(ByKey(key_id=key_id)))

    async def delete_project(self) -> DeleteProjectResponse:
        """Delete the project of this client and everything in it."""
        return await self._send(DELETE_PROJECT, self._in_project(NoFields()))

    async def _query(self, request: MemoryQuery, **options: Any) -> list[Memory]:
        """Return the memories that ``request`` finds. ``options``: those of ``_send``."""
        request = self._in_project(request)
        # The response is null when the server finds none.
        memories = await self._send(QUERY_MEMORIES, request, **options) or []
        seen = SeenQuery(
            project_id=request.project_id or "",
            task=request.task[:MAX_TASK],
            limit=request.limit,
            lambda_=request.lambda_,
            similarity_threshold=request.similarity_threshold,
            filtered=bool(request.metadata_filter),
            found=len(memories),
        )
        self._seen_queries.append(seen)
        return memories

    async def _submit_trace(self, request: TraceCreate, **options: Any) -> TraceJob:
        """Send a trace and return its job. ``options``: those of ``_send``."""
        request = self._in_project(request)
        began = self._engine.caller.clock.now()
        submission = await self._send(CREATE_TRACE, request, **options)
        reviewed = request.review is not None
        ingest = submission.ingest_status
        return self._trace_job(
            submission.trace_id, request.project_id, reviewed=reviewed, ingest=ingest, began=began
        )

    def _trace_job(
        self,
        trace_id: str,
        project_id: str | None = None,
        *,
        reviewed: bool,
        ingest: str = IngestStatus.QUEUED,
        began: float | None = None,
    ) -> TraceJob:
        """The job of a trace that was sent before. This sends nothing."""
        engine = self._engine
        kind = self._kinds.reviewed if reviewed else self._kinds.stored
        job_id = job_id_of(project_id or self._project_id, trace_id)
        record = engine.jobs.follow(kind, job_id, engine.settings)
        if began is not None:
            record.created_at = began
        return TraceJob(record, ingest)

    def _in_project(self, request: R) -> R:
        """Return ``request`` with the project of this client, unless it names a project."""
        if request.project_id is not None:
            return request
        return request.model_copy(update={"project_id": self._project_id})
