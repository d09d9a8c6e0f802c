"""What the checkers know of every kind of call: never run, but read by mypy and pyright in CI.

Lines that must be errors carry an ignore, and both checkers report an ignore that is not needed: so a
line that stopped being an error fails the run.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, assert_type

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
from reflexio_async.reflexio.models.enums import LearningStatus
from reflexio_async.reflexio.models.identity import WhoamiResponse
from reflexio_async.reflexio.models.interactions import (
    ByRequest,
    GetRequestsViewResponse,
    InteractionData,
    LearningStatusResponse,
    PublishUserInteractionRequest,
    PublishUserInteractionResponse,
)
from reflexio_async.reflexio.models.operations import (
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
    GetProfilesViewResponse,
    GetUserProfilesRequest,
    UpgradeProfilesResponse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    await c.whoami(user_id="u")  # type: ignore[call-overload]


async def one_request(c: AsyncReflexioClient, given: Mapping[str, Any]) -> None:
    assert_type(await c.get_profiles({"user_id": "u"}), GetProfilesViewResponse)
    assert_type(await c.get_profiles(request={"user_id": "u"}), GetProfilesViewResponse)
    assert_type(await c.get_profiles(given), GetProfilesViewResponse)
    assert_type(await c.get_profiles(GetUserProfilesRequest(user_id="u")), GetProfilesViewResponse)
    assert_type(await c.get_profiles(request=GetUserProfilesRequest(user_id="u")), GetProfilesViewResponse)

    await c.get_profiles(ByRequest(request_id="r"))  # type: ignore[call-overload]
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
    PublishUserInteractionRequest(user_id="u", session_id="s", interactions=messages)

    await c.publish_interaction(user_id="u", session_id="s", interactions=[3])  # type: ignore[list-item]
    await c.publish_interaction(user_id="u", interactions=messages)  # type: ignore[call-overload]


async def positional_ids(c: AsyncReflexioClient) -> None:
    assert_type(await c.get_learning_status("r"), LearningStatus | str)
    assert_type(await c.get_learning_status(request_id="r"), LearningStatus | str)

    await c.get_learning_status()  # type: ignore[call-overload]
    await c.get_learning_status(3)  # type: ignore[call-overload]


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
    assert_type(
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

    await c.rerun_profile_generation(nope=3, wait_for_response=True)  # type: ignore[call-overload]


async def slow_calls(c: AsyncReflexioClient) -> None:
    call = await c.manual_profile_generation(user_id="u")
    assert_type(call, BackgroundCall[ManualProfileGenerationResponse])
    assert_type(await call, ManualProfileGenerationResponse)
    assert_type(call.done(), bool)
    assert_type(await c.manual_playbook_generation(wait_for_response=True), ManualPlaybookGenerationResponse)


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
    pass


async def clients(c: Mine) -> None:
    assert_type(c.with_options(timeout=3, poll_interval=None, retry=RetryPolicy(max_attempts=1)), Mine)
    assert_type(await c.with_options(timeout=3).whoami(), WhoamiResponse)
    assert_type(await c.aclose(), DrainSummary)
    async with Mine() as entered:
        assert_type(entered, Mine)

    c.with_options(timeout="3")  # type: ignore[arg-type]
    AsyncReflexioClient(tiemout=3)  # type: ignore[call-arg]
