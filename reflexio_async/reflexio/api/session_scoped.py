"""One session of a client: ``client.for_session(id)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from reflexio_async._engine.routing.scoped import Scoped
from reflexio_async.errors import InvalidRequest
from reflexio_async.reflexio.api.agent_playbooks import AgentPlaybooksAPI
from reflexio_async.reflexio.api.evaluation import EvaluationAPI
from reflexio_async.reflexio.api.interactions import InteractionsAPI
from reflexio_async.reflexio.api.playbooks import PlaybooksAPI
from reflexio_async.reflexio.api.profiles import ProfilesAPI
from reflexio_async.reflexio.api.search import SearchAPI
from reflexio_async.reflexio.api.sessions import SessionsAPI
from reflexio_async.reflexio.models.agent_playbooks import (
    GetAgentPlaybooksRequest,
    SearchAgentPlaybookRequest,
)
from reflexio_async.reflexio.models.evaluation import GetRetrievedLearningEvaluationResultsRequest
from reflexio_async.reflexio.models.interactions import GetRequestsRequest
from reflexio_async.reflexio.models.playbooks import SearchUserPlaybookRequest
from reflexio_async.reflexio.models.profiles import SearchUserProfileRequest
from reflexio_async.reflexio.models.search import UnifiedSearchRequest
from reflexio_async.reflexio.models.session_scoped import (
    ScopedFinalize,
    ScopedGrade,
    ScopedOutcome,
    ScopedPublish,
    finalize,
)
from reflexio_async.reflexio.models.sessions import DeleteSessionRequest, GetSessionOutcomesRequest

if TYPE_CHECKING:
    from reflexio_async._engine.engine import HasEngine
    from reflexio_async._engine.tasks import BackgroundCall
    from reflexio_async.reflexio.models.sessions import DeleteSessionResponse


class SessionView:
    """The calls of a client that take a session, with the session filled in; the others are forwarded.

    A ``session_id`` may still be given, as long as it is this one.
    """

    def __init__(self, client: HasEngine, session_id: str) -> None:
        self._client = client
        self._session_id = session_id

    @property
    def session_id(self) -> str:
        """The session it is of."""
        return self._session_id

    @property
    def client(self) -> HasEngine:
        """The client it is a view of."""
        return self._client

    publish_interaction = Scoped(InteractionsAPI.publish_interaction, ScopedPublish)
    """Store turns of this session."""

    publish_interaction_async = publish_interaction.alias()
    """``publish_interaction``, by the official client's name."""

    finalize_session = Scoped(SessionsAPI.finalize_session, finalize, model=ScopedFinalize)
    """Say that this session is over."""

    finalize_session_async = finalize_session.alias()
    """``finalize_session``, by the official client's name."""

    mark_session_outcome = Scoped(SessionsAPI.mark_session_outcome, ScopedOutcome)
    """Record how this session ended."""

    get_session_outcomes = Scoped(SessionsAPI.get_session_outcomes, GetSessionOutcomesRequest, several=True)
    """Outcomes recorded of this session."""

    search = Scoped(SearchAPI.search, UnifiedSearchRequest)
    """Profiles and playbooks nearest in meaning to ``query``, without those given this session before."""

    search_async = search.alias()
    """``search``, by the official client's name."""

    search_user_profiles = Scoped(ProfilesAPI.search_user_profiles, SearchUserProfileRequest)
    """Profiles nearest in meaning to ``query``, without those given this session before."""

    search_profiles = search_user_profiles.alias()
    """``search_user_profiles``, by its old name."""

    search_user_playbooks = Scoped(PlaybooksAPI.search_user_playbooks, SearchUserPlaybookRequest)
    """Users' lessons nearest in meaning to ``query``, without those given this session before."""

    search_agent_playbooks = Scoped(AgentPlaybooksAPI.search_agent_playbooks, SearchAgentPlaybookRequest)
    """The agent's lessons nearest in meaning to ``query``, without those given this session before."""

    get_agent_playbooks = Scoped(AgentPlaybooksAPI.get_agent_playbooks, GetAgentPlaybooksRequest)
    """Lessons for the agent in this session."""

    get_requests = Scoped(InteractionsAPI.get_requests, GetRequestsRequest)
    """Stored requests of this session with their turns."""

    get_retrieved_learning_evaluation_results = Scoped(
        EvaluationAPI.get_retrieved_learning_evaluation_results, GetRetrievedLearningEvaluationResultsRequest
    )
    """Judgements of whether what this session retrieved helped."""

    grade_on_demand = Scoped(EvaluationAPI.grade_on_demand, ScopedGrade)
    """Judge this session now."""

    @overload
    async def delete_session(
        self, session_id: str | None = None, *, wait_for_response: Literal[False] = False
    ) -> BackgroundCall[DeleteSessionResponse]: ...
    @overload
    async def delete_session(
        self, session_id: str | None = None, *, wait_for_response: Literal[True]
    ) -> DeleteSessionResponse: ...
    async def delete_session(self, session_id: str | None = None, *, wait_for_response: bool = False) -> Any:
        """Delete this session with its requests and turns."""
        if session_id is not None and session_id.strip() != self._session_id:
            message = f"delete_session: session_id: this view is of session {self._session_id!r} alone"
            raise InvalidRequest(message)
        call = SessionsAPI.delete_session.__get__(self._client, type(self._client))
        request = DeleteSessionRequest(session_id=self._session_id, wait_for_response=wait_for_response)
        return await call(request)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._client, name)

    def __repr__(self) -> str:
        return f"<session {self._session_id!r} of {self._client!r}>"
