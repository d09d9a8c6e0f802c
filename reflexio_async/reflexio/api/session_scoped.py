"""``client.for_session(id)``: the calls that concern one session, with the session filled in."""

from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from reflexio_async._engine.drain_summary import DrainSummary
from reflexio_async._engine.endpoints.takes import takes
from reflexio_async._engine.models import ListOf, OrMapping, RequestModel
from reflexio_async._engine.outbox_call import OutboxCall
from reflexio_async._engine.tasks import BackgroundCall
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflexio.models.agent_playbooks import (
    GetAgentPlaybooksRequest,
    GetAgentPlaybooksViewResponse,
    SearchAgentPlaybookRequest,
    SearchAgentPlaybooksViewResponse,
)
from reflexio_async.reflexio.models.evaluation import (
    GetRetrievedLearningEvaluationResultsRequest,
    GetRetrievedLearningEvaluationResultsResponse,
    GradeOnDemandResponse,
    ScopedGradeOnDemandRequest,
)
from reflexio_async.reflexio.models.interactions import (
    DEFAULT_AGENT_VERSION,
    GetRequestsRequest,
    GetRequestsViewResponse,
    InteractionData,
    PublishUserInteractionResponse,
)
from reflexio_async.reflexio.models.playbooks import (
    SearchUserPlaybookRequest,
    SearchUserPlaybooksViewResponse,
)
from reflexio_async.reflexio.models.profiles import SearchProfilesViewResponse, SearchUserProfileRequest
from reflexio_async.reflexio.models.search import UnifiedSearchRequest, UnifiedSearchViewResponse
from reflexio_async.reflexio.models.sessions import (
    DeleteSessionResponse,
    FinalizeSessionResponse,
    GetSessionOutcomesRequest,
    GetSessionOutcomesResponse,
    ScopedSetSessionOutcomeRequest,
    SetSessionOutcomeResponse,
)

if TYPE_CHECKING:
    from types import TracebackType

    from reflexio_async.client import AsyncReflexioClient

R = TypeVar("R", bound=RequestModel)


