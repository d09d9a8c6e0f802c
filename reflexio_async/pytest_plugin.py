"""pytest fixtures: a sandbox, its clock and clients, for asynchronous tests, and a sandbox for ordinary ones.

``reflexio_sandbox``, ``reflexio_client``, ``reflect_client`` and ``reflexio_clock`` work with pytest-asyncio
(strict and auto mode) and with anyio's plugin. They run on the event loop of the test that requests them.
``reflexio_sandbox_thread`` is for ordinary tests.

Every pytest run imports this module, so it imports the package only inside its fixtures.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from reflexio_async._engine.clock import Clock
    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.reflect.client import AsyncReflectClient
    from reflexio_async.sandbox import Sandbox
    from reflexio_async.sandbox.thread import SandboxThread

_MARKER: Final = (
    "reflexio(*, real_time=False, **options): options of this test's reflexio_sandbox, "
    "on virtual time unless real_time is True."
)
_LOOP_SCOPES: Final = ("function", "class", "module", "package", "session")
# Given to clients explicitly, so that they ignore the environment.
_NO_KEY: Final = "any"
_PROJECT: Final = "default"
_ENTERED: Final = ("reflexio_sandbox", "reflexio_client", "reflect_client")
"""The fixtures whose value is entered with ``async with``."""

_T = TypeVar("_T")

_to_enter = pytest.StashKey[dict[str, Any]]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and for each entered fixture an asynchronous fixture per plugin and loop scope."""
    config.addinivalue_line("markers", _MARKER)
    # pytest looks for fixtures in modules and classes.
    helpers = ModuleType("reflexio_async_fixtures")
    for fixture in _ENTERED:
        name = _helper_name(fixture, "anyio")
        setattr(helpers, name, pytest.fixture(_entering(fixture), name=name))
        if (plugin := _pytest_asyncio()) is not None:
            for scope in _LOOP_SCOPES:
                name = _helper_name(fixture, scope)
                setattr(helpers, name, plugin.fixture(_entering(fixture), name=name, loop_scope=scope))
    config.pluginmanager.register(helpers, helpers.__name__)


@pytest.fixture
def reflexio_clock(request: pytest.FixtureRequest) -> Clock:
    """The clock of the sandbox and its clients: virtual, or real with ``real_time=True`` in the marker.

    Override it for many tests: return a ``SystemClock()`` or a ``VirtualClock``. A clock with
    ``auto_advance=False`` is for one test: at its end it runs freely, so that the clients can close.
    """
    if _options(request).get("real_time", False):
        from reflexio_async._engine.clock import SystemClock  # noqa: PLC0415  # see the module's docstring

        return SystemClock()
    from reflexio_async.sandbox import VirtualClock  # noqa: PLC0415  # as above

    return VirtualClock()


@pytest.fixture
def reflexio_sandbox_options() -> Mapping[str, Any]:
    """Options of the sandbox; none by default. Override it for many tests. A test's marker adds to them."""
    return {}


@pytest.fixture
def reflexio_sandbox(
    request: pytest.FixtureRequest, reflexio_clock: Clock, reflexio_sandbox_options: Mapping[str, Any]
) -> Sandbox:
    """A sandbox that runs during the test. ``@pytest.mark.reflexio(…)`` gives its options."""
    sandbox = _make_sandbox(request, reflexio_sandbox_options, reflexio_clock)
    return _entered(request, "reflexio_sandbox", sandbox, reflexio_clock)


@pytest.fixture
def reflexio_sandbox_thread(
    request: pytest.FixtureRequest, reflexio_sandbox_options: Mapping[str, Any]
) -> Iterator[SandboxThread]:
    """A sandbox in a thread, for a test that is no coroutine function. It has the options of the test.

    It is on real time, whatever ``reflexio_clock`` is.
    """
    from reflexio_async.sandbox.thread import SandboxThread  # noqa: PLC0415  # as above

    with SandboxThread(_make_sandbox(request, reflexio_sandbox_options, None)) as thread:
        yield thread


@pytest.fixture
def reflexio_client(
    request: pytest.FixtureRequest, reflexio_sandbox: Sandbox, reflexio_sandbox_options: Mapping[str, Any]
) -> AsyncReflexioClient:
    """A client of ``reflexio_sandbox`` with its keys and clock. It is closed after the test.

    Its ``reflect`` uses the same sandbox.
    """
    from reflexio_async.client import AsyncReflexioClient  # noqa: PLC0415  # as above

    box = reflexio_sandbox
    client = AsyncReflexioClient(
        api_key={**reflexio_sandbox_options, **_options(request)}.get("api_key") or _NO_KEY,
        url_endpoint=box.url,
        reflect_url=box.reflect_url,
        reflect_api_key=box.reflect_key,
        project_id=_PROJECT,
        clock=box.clock,
    )
    return _entered(request, "reflexio_client", client, box.clock)


