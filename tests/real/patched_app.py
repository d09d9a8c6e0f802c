"""The real server with less patience, and with users that take their time or fail: an ASGI app for uvicorn.

Runs in the server's own environment. ``PATCHED_SECONDS`` is a JSON object of the constants, in seconds;
what each of them shortens is said below. Names do the rest: the generation of a user, or the aggregation of a
version, whose name has ``works2.5`` in it takes so many seconds, and fails where it has ``fails`` in it; the
publish of a user, or the search for words, with ``waits2.5`` in it is held up for so long, as is with
``learns2.5`` what is learnt from a publish.
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


def _use_a_sqlite_with_extensions() -> None:
    # Durable aggregation needs one, and this Python's may have been built without.
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
    # After these an operation is taken for dead.
    state.BATCH_STALE_PROGRESS_SECONDS = int(_SECONDS["stale"])
    # After these most requests are answered 504, and after those the patient ones.
    middleware.REQUEST_TIMEOUT_SECONDS = _SECONDS["request"]
    middleware.SYNC_REQUEST_TIMEOUT_SECONDS = _SECONDS["patient"]
    # After these a publish is, by its own route, which must come before the middleware.
    _server("routes.interactions").PUBLISH_REQUEST_TIMEOUT_SECONDS = _SECONDS["publish"]
    middleware.ROUTE_BACKSTOP_SECONDS["/api/publish_interaction"] = _SECONDS["publish"] * 2
    # After these a search is.
    _default(_server("search_runtime").SearchRuntimeMiddleware, timeout=_SECONDS["search"])
    # A durable aggregation is picked up, and tried again, sooner.
    scheduler = _server("services.playbook.aggregation_scheduler")
    _default(scheduler.PlaybookAggregationScheduler, poll_interval_seconds=_SECONDS["scheduler"])
    _server("services.playbook.aggregation_operations").AGGREGATION_RETRY_BASE_SECONDS = _SECONDS["retry"]


def _default(owner: Any, **given: Any) -> None:
    """Make these the default arguments of a class."""
    plain = owner.__init__

    @functools.wraps(plain)
    def init(*args: Any, **kwargs: Any) -> None:
        plain(*args, **given, **kwargs)

    owner.__init__ = init


def _hold_up() -> None:
    """Make requests, and work, wait or fail as their names say."""

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

    library = importlib.import_module("reflexio.lib.reflexio_lib").Reflexio
    _before(library, "unified_search", search)
    _before(library, "search_user_profiles", search)
    _before(_server("api_endpoints.publisher_api"), "add_user_interaction", publish)
    _before(_server("services.playbook.components.aggregator").PlaybookAggregator, "run", aggregate)
    _before(_server("services.base_generation_service").BaseGenerationService, "run", generate)
    _before(_server("services.durable_learning.window_executor").WindowExecutor, "execute", learn)


def _before(owner: Any, name: str, do: Any) -> None:
    """Call ``do`` with the arguments of ``owner.name`` before that is called."""
    plain = getattr(owner, name)

    @functools.wraps(plain)
    def held_up(*args: Any, **kwargs: Any) -> Any:
        do(*args, **kwargs)
        return plain(*args, **kwargs)

    setattr(owner, name, held_up)


_use_a_sqlite_with_extensions()
app = _server("api").app
_shorten()
_hold_up()
