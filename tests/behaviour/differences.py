"""Where the sandbox differs from the real server on purpose.

Each is checked on both servers where a request can show it; all are printed at the end of the suite.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Expected(NamedTuple):
    """A status, and part of the body (or of its text)."""

    status: int
    part: Mapping[str, Any] | str = ""


@dataclass(frozen=True)
class Difference:
    """A request, what either server answers, and why that is kept."""

    about: str
    reason: str
    method: str
    path: str
    real: Expected
    sandbox: Expected
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])


_OPERATIONS = "/api/playbook_aggregation_operations"
_UNAVAILABLE = Expected(503, {"detail": "Durable aggregation is unavailable on this storage"})

CHECKED: Final = (
    Difference(
        "durable aggregation is offered",
        "the offline server's SQLite lacks sqlite-vec; users' servers have it",
        "POST",
        _OPERATIONS,
        _UNAVAILABLE,
        Expected(202, {"status": "queued", "attempts": 0, "error": None}),
        {"request_id": "difference", "agent_version": "v"},
    ),
    Difference(
        "an unknown durable aggregation is 404",
        "the offline server's SQLite lacks sqlite-vec; users' servers have it",
        "GET",
        f"{_OPERATIONS}/nope",
        _UNAVAILABLE,
        Expected(404, {"detail": "Aggregation operation not found"}),
    ),
    Difference(
        "reranking is offered, by words in common",
        "the offline server has no model to rerank with",
        "POST",
        "/api/rerank_user_profiles",
        Expected(503, {"detail": "Reranking is currently unavailable"}),
        Expected(200, {"success": True, "msg": "Reranked 0 profile(s); dropped 1 unknown id(s)"}),
        {"user_id": "u", "query": "q", "profile_ids": ["nope"]},
    ),
    Difference(
        "Braintrust is there: one workspace, one project, no scores",
        "the offline server cannot reach it",
        "POST",
        "/api/braintrust/connect",
        Expected(200, {"success": False, "workspaces": []}),
        Expected(200, {"success": True}),
        {"api_key": "k"},
    ),
    Difference(
        "there is no documentation page",
        "the contract is in the repository",
        "GET",
        "/openapi.json",
        Expected(200, "openapi"),
        Expected(404, {"detail": "Not Found"}),
    ),
)

UNCHECKED: Final = (
    ("a session has failed when its user complained", "a real one asks a language model"),
    ("grading always answers", "a real one may take minutes: the process that asks the model hangs"),
    ("a review accepts playbooks whose evidence is there", "the offline server skips them all"),
    ("texts of learnt playbooks lack the extraction prompt", "the prompt is the server's business"),
    ("default prompts of the configuration are shorter", "they are the server's business"),
    ("search ranks by BM25 over the candidates with a simple stemmer", "close to FTS5, a page of code"),
    ("AND, OR and NOT in a query are ignored", "searches are mostly plain words"),
    ("an experiment counts an agent's words, not tokens", "the sandbox has no tokenizer"),
    ("the keys of JSON objects are in another order", "order means nothing in JSON"),
    ("tracebacks in messages are shorter", "the sandbox has no such stack"),
    ("the current playbooks of a version make one cluster, whatever they say", "likeness needs embeddings"),
    ("a running aggregation is busy for its own length of time alone", "no background learning competes"),
    ("the sandbox does not freeze under load and loses no publish", "faults are scripted, not suffered"),
    (
        "a user who was worked on when the server died can be worked on at once",
        "the lease of 300 s is between the server's workers",
    ),
    ("retrieved learnings and shadows are never judged", "the offline server cannot either"),
    ("answers lack nosniff, frame and referrer policies, and mostly Vary", "browsers alone heed them"),
    ("a session that falls silent is not learnt from in the end", "virtual time would rush to that hour"),
    ("caches do not exist, so none is ever invalidated", "the server's cache is invisible but for that"),
)
"""What no single request shows, and why it is kept."""

SANDBOX_ONLY: Final = (
    "January's routes, shapes and dialects: no such server is at hand",
    "uncorrelated operations: likewise",
    "a grade on demand is kept for a day; experiments' results",
    "pending tool calls in every state, and their signatures",
    "a stall, its acknowledgement, and that nothing is learnt meanwhile",
    "an aggregation past 600 s: 504",
    "the times between a durable aggregation's attempts: 60 s, doubled each time",
    "a regeneration is forgotten an hour after its end",
)
"""Facts that are checked on the sandbox alone."""

READ_ONLY: Final = (
    "without a key, a caller at another machine is 401, whatever Host it names: tests have one machine",
    "a status poll between a claim and its first write is refused: both are one step in the sandbox",
    "configurations written at the same time may conflict (409): there is one storage, and it does not",
    "past 20 searches at once of /api/search: 503; the 429 at eight comes first",
    "the 300 s of the middleware behind the 240 s of a publish: the route's own deadline comes first",
    "an aggregation without a configuration that allows it fails for good: the real server's is cached",
)
"""Facts that were read in the server's source, and that neither server was made to show."""
