"""A chat bot that remembers: it looks for what it knows before each answer, and publishes each exchange."""

import sys

from reflexio import InteractionData, ReflexioClient
from requests import HTTPError

SAID = ["I like sushi", "I like green tea", "I like to be asked about sushi"]


def context(session, user_id, query):
    found = session.search(query=query, user_id=user_id, top_k=3, search_mode="fts")
    return sorted(profile.content for profile in found.profiles)


def remember(session, user_id, asked, said):
    turns = [InteractionData(role="Assistant", content=asked), {"role": "User", "content": said, "mood": "good"}]
    receipt = session.publish_interaction(
        user_id, turns, source="chat", wait_for_response=True, force_extraction=True
    )
    print("published:", receipt.success, len(receipt.warnings), "warning")


def main(url):
    client = ReflexioClient(url_endpoint=url)
    session = client.for_session("morning")
    for said in SAID:
        known = context(session, "ana", "like")
        asked = f"You told me: {known}. What else?" if known else "What do you like?"
        print(f"{asked} -> {said}")
        remember(session, "ana", asked, said)

    profiles = client.get_profiles(user_id="ana", force_refresh=True)
    print(sorted(profile.content for profile in profiles.user_profiles))
    history = client.get_interactions(user_id="ana", top_k=10)
    print(len(history.interactions), "turns of", sorted({turn.role for turn in history.interactions}))
    requests = session.get_requests()
    print(len(requests.sessions), "session with", len(requests.sessions[0].requests), "requests")

    try:
        client.get_learning_status("unknown")
    except HTTPError:
        print("that request is not known")
    cleared = client.clear_user_data("ana")
    print("forgotten:", cleared.success)


if __name__ == "__main__":
    main(sys.argv[1])