class SessionScopedClient:
    """A client for one session. Calls that take a ``session_id`` have it filled in.

    All other calls and attributes are the client's. A ``session_id`` may be given, if it is this session's;
    another one raises InvalidRequest.
    """

    def __init__(self, client: "AsyncReflexioClient", session_id: str) -> None:
        self._client = client
        self._session_id = session_id

    @property
    def session_id(self) -> str:
        """The id of the session."""
        return self._session_id

    @property
    def client(self) -> "AsyncReflexioClient":
        """The client that sends the calls."""
        return self._client

    async def publish_interaction(
        self,
        user_id: str,
        interactions: ListOf[OrMapping[InteractionData]],
        source: str = "",
        agent_version: str = DEFAULT_AGENT_VERSION,
        session_id: str | None = None,
        wait_for_response: bool = False,
        skip_aggregation: bool = False,
        force_extraction: bool = False,
        evaluation_only: bool = False,
        override_learning_stall: bool = False,
        retrieval_experiment_id: str | None = None,
        retrieval_experiment_arm: Literal["treatment", "holdout"] | None = None,
        session_finished: bool = False,
        *,
        request_id: str | None = None,
    ) -> PublishUserInteractionResponse:
        """Store interactions of this session; see ``AsyncReflexioClient.publish_interaction``."""
        return await self._client.publish_interaction(
            user_id,
            interactions,
            source,
            agent_version,
            self._own("publish_interaction", session_id),
            wait_for_response,
            skip_aggregation,
            force_extraction,
            evaluation_only,
            override_learning_stall,
            retrieval_experiment_id,
            retrieval_experiment_arm,
            session_finished,
            request_id=request_id,
        )

    publish_interaction_async = publish_interaction
    """The same call as ``publish_interaction``: the official client has both names."""

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
        """Store interactions of this session in the background; see ``AsyncReflexioClient.publish_later``."""
        return await self._client.publish_later(
            user_id,
            interactions,
            source,
            agent_version,
            self._own("publish_later", session_id),
            skip_aggregation,
            force_extraction,
            evaluation_only,
            override_learning_stall,
            retrieval_experiment_id,
            retrieval_experiment_arm,
            session_finished,
            request_id=request_id,
        )

    async def finalize_session(self, user_id: str, session_id: str | None = None) -> FinalizeSessionResponse:
        """Say that this session is over."""
        return await self._client.finalize_session(user_id, self._own("finalize_session", session_id))

    finalize_session_async = finalize_session
    """The same call as ``finalize_session``: the official client has both names."""

    @takes(ScopedSetSessionOutcomeRequest)
    async def mark_session_outcome(
        self, request: ScopedSetSessionOutcomeRequest
    ) -> SetSessionOutcomeResponse:
        """Record how this session ended."""
        return await self._client.mark_session_outcome(self._scoped("mark_session_outcome", request))

    @takes(GetSessionOutcomesRequest)
    async def get_session_outcomes(self, request: GetSessionOutcomesRequest) -> GetSessionOutcomesResponse:
        """The outcomes that were recorded for this session."""
        given = request.session_ids
        if given is not None and list(given) != [self._session_id]:
            error = self._another("get_session_outcomes", "session_ids")
            raise error
        here = request.model_copy(update={"session_ids": [self._session_id]})
        return await self._client.get_session_outcomes(here)

    @takes(UnifiedSearchRequest)
    async def search(self, request: UnifiedSearchRequest) -> UnifiedSearchViewResponse:
        """Profiles and playbooks nearest in meaning to ``query``.

        The server leaves out what this session was given before.
        """
        return await self._client.search(self._scoped("search", request))

    search_async = search
    """The same call as ``search``: the official client has both names."""

    @takes(SearchUserProfileRequest)
    async def search_user_profiles(self, request: SearchUserProfileRequest) -> SearchProfilesViewResponse:
        """Profiles of one user, nearest in meaning to ``query``."""
        return await self._client.search_user_profiles(self._scoped("search_user_profiles", request))

    @takes(SearchUserProfileRequest)
    async def search_profiles(self, request: SearchUserProfileRequest) -> SearchProfilesViewResponse:
        """Deprecated: the old name of ``search_user_profiles``."""
        return await self._client.search_profiles(self._scoped("search_profiles", request))

    @takes(SearchUserPlaybookRequest)
    async def search_user_playbooks(
        self, request: SearchUserPlaybookRequest
    ) -> SearchUserPlaybooksViewResponse:
        """Lessons that were learned from single users, nearest in meaning to ``query``."""
        return await self._client.search_user_playbooks(self._scoped("search_user_playbooks", request))

    @takes(SearchAgentPlaybookRequest)
    async def search_agent_playbooks(
        self, request: SearchAgentPlaybookRequest
    ) -> SearchAgentPlaybooksViewResponse:
        """Lessons for the agent, nearest in meaning to ``query``."""
        return await self._client.search_agent_playbooks(self._scoped("search_agent_playbooks", request))

    @takes(GetAgentPlaybooksRequest, option="force_refresh")
    async def get_agent_playbooks(self, request: GetAgentPlaybooksRequest) -> GetAgentPlaybooksViewResponse:
        """Lessons for the agent."""
        return await self._client.get_agent_playbooks(self._scoped("get_agent_playbooks", request))

    @takes(GetRequestsRequest)
    async def get_requests(self, request: GetRequestsRequest) -> GetRequestsViewResponse:
        """The stored requests of this session, with their interactions."""
        return await self._client.get_requests(self._scoped("get_requests", request))

    @takes(GetRetrievedLearningEvaluationResultsRequest)
    async def get_retrieved_learning_evaluation_results(
        self, request: GetRetrievedLearningEvaluationResultsRequest
    ) -> GetRetrievedLearningEvaluationResultsResponse:
        """Judgements of whether the learnings helped that were retrieved in this session."""
        return await self._client.get_retrieved_learning_evaluation_results(
            self._scoped("get_retrieved_learning_evaluation_results", request)
        )

    @takes(ScopedGradeOnDemandRequest)
    async def grade_on_demand(self, request: ScopedGradeOnDemandRequest) -> GradeOnDemandResponse:
        """Judge this session now. When there is no judgement, ``skipped_reason`` says why."""
        return await self._client.grade_on_demand(self._scoped("grade_on_demand", request))

    @overload
    async def delete_session(
        self, session_id: str | None = None, wait_for_response: Literal[False] = False
    ) -> BackgroundCall[DeleteSessionResponse]: ...
    @overload
    async def delete_session(
        self, session_id: str | None = None, *, wait_for_response: Literal[True]
    ) -> DeleteSessionResponse: ...
    async def delete_session(
        self, session_id: str | None = None, wait_for_response: bool = False
    ) -> DeleteSessionResponse | BackgroundCall[DeleteSessionResponse]:
        """Delete this session with its requests and interactions.

        Returns a BackgroundCall, or with ``wait_for_response`` the response.
        """
        own = self._own("delete_session", session_id)
        delete: Any = self._client.delete_session  # no overload takes a bool
        result: DeleteSessionResponse | BackgroundCall[DeleteSessionResponse]
        result = await delete(own, wait_for_response)
        return result

    def _scoped(self, name: str, request: RequestModel) -> dict[str, Any]:
        """The fields of ``request`` with this session's id; InvalidRequest when it names another session."""
        fields = {field: getattr(request, field) for field in request.model_fields_set}
        return fields | {"session_id": self._own(name, fields.get("session_id"))}

    def _own(self, name: str, session_id: str | None) -> str:
        """This session's id; InvalidRequest when ``session_id`` is another one."""
        if session_id is None:
            return self._session_id
        if not isinstance(session_id, str) or session_id.strip() != self._session_id:
            raise self._another(name, "session_id")
        return self._session_id

    def _another(self, name: str, field: str) -> InvalidRequest:
        """The error of a call ``name`` that was given another session."""
        return InvalidRequest(f"{name}: {field}: this view is of session {self._session_id!r} alone")

    async def aclose(self, *, drain: bool = True) -> DrainSummary:  # noqa: ARG002  # as every client has it
        """Do nothing: only the client itself can be closed, and its views with it."""
        return DrainSummary()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._client, name)

    def __repr__(self) -> str:
        return f"<session {self._session_id!r} of {self._client!r}>"
