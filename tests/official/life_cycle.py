"""What a user of the official client does, from the first publish to the last delete.

Run by the interpreter of ``REFLEXIO_CLIENT``, with a server's URL: prints one JSON line for each step, and no
id, time or duration, so that two servers that do the same print the same.
"""

from __future__ import annotations

import importlib
import itertools
import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_RERUN_PROFILES = "/api/rerun_profile_generation"
_STATUS = "/api/get_operation_status"
_PROMPT = re.compile(r" on Extract playbook rules .*?(?= by adjusting)")  # the sandbox leaves that out
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SECONDS = itertools.count(int(time.time()) - 86400)
_HIDDEN = re.compile(r"(_at|timestamp|_time|_id|_ids|^expiration.*|^storage_label|^url|^doc_id|^prompt.*)$")
_SHOWN = {"user_id", "session_id"}


def main(url: str) -> None:
    """The whole life cycle, in the order in which its parts depend on one another."""
    client = importlib.import_module("reflexio").ReflexioClient(url_endpoint=url)
    for part in (_acquaint, _configure, _publish, _read, _rerun, _generate, _cancel, _aggregate, _search):
        part(client)
    _delete(client)


def say(step: str, do: Callable[[], Any]) -> Any:
    """Do a step, print how it went, and return what came of it."""
    try:
        answer = do()
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is what the client's user gets
        response = getattr(error, "response", None)
        line = {"error": type(error).__name__, "status": getattr(response, "status_code", None)}
        print(json.dumps({"step": step, **line, "text": _plain(getattr(response, "text", ""))}))  # noqa: T201
        return None
    shown = answer.model_dump(mode="json", exclude_none=True) if hasattr(answer, "model_dump") else answer
    print(json.dumps({"step": step, "answer": _plain(shown)}, sort_keys=True))  # noqa: T201
    return answer


def _plain(value: object, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _plain(part, name) for name, part in cast("dict[str, Any]", value).items()}
    if key not in _SHOWN and _HIDDEN.search(key):
        return f"<{'list' if isinstance(value, list) else type(value).__name__}>"
    if isinstance(value, list):
        # Rows of one second come in any order.
        return sorted((_plain(row) for row in cast("Sequence[Any]", value)), key=json.dumps)
    return _PROMPT.sub("", _UUID.sub("<id>", value)) if isinstance(value, str) else value


def _interaction(text: str) -> dict[str, Any]:
    # Each in a second of its own: what is learnt depends on which came together in one.
    return {"role": "user", "content": text, "created_at": next(_SECONDS)}


