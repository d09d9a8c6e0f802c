"""What the checkers know of every kind of call: never run, but read by mypy and pyright in CI.

Lines that must be errors carry an ignore, and both checkers report an ignore that is not needed: so a
line that stopped being an error fails the run.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, assert_type

from anyio import create_task_group
from starlette.background import BackgroundTask, BackgroundTasks

from reflexio_async import (
    AsyncReflexioClient,
    BackgroundCall,
    BatchReport,
    DrainSummary,
    Job,
    JobState,
    JobStatus,
    RetryPolicy,
    Status,
    as_completed,
    gather_jobs,
)
from reflexio_async._engine.endpoints.takes import takes
from reflexio_async.legacy import Config as JanuaryConfig
from reflexio_async.legacy import GetFeedbacksResponse, GetRequestsResponse, GetUserProfilesResponse
from reflexio_async.legacy import PublishUserInteractionResponse as JanuaryPublishResponse
from reflexio_async.reflexio.api.session_scoped import SessionScopedClient
from reflexio_async.reflexio.models.enums import LearningStatus
from reflexio_async.reflexio.models.identity import LoginResponse, WhoamiResponse
from reflexio_async.reflexio.models.interactions import (
    ByRequest,
    GetRequestsViewResponse,
    InteractionData,
    LearningStatusResponse,
    PublishUserInteractionRequest,
    PublishUserInteractionResponse,
)
from reflexio_async.reflexio.models.operations import (
    BulkDeleteResponse,
    CancelOperationResponse,
    GetOperationStatusResponse,
    ManualPlaybookGenerationResponse,
    ManualProfileGenerationResponse,
    RerunPlaybookGenerationResponse,
    RerunProfileGenerationRequest,
    RerunProfileGenerationResponse,
)
from reflexio_async.reflexio.models.playbooks import (
    GetUserPlaybooksViewResponse,
    UpgradeUserPlaybooksResponse,
)
from reflexio_async.reflexio.models.profiles import (
    DeleteUserProfileResponse,
    GetProfilesViewResponse,
    GetUserProfilesRequest,
    SearchProfilesViewResponse,
    SearchUserProfileRequest,
    UpgradeProfilesResponse,
)
from reflexio_async.reflexio.models.sessions import DeleteSessionResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping


async def plain_calls(c: AsyncReflexioClient) -> None:
    assert_type(await c.whoami(), WhoamiResponse)
    assert_type(await c.health(), dict[str, str])
    assert_type(
        await c.get_profiles(user_id="u", top_k=None, status_filter=[None, Status.PENDING]),
        GetProfilesViewResponse,
    )
    assert_type(
        await c.get_profiles(user_id="u", start_time=datetime(2025, 1, 1, tzinfo=UTC)),
        GetProfilesViewResponse,
    )
    assert_type(await c.get_user_playbooks(agent_version="v1", limit=5), GetUserPlaybooksViewResponse)
    assert_type(await c.get_requests(offset=10), GetRequestsViewResponse)
    assert_type(await c.get_operation_status(), GetOperationStatusResponse)
    assert_type(await c.cancel_operation(service_name="profile_generation"), CancelOperationResponse)
    assert_type(await c.upgrade_profiles(), UpgradeProfilesResponse)
    assert_type(await c.upgrade_user_playbooks(archive_current=False), UpgradeUserPlaybooksResponse)

    await c.get_profiles()  # type: ignore[call-overload]
    await c.get_profiles(user_id=3)  # type: ignore[call-overload]
    await c.get_profiles(user_id="u", usr="v")  # type: ignore[call-overload]
    await c.get_profiles("u")  # type: ignore[call-overload]
    await c.whoami(user_id="u")  # type: ignore[call-arg]
    _: int = await c.get_profiles(user_id="u")  # type: ignore[assignment]


async def one_request(c: AsyncReflexioClient, given: Mapping[str, Any]) -> None:
    assert_type(await c.get_profiles({"user_id": "u"}), GetProfilesViewResponse)
    assert_type(await c.get_profiles(request={"user_id": "u"}), GetProfilesViewResponse)
    assert_type(await c.get_profiles(given), GetProfilesViewResponse)
    assert_type(await c.get_profiles(GetUserProfilesRequest(user_id="u")), GetProfilesViewResponse)
    assert_type(await c.get_profiles(request=GetUserProfilesRequest(user_id="u")), GetProfilesViewResponse)

    assert_type(await c.get_profiles({"user_id": "u"}, True), GetProfilesViewResponse)
    assert_type(await c.get_profiles({"user_id": "u"}, force_refresh=True), GetProfilesViewResponse)
    assert_type(await c.get_profiles(user_id="u", force_refresh=True), GetProfilesViewResponse)
    assert_type(await c.search_profiles({"user_id": "u"}), SearchProfilesViewResponse)

    await c.get_profiles(ByRequest(request_id="r"))  # type: ignore[call-overload]
    await c.search_profiles({"user_id": "u"}, True)  # type: ignore[call-overload]
    await c.get_profiles({"user_id": "u"}, top_k=3)  # type: ignore[call-overload]


async def publishing(c: AsyncReflexioClient) -> None:
    messages = [{"role": "user", "content": "I like sushi"}]
    typed = [InteractionData(content="I like sushi")]
    assert_type(
        await c.publish_interaction(
            user_id="u", session_id="s", interactions=messages, wait_for_response=True
        ),
        PublishUserInteractionResponse,
    )
    assert_type(
        await c.publish_interaction(user_id="u", session_id="s", interactions=typed),
        PublishUserInteractionResponse,
    )
    assert_type(
        await c.publish_interaction("u", [*typed, *messages], "web", "agent-v1", "s", True),
        PublishUserInteractionResponse,
    )
    assert_type(await c.publish_interaction_async("u", typed, session_id="s"), PublishUserInteractionResponse)
    PublishUserInteractionRequest(user_id="u", session_id="s", interactions=messages)

    await c.publish_interaction(user_id="u", session_id="s", interactions=[3])  # type: ignore[list-item]
    await c.publish_interaction(user_id="u", session_id="s")  # type: ignore[call-arg]
    await c.publish_interaction("u", 3)  # type: ignore[arg-type]
    await c.publish_interaction({"user_id": "u", "interactions": messages})  # type: ignore[call-arg, arg-type]


async def positional_ids(c: AsyncReflexioClient) -> None:
    assert_type(await c.get_learning_status("r"), LearningStatus | str)
    assert_type(await c.get_learning_status(request_id="r"), LearningStatus | str)

    await c.get_learning_status()  # type: ignore[call-arg]
    await c.get_learning_status(3)  # type: ignore[arg-type]
    await c.get_learning_status({"request_id": "r"})  # type: ignore[arg-type]


async def jobs(c: AsyncReflexioClient) -> None:
    job = await c.rerun_profile_generation(user_id="u")
    assert_type(job, Job[RerunProfileGenerationResponse])
    assert_type(await job, RerunProfileGenerationResponse)
    assert_type(await job.result(poll_interval=0.5, wait_timeout=120), RerunProfileGenerationResponse)
    assert_type(job.id, str | None)
    assert_type(job.token, str | None)
    assert_type(job.status.state, JobState)
    assert_type(await job.refresh(), JobStatus)
    async for status in job.watch():
        assert_type(status, JobStatus)
    assert_type(await c.rerun_profile_generation(), Job[RerunProfileGenerationResponse])
    assert_type(await c.rerun_profile_generation({"user_id": "u"}), Job[RerunProfileGenerationResponse])
    assert_type(
        await c.rerun_profile_generation(RerunProfileGenerationRequest(user_id="u")),
        Job[RerunProfileGenerationResponse],
    )
    assert_type(  # with pydantic's mypy plugin at its defaults: the response
        await c.rerun_profile_generation(user_id="u", wait_for_response=False),
        Job[RerunProfileGenerationResponse],
    )
    assert_type(await c.rerun_playbook_generation(), Job[RerunPlaybookGenerationResponse])
    assert_type(c.learning("r"), Job[LearningStatusResponse])
    assert_type(c.job("token"), Job[Any])

    await c.rerun_profile_generation(user_id=3)  # type: ignore[call-overload]
    await c.rerun_profile_generation(user_id="u", poll_interval=1)  # type: ignore[call-overload]


async def waiting_inside_the_call(c: AsyncReflexioClient) -> None:
    assert_type(
        await c.rerun_profile_generation(
            user_id="u", wait_for_response=True, poll_interval=1, wait_timeout=60
        ),
        RerunProfileGenerationResponse,
    )
    assert_type(
        await c.rerun_profile_generation({"user_id": "u"}, wait_for_response=True),
        RerunProfileGenerationResponse,
    )
    assert_type(
        await c.rerun_profile_generation(request={"user_id": "u"}, wait_for_response=True, wait_timeout=5),
        RerunProfileGenerationResponse,
    )

    assert_type(await c.rerun_profile_generation({"user_id": "u"}, True), RerunProfileGenerationResponse)
    assert_type(
        await c.rerun_profile_generation({"user_id": "u"}, False), Job[RerunProfileGenerationResponse]
    )

    await c.rerun_profile_generation(nope=3, wait_for_response=True)  # type: ignore[call-overload]
    await c.rerun_profile_generation(wait_for_response="yes")  # type: ignore[call-overload]
    await c.rerun_profile_generation({"user_id": "u"}, poll_interval=1)  # type: ignore[call-overload]
    await c.rerun_profile_generation(wait_for_response=True, wait_timeout="1")  # type: ignore[call-overload]


async def slow_calls(c: AsyncReflexioClient) -> None:
    call = await c.manual_profile_generation(user_id="u")
    assert_type(call, BackgroundCall[ManualProfileGenerationResponse])
    assert_type(await call, ManualProfileGenerationResponse)
    assert_type(call.done(), bool)
    assert_type(await c.manual_playbook_generation(wait_for_response=True), ManualPlaybookGenerationResponse)
    assert_type(
        await c.manual_profile_generation({"user_id": "u"}, wait_for_response=True),
        ManualProfileGenerationResponse,
    )


async def deleting(c: AsyncReflexioClient) -> None:
    assert_type(await c.delete_profile("u", "p"), BackgroundCall[DeleteUserProfileResponse])
    assert_type(
        await c.delete_profile(user_id="u", search_query="q"), BackgroundCall[DeleteUserProfileResponse]
    )
    assert_type(await c.delete_profile("u", "p", wait_for_response=True), DeleteUserProfileResponse)
    assert_type(await (await c.delete_profile("u", "p")), DeleteUserProfileResponse)
    assert_type(await c.delete_session("s"), BackgroundCall[DeleteSessionResponse])
    assert_type(await c.delete_session("s", True), DeleteSessionResponse)
    assert_type(await c.delete_profiles_by_ids(["p"]), BulkDeleteResponse)

    await c.delete_profile()  # type: ignore[call-overload]
    await c.delete_profile("u", wait_for_response="yes")  # type: ignore[call-overload]
    await c.delete_profile("u", wait_for_response=True, poll_interval=1)  # type: ignore[call-overload]
    await c.delete_profiles_by_ids(3)  # type: ignore[arg-type]


async def sessions(c: AsyncReflexioClient) -> None:
    session = c.for_session("s")
    assert_type(session, SessionScopedClient)
    assert_type(await session.search_user_profiles(user_id="u"), SearchProfilesViewResponse)
    assert_type(await session.search_user_profiles({"user_id": "u"}), SearchProfilesViewResponse)
    assert_type(await session.publish_interaction("u", [{"content": "x"}]), PublishUserInteractionResponse)
    assert_type(await session.delete_session(), BackgroundCall[DeleteSessionResponse])
    assert_type(await session.delete_session(wait_for_response=True), DeleteSessionResponse)

    await session.search_user_profiles(query="q")  # type: ignore[call-overload]


async def legacy_calls(c: AsyncReflexioClient) -> None:
    assert_type(await c.legacy.get_requests(), GetRequestsResponse)
    assert_type(await c.legacy.rerun_profile_generation(user_id="u"), Job[RerunProfileGenerationResponse])
    assert_type(await c.legacy.get_feedbacks({"limit": 1}), GetFeedbacksResponse)
    assert_type(await c.legacy.publish_interaction("r", "u", [{"content": "x"}]), JanuaryPublishResponse)
    assert_type(await c.legacy.publish_interaction(user_id="u", interactions=[]), JanuaryPublishResponse)
    assert_type(await c.legacy.get_profiles(user_id="u"), GetUserProfilesResponse)
    assert_type(await c.legacy.delete_profile("u", "p"), BackgroundCall[DeleteUserProfileResponse])
    assert_type(await c.legacy.get_config(), JanuaryConfig)
    assert_type(await c.login("a@example.com", "password"), LoginResponse)

    await c.legacy.get_requests(nope=1)  # type: ignore[call-overload]
    await c.legacy.publish_interaction(request_id="r")  # type: ignore[call-overload]


async def passed_on(c: AsyncReflexioClient) -> None:
    """To frameworks, as functions."""
    BackgroundTask(c.publish_interaction, "u", [{"content": "x"}], session_id="s")
    BackgroundTasks().add_task(c.search_user_profiles, user_id="u")
    BackgroundTasks().add_task(c.rerun_profile_generation, user_id="u", wait_for_response=True)
    assert_type(c.search_user_profiles.__name__, str)
    async with create_task_group() as group:
        group.start_soon(c.get_learning_status, "r")
        group.start_soon(c.search_user_profiles, {"user_id": "u"})
    later = partial(c.search_user_profiles, user_id="u")
    assert_type(await later(), SearchProfilesViewResponse)
    function: Callable[..., Coroutine[Any, Any, SearchProfilesViewResponse]] = (
        AsyncReflexioClient.search_user_profiles
    )
    await function(c, user_id="u")
    assert_type(await AsyncReflexioClient.search_user_profiles(c, user_id="u"), SearchProfilesViewResponse)


async def many_jobs(
    one: Job[RerunProfileGenerationResponse], two: Job[RerunProfileGenerationResponse], *, flag: bool
) -> None:
    assert_type(await gather_jobs([one, two]), list[RerunProfileGenerationResponse])
    assert_type(
        await gather_jobs([one, two], return_exceptions=flag),
        list[RerunProfileGenerationResponse | BaseException],
    )
    async for job in as_completed([one, two]):
        assert_type(job, Job[RerunProfileGenerationResponse])


async def batches(c: AsyncReflexioClient) -> None:
    report = await c.rerun_profiles_many(["a", "b"])
    assert_type(report, BatchReport[str, RerunProfileGenerationResponse])
    async with c.rerun_profiles_many(str(number) for number in range(3)) as batch:
        async for outcome in batch:
            assert_type(outcome.key, str)
            assert_type(outcome.result, RerunProfileGenerationResponse | None)


class Mine(AsyncReflexioClient):
    @takes(SearchUserProfileRequest)
    async def search_user_profiles(self, request: SearchUserProfileRequest) -> SearchProfilesViewResponse:
        return await super().search_user_profiles(request)


async def clients(c: Mine) -> None:
    assert_type(c.with_options(timeout=3, poll_interval=None, retry=RetryPolicy(max_attempts=1)), Mine)
    assert_type(await c.with_options(timeout=3).whoami(), WhoamiResponse)
    assert_type(await c.aclose(), DrainSummary)
    async with Mine() as entered:
        assert_type(entered, Mine)

    c.with_options(timeout="3")  # type: ignore[arg-type]
    AsyncReflexioClient(tiemout=3)  # type: ignore[call-arg]
