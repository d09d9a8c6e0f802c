"""The names that users import."""

from __future__ import annotations

import subprocess
import sys

import reflexio_async

NAMES = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeout",
    "AsyncReflectClient",
    "AsyncReflexioClient",
    "AuthenticationError",
    "BackgroundCall",
    "BackgroundErrorEvent",
    "BadRequest",
    "Batch",
    "BatchInterrupted",
    "BatchPlan",
    "BatchProgress",
    "BatchReport",
    "ClientClosed",
    "Clock",
    "ConfigurationError",
    "Conflict",
    "DrainSummary",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "JobError",
    "JobFailed",
    "JobLost",
    "JobState",
    "JobStatus",
    "JobTimeout",
    "JobTiming",
    "NotFound",
    "OperationStatus",
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
    "Status",
    "SystemClock",
    "TraceContext",
    "TraceJob",
    "TraceResult",
    "UnexpectedResponse",
    "UnprocessableRequest",
    "Withdrawn",
    "__version__",
    "as_completed",
    "gather_jobs",
    "reflect_trace",
]


def test_these_are_the_exported_names() -> None:
    assert sorted(reflexio_async.__all__) == sorted(NAMES)


def test_every_exported_name_is_there() -> None:
    assert [name for name in reflexio_async.__all__ if not hasattr(reflexio_async, name)] == []


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
        "'reflexio_async.reflect.models') if name in sys.modules])"
    )
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