def _ended(client: Any, service: str, **wanted: Any) -> Any:
    """The latest operation of a service, once it has ended and was asked for so."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = client._make_request("GET", _STATUS, params={"service_name": service})
        operation: Any = answer.get("operation_status") or {"status": "in_progress"}
        if operation["status"] != "in_progress" and wanted.items() <= operation["request_params"].items():
            return operation
        time.sleep(0.05)
    message = f"{service} did not end"
    raise TimeoutError(message)


def _acquaint(client: Any) -> None:
    say("whoami", client.whoami)
    say("credentials are not shown", client.get_my_config)


def _configure(client: Any) -> None:
    config = client.get_config()
    say(
        "the configuration",
        lambda: {"storage": config.storage_config.model_dump(), "window": config.batch_size},
    )
    say("all that this client knows of it", lambda: client.set_config(config))
    known: Any = {"storage_config": {}, "batch_size": 12, "batch_interval": 6}
    say("what today's servers know too", lambda: client._make_request("POST", "/api/set_config", json=known))
    for change in ({"window_size": 20}, {"window_size": 20}, {"window_size": None}):
        say(f"with {change}", lambda: client._make_request("POST", "/api/update_config", json=change))  # noqa: B023
        say("the window then", lambda: client._make_request("GET", "/api/get_config")["window_size"])


def _publish(client: Any) -> None:
    say("publish", lambda: client.publish_interaction("ana", [_interaction("I like sushi")], session_id="s1"))
    waiting = {"session_id": "s1", "wait_for_response": True}
    say(
        "publish and wait", lambda: client.publish_interaction("ana", [_interaction("I like tea")], **waiting)
    )
    learning = say(
        "publish and wait for the learning",
        lambda: client.publish_interaction(
            "bob", [_interaction("I like soup")], force_extraction=True, **waiting
        ),
    )
    say("without a session", lambda: client.publish_interaction("ana", [_interaction("no")]).success)
    known = {"request_id": getattr(learning, "request_id", None) or "nope"}
    say("learning status", lambda: client._make_request("GET", "/api/learning_status", params=known))
    unknown = {"request_id": "nope"}
    say("unknown to learning", lambda: client._make_request("GET", "/api/learning_status", params=unknown))
    say("what bob is like", lambda: client.get_profiles(user_id="bob", force_refresh=True))


def _read(client: Any) -> None:
    say("interactions", lambda: client.get_interactions(user_id="ana"))
    say("all interactions", lambda: client.get_all_interactions(limit=2))
    say("requests", lambda: client.get_requests(user_id="ana"))
    say("interactions about", lambda: client.search_interactions(user_id="ana", query="sushi"))
    say("no profile yet", lambda: client.get_profiles(user_id="ana", force_refresh=True))
    say("evaluations", lambda: client.get_agent_success_evaluation_results(limit=5))


def _rerun(client: Any) -> None:
    say("rerun of one user", lambda: client.rerun_profile_generation(user_id="ana", wait_for_response=True))
    pending = {"user_id": "ana", "status_filter": ["pending"], "force_refresh": True}
    say("what it found", lambda: client.get_profiles(**pending))
    say("rerun of all users", lambda: client.rerun_profile_generation({}, wait_for_response=True))
    unknown = {"user_id": "unknown", "wait_for_response": True}
    say("rerun of an unknown user", lambda: client.rerun_profile_generation(**unknown))
    say("rerun, not waited for", lambda: client.rerun_profile_generation(user_id="bob"))
    say("and its end", lambda: _ended(client, "profile_generation", user_id="bob"))
    version = {"agent_version": "agent-v0", "wait_for_response": True}
    say("rerun of playbooks", lambda: client.rerun_playbook_generation(**version))
    say("its playbooks", lambda: client.get_user_playbooks(agent_version="agent-v0"))
    say("rerun of no playbooks", lambda: client.rerun_playbook_generation(agent_version="nope"))
    say("and its end", lambda: _ended(client, "playbook_generation", agent_version="nope"))


def _generate(client: Any) -> None:
    manual = {"mode": "manual_regular"}
    say("profiles by hand", lambda: client.manual_profile_generation(user_id="ana"))
    say("and their end", lambda: _ended(client, "profile_generation", **manual))
    say("current ones", lambda: client.get_profiles(user_id="ana", force_refresh=True))
    say("playbooks by hand", lambda: client.manual_playbook_generation(agent_version="agent-v0"))
    say("and their end", lambda: _ended(client, "playbook_generation", **manual))
    own = {"user_id": "ana", "profile_id": "own", "content": "Prefers mornings"}
    say("a profile of one's own", lambda: client.add_user_profile([own]))
    playbook = {"agent_version": "agent-v0", "request_id": "r", "user_id": "ana", "content": "Greet first"}
    say("a playbook of one's own", lambda: client.add_user_playbook([playbook]))
    [added] = client.get_user_playbooks(agent_version="agent-v0", limit=1).user_playbooks
    change = {"content": "Greet politely"}
    say("changed", lambda: client.update_user_playbook(added.user_playbook_id, **change))
    say("every profile", lambda: client.get_all_profiles(limit=100))
    say("what changed", client.get_profile_change_log)


def _cancel(client: Any) -> None:
    say("nothing to cancel", lambda: client._make_request("POST", "/api/cancel_operation", json={}))
    for number in range(16):
        client.publish_interaction(
            f"many-{number}", [_interaction("I like rice")], source="many", session_id="m"
        )
    started = client._make_request("POST", _RERUN_PROFILES, json={"source": "many"})
    say("something to cancel", lambda: client._make_request("POST", "/api/cancel_operation", json={}))
    say("started", lambda: started)
    say("cancelled", lambda: _ended(client, "profile_generation", source="many")["status"])


def _aggregate(client: Any) -> None:
    aggregated = {"playbook_name": "playbook", "wait_for_response": True}
    say("too little", lambda: client.run_playbook_aggregation(agent_version="nope", **aggregated))
    say("aggregation", lambda: client.run_playbook_aggregation(agent_version="agent-v0", **aggregated))
    found = say(
        "an agent's playbooks",
        lambda: client.get_agent_playbooks(agent_version="agent-v0", force_refresh=True),
    )
    for playbook in found.agent_playbooks if found else ():
        key = playbook.agent_playbook_id
        approved = type(playbook.playbook_status)("approved")
        say("approved", lambda: client.update_agent_playbook_status(key, playbook_status=approved))  # noqa: B023
        say("reworded", lambda: client.update_agent_playbook(key, content="Greet politely"))  # noqa: B023
    own = {"agent_version": "agent-v0", "content": "Ask for the name", "playbook_metadata": ""}
    own["playbook_status"] = "approved"
    say("one of the agent's own", lambda: client.add_agent_playbooks([own]))


def _search(client: Any) -> None:
    say("search", lambda: client.search(query="mornings", user_id="ana", search_mode="fts"))
    say("profiles about", lambda: client.search_profiles(user_id="ana", query="mornings"))
    version = {"agent_version": "agent-v0"}
    say("user playbooks about", lambda: client.search_user_playbooks(query="greet", **version))
    say("agent playbooks about", lambda: client.search_agent_playbooks(query="name", **version))


def _delete(client: Any) -> None:
    turns = client.get_interactions(user_id="ana").interactions
    gone = {"wait_for_response": True}
    say("a profile", lambda: client.delete_profile("ana", profile_id="own", **gone))
    say("it is gone", lambda: client.delete_profile("ana", profile_id="own", **gone))
    say("an interaction", lambda: client.delete_interaction("ana", turns[0].interaction_id, **gone))
    say("a request", lambda: client.delete_request(turns[-1].request_id, **gone))
    say("an unknown request", lambda: client.delete_request("nope", **gone))
    say("a session", lambda: client.delete_session("m", **gone))
    say("what is left", lambda: client.get_all_interactions(limit=100))
    playbook = client.get_user_playbooks(agent_version="agent-v0", limit=1).user_playbooks[0].user_playbook_id
    say("a user playbook", lambda: client.delete_user_playbook(playbook, **gone))
    mine = [
        row.user_playbook_id for row in client.get_user_playbooks(agent_version="agent-v0").user_playbooks
    ]
    say("user playbooks", lambda: client.delete_user_playbooks_by_ids(mine[:1]))
    theirs = client.get_agent_playbooks(agent_version="agent-v0", force_refresh=True).agent_playbooks
    keys = [row.agent_playbook_id for row in theirs]
    say("an agent playbook", lambda: client.delete_agent_playbook(keys[0], **gone))
    say("agent playbooks", lambda: client.delete_agent_playbooks_by_ids([*keys[1:], 987654]))
    say("profiles", lambda: client.delete_profiles_by_ids(["nope"]))
    say("requests", lambda: client.delete_requests_by_ids(["nope"]))
    say("without waiting", lambda: client.delete_profile("bob"))
    for all_of in ("profiles", "user_playbooks", "agent_playbooks", "playbooks", "interactions"):
        say(f"all {all_of}", getattr(client, f"delete_all_{all_of}"))
    say("nothing is left", lambda: client.get_all_interactions(limit=100))
    say("no profile is left", lambda: client.get_all_profiles(limit=100))


if __name__ == "__main__":
    main(sys.argv[1])