@pytest.fixture
def reflect_client(request: pytest.FixtureRequest, reflexio_sandbox: Sandbox) -> AsyncReflectClient:
    """A client of the Reflect service of ``reflexio_sandbox``, on its clock. It is closed after the test."""
    from reflexio_async.reflect.client import AsyncReflectClient  # noqa: PLC0415  # as above

    box = reflexio_sandbox
    client = AsyncReflectClient(
        base_url=box.reflect_url, api_key=box.reflect_key, project_id=_PROJECT, clock=box.clock
    )
    return _entered(request, "reflect_client", client, box.clock)


def _make_sandbox(request: pytest.FixtureRequest, options: Mapping[str, Any], clock: Clock | None) -> Sandbox:
    """Make a sandbox with ``options`` and those of the test's markers, which win."""
    from reflexio_async.sandbox import Sandbox  # noqa: PLC0415  # as above

    options = {**options, **_options(request)}
    options.pop("real_time", None)
    if "clock" in options:
        instead = (
            "the test is on real time" if clock is None else "override the fixture reflexio_clock instead"
        )
        pytest.fail(f"{request.fixturename} takes no clock as an option: {instead}", pytrace=False)
    from difflib import get_close_matches  # noqa: PLC0415  # as above

    known = inspect.signature(Sandbox).parameters
    for name in options:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            message = f"{request.fixturename}: Sandbox has an unexpected keyword argument {name!r}{hint}"
            pytest.fail(message, pytrace=False)
    return Sandbox(clock=clock, **options)


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The options of the test's markers. The closest marker wins."""
    options: dict[str, Any] = {}
    for mark in request.node.iter_markers("reflexio"):
        if mark.args:
            pytest.fail(f"@pytest.mark.reflexio takes keywords, not {mark.args!r}", pytrace=False)
        options = {**mark.kwargs, **options}
    return options


def _entered(
    request: pytest.FixtureRequest, fixture: str, manager: AbstractAsyncContextManager[_T], clock: Clock
) -> _T:
    """The value of ``async with manager``, which is left after the test.

    A synchronous fixture cannot await. So the plugin that runs the test enters the manager in one of its
    own asynchronous fixtures. Which plugin that is can differ from test to test.
    """
    helper = _helper_name(fixture, _runner(request))
    request.node.stash.setdefault(_to_enter, {})[fixture] = (manager, clock)
    return cast("_T", request.getfixturevalue(helper))


def _entering(fixture: str) -> Callable[[pytest.FixtureRequest], AsyncGenerator[Any]]:
    async def entering(request: pytest.FixtureRequest) -> AsyncGenerator[Any]:
        from reflexio_async.sandbox import VirtualClock  # noqa: PLC0415  # as above

        manager, clock = request.node.stash[_to_enter].pop(fixture)
        async with manager as value:
            yield value
            # A client that closes waits for its work, and the test no longer advances the clock.
            if isinstance(clock, VirtualClock):
                clock.run_freely()

    return entering


def _pytest_asyncio() -> Any:
    """The module pytest_asyncio if its plugin is in use and new enough, else None."""
    module = sys.modules.get("pytest_asyncio")
    usable = module is not None and "loop_scope" in inspect.signature(module.fixture).parameters
    return module if usable else None


def _is_asynchronous(test: Any) -> bool:
    function = getattr(test, "obj", None)
    hypothesis = getattr(function, "hypothesis", None)
    return inspect.iscoroutinefunction(hypothesis.inner_test if hypothesis else function)


def _helper_name(fixture: str, runner: str) -> str:
    return f"_{fixture}_{runner}"


def _runner(request: pytest.FixtureRequest) -> str:
    """``anyio``, or the scope of the loop on which pytest-asyncio runs the test."""
    test, plugin = request.node, _pytest_asyncio()
    by_asyncio = plugin is not None and plugin.is_async_test(test)
    by_anyio = "anyio_backend" in request.fixturenames
    if by_asyncio and by_anyio:
        # The order of loading decides which plugin runs fixtures. It may be on another loop.
        problem = f"has two plugins that would run {test.name}: drop its anyio mark or asyncio_mode=auto"
    elif by_asyncio:
        mark = test.get_closest_marker("asyncio")
        scope = mark.kwargs.get("loop_scope") if mark else None
        return str(scope or request.config.getini("asyncio_default_test_loop_scope"))
    elif not _is_asynchronous(test):
        problem = (
            f"needs an asynchronous test: async def {test.name}; ordinary tests have reflexio_sandbox_thread"
        )
    elif not by_anyio:
        problem = (
            f"needs a plugin that runs {test.name}: mark it @pytest.mark.anyio, or @pytest.mark.asyncio "
            "with pytest-asyncio 0.24 or later, or set anyio_mode or asyncio_mode to auto"
        )
    elif (backend := request.getfixturevalue("anyio_backend_name")) != "asyncio":
        problem = f'runs on asyncio, not on {backend}: add a fixture anyio_backend that returns "asyncio"'
    else:
        return "anyio"
    pytest.fail(f"{request.fixturename} {problem}", pytrace=False)
