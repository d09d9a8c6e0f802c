"""An operator's script: imports transcripts, learns each user's profiles anew, and promotes them."""

import sys

from reflexio import ReflexioClient, Status

TRANSCRIPTS = {"ana": ["I like sushi"], "bob": ["I like rice", "I like soup"]}


def load(client, user_id, lines):
    for line in lines:
        turns = [{"role": "User", "content": line}]
        client.publish_interaction(user_id, turns, "import", session_id=user_id, wait_for_response=True)


def rerun(client, user_id):
    response = client.rerun_profile_generation(user_id=user_id, wait_for_response=True)
    print(user_id, "rerun:", response.success, response.profiles_generated)
    pending = client.get_profiles(user_id=user_id, status_filter=[Status.PENDING], force_refresh=True)
    print(user_id, "pending:", sorted(profile.content for profile in pending.user_profiles))


def main(url):
    client = ReflexioClient("", url)
    about = client.whoami()
    print("signed in:", about.success)
    config = client.get_config()
    changed = client.update_config({"stride_size": config.stride_size})
    print("configured:", changed["success"])

    for user_id, lines in TRANSCRIPTS.items():
        load(client, user_id, lines)
    for user_id in TRANSCRIPTS:
        rerun(client, user_id)
    promoted = client.upgrade_profiles()
    print("promoted:", promoted.success, promoted.profiles_promoted)

    for user_id in TRANSCRIPTS:
        current = client.get_profiles({"user_id": user_id}, force_refresh=True)
        print(user_id, "has", len(current.user_profiles))
        stats = client.storage_stats(user_id)
        print(user_id, "stores", stats.profile_count)
    everyone = client.get_all_profiles(limit=50, status_filter="current")
    print(len(everyone.user_profiles), "in all")
    deleted = client.delete_profile("bob", search_query="soup", wait_for_response=True)
    print("deleted:", deleted.success)
    gone = client.delete_all_profiles()
    print("cleaned up:", gone.success)


if __name__ == "__main__":
    main(sys.argv[1])
