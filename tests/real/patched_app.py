"""The real server with shorter deadlines, and with users that are slow or fail: an ASGI app for uvicorn.

It runs in the server's own environment. ``PATCHED_SECONDS`` is a JSON object of the server's deadlines and
intervals, in seconds (``ServerTimings``). Names script the rest:

* ``works2.5`` in a user id or a version: generation, grading or aggregation takes 2.5 seconds.
* ``fails`` in it: generation, grading or aggregation fails.
* ``waits2.5`` in a user id or a query: the publish or the search is delayed by 2.5 seconds.
* ``learns2.5`` in a user id: learning from a publish takes 2.5 seconds.

A model grades the sessions: one has failed if "that is wrong" is said in it.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import re
import sys
import time
from contextlib import suppress
from typing import Any

_SECONDS: dict[str, float] = json.loads(os.environ["PATCHED_SECONDS"])


def _use_sqlite_with_extensions() -> None:
    # Durable aggregation needs extensions, and Python's own SQLite may lack them.
    with suppress(ImportError):
        sys.modules["sqlite3"] = importlib.import_module("pysqlite3")
        sys.modules["sqlite3.dbapi2"] = importlib.import_module("pysqlite3.dbapi2")


def _server(name: str) -> Any:
    return importlib.import_module(f"reflexio.server.{name}")


def _take_time(kind: str, name: object) -> None:
    if found := re.search(rf"{kind}(\d+(\.\d+)?)", str(name)):
        time.sleep(float(found[1]))


def _work(name: object) -> None:
    _take_time("works", name)
    if "fails" in str(name):
        message = f"scripted failure of {name}"
        raise RuntimeError(message)


def _shorten() -> None:
    middleware, state = _server("middleware"), _server("services.operation_state_utils")
    # The age at which an operation is taken for dead.
    state.BATCH_STALE_PROGRESS_SECONDS = int(_SECONDS["stale"])
    # The deadline of most requests, and that of requests with ?wait_for_response=true.
    middleware.REQUEST_TIMEOUT_SECONDS = _SECONDS["request"]
    middleware.SYNC_REQUEST_TIMEOUT_SECONDS = _SECONDS["extended"]
    # The deadline of a publish, in its own route, which must come before that of the middleware.
    _server("routes.interactions").PUBLISH_REQUEST_TIMEOUT_SECONDS = _SECONDS["publish"]
    middleware.ROUTE_BACKSTOP_SECONDS["/api/publish_interaction"] = _SECONDS["publish"] * 2
    # The deadline of a search.
    _set_defaults(_server("search_runtime").SearchRuntimeMiddleware, timeout=_SECONDS["search"])
    # The intervals at which durable aggregations are started and tried again.
    scheduler = _server("services.playbook.aggregation_scheduler")
    _set_defaults(scheduler.PlaybookAggregationScheduler, poll_interval_seconds=_SECONDS["scheduler"])
    _server("services.playbook.aggregation_operations").AGGREGATION_RETRY_BASE_SECONDS = _SECONDS["retry"]


def _set_defaults(owner: Any, **defaults: Any) -> None:
    """Give a class these default arguments."""
    original = owner.__init__

    @functools.wraps(original)
    def init(*args: Any, **kwargs: Any) -> None:
        original(*args, **defaults, **kwargs)

    owner.__init__ = init


def _delay() -> None:
    """Make requests and work wait or fail as the names script it."""

    def search(_: Any, payload: Any, **__: Any) -> None:
        _take_time("waits", payload.query)

    def publish(*, request: Any, **_: Any) -> None:
        _take_time("waits", request.user_id)

    def aggregate(self: Any, _: Any) -> None:
        _work(self.agent_version)

    def generate(self: Any, request: Any) -> None:
        if self._is_batch_mode:
            _work(request.user_id)

    def learn(_: Any, window: Any, *__: Any) -> None:
        _take_time("learns", window.user_id)

    def grade(self: Any) -> None:
        _work(self.service_config.user_id)

    library = importlib.import_module("reflexio.lib.reflexio_lib").Reflexio
    _before(library, "unified_search", search)
    _before(library, "search_user_profiles", search)
    _before(_server("api_endpoints.publisher_api"), "add_user_interaction", publish)
    _before(_server("services.playbook.components.aggregator").PlaybookAggregator, "run", aggregate)
    _before(_server("services.base_generation_service").BaseGenerationService, "run", generate)
    _before(_server("services.durable_learning.window_executor").WindowExecutor, "execute", learn)
    evaluation = _server("services.agent_success_evaluation.components.evaluator")
    _before(evaluation.AgentSuccessEvaluator, "run", grade)


def _before(owner: Any, name: str, do: Any) -> None:
    """Call ``do`` with the arguments of ``owner.name`` before that is called."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def delayed(*args: Any, **kwargs: Any) -> Any:
        do(*args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, name, delayed)


def _answer_as_a_model() -> None:
    """Grade sessions. A model of a provider is asked in a forked process, this one is not."""
    litellm: Any = importlib.import_module("litellm")
    original = litellm.completion

    def completion(**params: Any) -> Any:
        complaints = str(params["messages"]).count("that is wrong")
        failure = {"failure_type": "wrong_answer", "failure_reason": "The user complained."}
        grade = {
            "is_success": not complaints,
            **(failure if complaints else {}),
            "number_of_correction_per_session": complaints,
        }
        return original(**params, mock_response=json.dumps(grade))

    litellm.completion = completion


_use_sqlite_with_extensions()
app = _server("api").app
_shorten()
_delay()
_answer_as_a_model()
