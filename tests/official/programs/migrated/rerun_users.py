"""An operator's script: imports transcripts, learns each user's profiles anew, and promotes them."""

import asyncio
import sys

from reflexio_async import ReflexioClient, Status

TRANSCRIPTS = {"ana": ["I like sushi"], "bob": ["I like rice", "I like soup"]}


async def load(client, user_id, lines):
    for line in lines:
        turns = [{"role": "User", "content": line}]
        await client.publish_interaction(user_id, turns, "import", session_id=user_id, wait_for_response=True)


async def rerun(client, user_id):
    response = await client.rerun_profile_generation(user_id=user_id, wait_for_response=True)
    print(user_id, "rerun:", response.success, response.profiles_generated)
    pending = await client.get_profiles(user_id=user_id, status_filter=[Status.PENDING], force_refresh=True)
    print(user_id, "pending:", sorted(profile.content for profile in pending.user_profiles))


async def main(url):
    client = ReflexioClient("", url)
    about = await client.whoami()
    print("signed in:", about.success)
    config = await client.get_config()
    changed = await client.update_config({"stride_size": config.stride_size})
    print("configured:", changed["success"])

    for user_id, lines in TRANSCRIPTS.items():
        await load(client, user_id, lines)
    for user_id in TRANSCRIPTS:
        await rerun(client, user_id)
    promoted = await client.upgrade_profiles()
    print("promoted:", promoted.success, promoted.profiles_promoted)

    for user_id in TRANSCRIPTS:
        current = await client.get_profiles({"user_id": user_id}, force_refresh=True)
        print(user_id, "has", len(current.user_profiles))
        stats = await client.storage_stats(user_id)
        print(user_id, "stores", stats.profile_count)
    everyone = await client.get_all_profiles(limit=50, status_filter="current")
    print(len(everyone.user_profiles), "in all")
    deleted = await client.delete_profile("bob", search_query="soup", wait_for_response=True)
    print("deleted:", deleted.success)
    gone = await client.delete_all_profiles()
    print("cleaned up:", gone.success)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
