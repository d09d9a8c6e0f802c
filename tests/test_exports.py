"""The names that users import."""

from __future__ import annotations

import subprocess
import sys
from enum import Enum
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import pytest

import reflexio_async
from reflexio_async import legacy
from reflexio_async._engine.models import ResponseModel
from reflexio_async.reflect import models as reflect_models
from reflexio_async.reflexio import models as reflexio_models

if TYPE_CHECKING:
    from types import ModuleType

NAMES = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeout",
    "AccountEntry",
    "AsyncReflectClient",
    "AsyncReflexioClient",
    "AuthenticationError",
    "BackgroundCall",
    "BackgroundErrorEvent",
    "BadRequest",
    "Batch",
    "BatchEntry",
    "BatchInterrupted",
    "BatchPlan",
    "BatchProgress",
    "CallEntry",
    "BatchReport",
    "ClientClosed",
    "ClientOptions",
    "Clock",
    "ConfigurationError",
    "Conflict",
    "Conversation",
    "DrainSummary",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "JobEntry",
    "JobError",
    "JobFailed",
    "JobLost",
    "JobState",
    "JobStatus",
    "JobTimeout",
    "LeaseLost",
    "JobTiming",
    "JobWait",
    "LaneEntry",
    "LearningReport",
    "MemoryContext",
    "NotFound",
    "OutboxCall",
    "Outcome",
    "OutcomeState",
    "PayloadTooLarge",
    "PermissionDenied",
    "RateLimited",
    "ReflexioError",
    "RequestEvent",
    "RequestRefused",
    "RetryEvent",
    "RetryPolicy",
    "ServerError",
    "ServerQuirkWarning",
    "SessionScopedClient",
    "StoreError",
    "StoreStats",
    "StoreView",
    "SystemClock",
    "TraceContext",
    "TraceJob",
    "TraceResult",
    "UnexpectedResponse",
    "UnprocessableRequest",
    "WaitReason",
    "WaitingFor",
    "Withdrawn",
    "__version__",
    "as_completed",
    "from_agent_framework",
    "from_google_adk",
    "from_langchain",
    "from_openai_agents",
    "from_pydantic_ai",
    "gather_jobs",
    "interactions_from",
    "reflect_trace",
]


def test_these_are_the_exported_names() -> None:
    assert sorted(reflexio_async.__all__) == sorted(NAMES)


def test_every_exported_name_is_there() -> None:
    assert [name for name in reflexio_async.__all__ if not hasattr(reflexio_async, name)] == []


MODELS = [reflexio_models, reflect_models]


@pytest.mark.parametrize("models", MODELS, ids=lambda models: models.__name__)
def test_requests_and_responses_come_from_the_package_itself(models: ModuleType) -> None:
    assert [
        name for name in models.__all__ if getattr(reflexio_async, name) is not getattr(models, name)
    ] == []


def defined_in(module: ModuleType) -> dict[str, type]:
    values = vars(module).items()
    return {name: value for name, value in values if getattr(value, "__module__", "") == module.__name__}


def test_every_response_and_every_enum_is_one_of_these_names() -> None:
    modules = [
        import_module(f"{package.__name__}.{found.name}")
        for package in MODELS
        for found in iter_modules(package.__path__)
    ]
    public = {
        name
        for module in modules
        for name, value in defined_in(module).items()
        if isinstance(value, type) and issubclass(value, ResponseModel | Enum)
    }
    assert public - {*reflexio_models.__all__, *reflect_models.__all__} == set()


def test_models_of_january_come_from_legacy() -> None:
    assert legacy.InteractionData.__module__ == "reflexio_async.legacy.models"
    assert [name for name in legacy.__all__ if not hasattr(legacy, name)] == []


def test_nothing_else_is_in_view() -> None:
    """Besides modules, which are there once imported, and what pytest adds where it rewrites assertions."""
    public = {name for name in vars(reflexio_async) if not name.startswith(("_", "@"))}
    modules = {name for name in public if f"reflexio_async.{name}" in sys.modules}
    assert public - modules - {"annotations", "TYPE_CHECKING"} <= set(reflexio_async.__all__)


def test_importing_the_client_imports_no_extra_and_no_sandbox() -> None:
    program = (
        "import sys, reflexio_async; "
        "print([name for name in ('typer', 'rich', 'opentelemetry', 'uvloop', 'aiohttp.web', "
        "'reflexio_async.sandbox', 'reflexio_async.cli', 'sqlite3', 'reflexio_async.reflect.models', "
        "'reflexio_async.legacy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_making_a_client_and_finding_a_job_of_todays_kinds_loads_nothing_of_january() -> None:
    program = """
import sys
from reflexio_async import AsyncReflexioClient
from reflexio_async._engine.jobs.tokens import Token
client = AsyncReflexioClient(url_endpoint="http://127.0.0.1:1")
client.job(Token("profile_rerun", client.base_url, "id").to_text())
print([name for name in sys.modules if name.startswith("reflexio_async.legacy")])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_reflect_is_loaded_when_it_is_asked_for() -> None:
    program = (
        "import sys, reflexio_async as r; r.TraceJob; print('reflexio_async.reflect.models' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "True"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(reflexio_async, "AsyncReflexClient")
    assert set(reflexio_async.__all__) <= set(dir(reflexio_async))
