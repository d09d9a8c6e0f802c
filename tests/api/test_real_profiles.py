"""Profiles, on the real server and on the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reflexio_async import ServerError, Status
from tests.real.helpers import current, pending, publish

if TYPE_CHECKING:
    from reflexio_async import AsyncReflexioClient
    from reflexio_async.reflexio.models.profiles import ProfileView


async def stored(client: AsyncReflexioClient, user: str) -> list[ProfileView]:
    return (await client.get_profiles(user_id=user, force_refresh=True)).user_profiles


async def test_adding_fills_in_what_is_left_out(client: AsyncReflexioClient, name: str) -> None:
    added = await client.add_user_profile(
        [
            {"user_id": name, "content": "likes tea", "custom_features": {"a": 1}, "tags": ["drinks"]},
            {"user_id": name, "content": "likes cake", "profile_id": f"p-{name}", "source": "tests"},
        ]
    )
    assert added.added_count == 2
    by_content = {profile.content: profile for profile in await stored(client, name)}
    tea, cake = by_content["likes tea"], by_content["likes cake"]
    assert (tea.generated_from_request_id, tea.status, tea.tags) == ("cli-manual", None, ["drinks"])
    assert tea.profile_id
    assert tea.last_modified_timestamp > 1_700_000_000
    assert (cake.profile_id, cake.source) == (f"p-{name}", "tests")


async def test_updating_and_deleting(client: AsyncReflexioClient, name: str) -> None:
    ids = [f"{name}-{number}" for number in range(4)]
    await client.add_user_profile([{"user_id": name, "content": one, "profile_id": one} for one in ids])
    await client.update_user_profile(user_id=name, profile_id=ids[0], content="changed")
    assert "changed" in [profile.content for profile in await stored(client, name)]
    assert (await (await client.delete_profile(name, ids[0]))).success
    assert len(await stored(client, name)) == 3
    assert (await client.delete_profiles_by_ids([ids[1], "nope"])).success
    assert sorted(profile.profile_id for profile in await stored(client, name)) == ids[2:]
    assert (await client.delete_all_profiles()).success
    assert await stored(client, name) == []


async def test_searching(client: AsyncReflexioClient, name: str) -> None:
    await client.add_user_profile([{"user_id": name, "content": text} for text in ("likes tea", "is tall")])
    found = await client.search_user_profiles(user_id=name, query="tea")
    assert [profile.content for profile in found.user_profiles] == ["likes tea"]
    with pytest.warns(DeprecationWarning, match="use search_user_profiles"):
        by_the_old_name = await client.search_profiles(user_id=name, query="tea")
    assert by_the_old_name.user_profiles == found.user_profiles
    unified = await client.search(query="tea", user_id=name, entity_types=["profiles"], top_k=3)
    assert [profile.content for profile in unified.profiles] == ["likes tea"]
    assert (unified.degraded, unified.search_mode_effective) == (True, "fts")
    assert (await client.search_async(query="tea", user_id=name)).profiles == unified.profiles


@pytest.mark.real
async def test_reranking_is_off_offline(offline: AsyncReflexioClient, name: str) -> None:
    with pytest.raises(ServerError, match="Reranking is currently unavailable"):
        await offline.rerank_user_profiles(user_id=name, query="tea", profile_ids=["a"])


async def test_generating_promoting_and_restoring(client: AsyncReflexioClient, name: str) -> None:
    await client.delete_all_profiles()
    await publish(client, name)
    manual = await client.manual_profile_generation(user_id=name, wait_for_response=True)
    assert (manual.profiles_generated, await current(client, name)) == (1, 1)
    rerun = await client.rerun_profile_generation(user_id=name, wait_for_response=True)
    assert (rerun.profiles_generated, await pending(client, name)) == (1, 1)
    upgraded = await client.upgrade_profiles()
    assert (upgraded.profiles_promoted, upgraded.profiles_archived) == (1, 1)
    archived = await client.get_profiles(user_id=name, status_filter=[Status.ARCHIVED], force_refresh=True)
    assert len(archived.user_profiles) == 1
    downgraded = await client.downgrade_profiles()
    assert (downgraded.profiles_demoted, downgraded.profiles_restored) == (1, 1)
    assert await client.upgrade_user_playbooks() is not None


@pytest.mark.real
async def test_promoting_leaves_users_without_pending_profiles_alone(
    offline: AsyncReflexioClient, name: str
) -> None:
    await offline.delete_all_profiles()
    await offline.add_user_profile([{"user_id": f"{name}-bystander", "content": "likes tea"}])
    await publish(offline, name)
    await offline.rerun_profile_generation(user_id=name, wait_for_response=True)
    await offline.upgrade_profiles()
    assert len(await stored(offline, f"{name}-bystander")) == 1


async def test_reading_all_of_them(client: AsyncReflexioClient, name: str) -> None:
    await client.add_user_profile([{"user_id": name, "content": "likes tea"}])
    everybody = await client.get_all_profiles(limit=-1)
    assert [profile.content for profile in everybody.user_profiles if profile.user_id == name] == [
        "likes tea"
    ]
    assert len((await client.get_all_profiles(user_id=name, status_filter="current")).user_profiles) == 1
    assert (await client.get_all_profiles(user_id=name, status_filter="pending")).user_profiles == []


async def test_counting(client: AsyncReflexioClient, name: str) -> None:
    before = (await client.get_profile_statistics()).current_count
    await client.add_user_profile([{"user_id": name, "content": "likes tea"}])
    assert (await client.get_profile_statistics()).current_count == before + 1
    stats = await client.storage_stats(name)
    assert (stats.profile_count, stats.playbook_count) == (1, 0)
    assert stats.newest_profile_modified is not None
    assert stats.newest_profile_modified.tzinfo is not None


async def test_what_changed(client: AsyncReflexioClient, name: str) -> None:
    receipt = await publish(client, name, force_extraction=True)
    assert receipt.request_id is not None
    await client.learning(receipt.request_id).result(wait_timeout=60)
    log = (await client.get_profile_change_log()).profile_change_logs
    assert [len(entry.added_profiles) for entry in log if entry.user_id == name] in ([1], [])
    (profile,) = await stored(client, name)
    provenance = await client.with_options(raise_on_refusal=False).get_learning_provenance(
        kind="profile", id=profile.profile_id
    )
    assert (provenance.target_kind, provenance.target_id) == ("profile", profile.profile_id)
    assert [turn.content for turn in provenance.interactions] == ["I like sushi"]


async def test_the_status_filters(client: AsyncReflexioClient, name: str) -> None:
    await publish(client, name)
    await client.manual_profile_generation(user_id=name, wait_for_response=True)
    await client.rerun_profile_generation(user_id=name, wait_for_response=True)
    filters: list[dict[str, Any]] = [
        {},
        {"status_filter": [None]},
        {"status_filter": ["pending"]},
        {"status_filter": []},
    ]
    counts = [len((await client.get_profiles({"user_id": name, **one})).user_profiles) for one in filters]
    assert counts == [1, 1, 1, 2]
