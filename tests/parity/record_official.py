"""Prints as JSON what an official package offers and sends.

The interpreter of the package's environment runs it: ``python -m tests.parity.record_official reflexio``, or
``reflect_sdk``.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
import warnings
from typing import TYPE_CHECKING, Any

from tests.parity.described import described
from tests.parity.official_calls import REFLECT, REFLEXIO
from tests.parity.recording import Names, RecordingServer, evaluate

if TYPE_CHECKING:
    from types import ModuleType


def main(package: str) -> None:
    """Print it."""
    warnings.simplefilter("ignore")
    module = importlib.import_module(package)
    document = {"names": sorted(module.__all__), "described": _offers(module), "calls": _sends(module)}
    print(json.dumps(document))  # noqa: T201


def _offers(module: ModuleType) -> dict[str, Any]:
    """The public names that the package itself defines."""
    found = {name: getattr(module, name) for name in module.__all__}
    if module.__name__ == "reflexio":
        client = importlib.import_module("reflexio.client.client")
        found["SessionScopedClient"] = getattr(client, "SessionScopedClient", None)
    return {name: described(found[name]) for name in sorted(found) if _is_of(found[name], module)}


def _is_of(thing: Any, module: ModuleType) -> bool:
    return str(getattr(thing, "__module__", "")).startswith(module.__name__)


def _sends(module: ModuleType) -> dict[str, Any]:
    """For each call what the client sends. A call that this release does not have is left out."""
    with RecordingServer() as server:
        calls = REFLEXIO if module.__name__ == "reflexio" else REFLECT
        sent = {call: _record(server, call, _names(module, server.url)) for call in calls}
    return {call: requests for call, requests in sent.items() if requests is not None}


def _names(module: Any, url: str) -> Names:
    if module.__name__ == "reflect_sdk":
        client = module.ReflectClient(base_url=url, api_key="key", project_id="my project")
        return Names(module, client=client, traced=_traced, decorated=_decorated, URL=url)
    client = module.ReflexioClient(api_key="key", url_endpoint=url)
    has_sessions = hasattr(client, "for_session")
    return Names(module, client=client, session=client.for_session("s") if has_sessions else None)


def _traced(context: Any, **output: Any) -> Any:
    if hasattr(context, "__aenter__"):
        return _traced_async(context, **output)
    with context as entered:
        entered.set_output(**output)
    return None


async def _traced_async(context: Any, **output: Any) -> None:
    async with context as entered:
        entered.set_output(**output)


def _decorated(decorator: Any, task: str) -> Any:
    def function(ctx: Any, task: Any = None) -> str:  # noqa: ARG001  # what such a function takes
        return "4"

    return decorator(function)(task)


def _record(server: RecordingServer, call: str, names: Names) -> list[dict[str, Any]] | None:
    failure: Exception | None = None
    try:
        result = evaluate(call, names)
        if inspect.iscoroutine(result):
            asyncio.run(result)
    except Exception as error:  # noqa: BLE001  # a response that is no success may cause any
        failure = error
    requests = server.take(wait=failure is None)
    if requests:
        return requests
    if isinstance(failure, AttributeError | TypeError):
        return None  # no such method, or no such parameter
    message = f"{call} sent nothing: {failure!r}"
    raise RuntimeError(message)


if __name__ == "__main__":
    main(sys.argv[1])
