"""pytest fixtures: a sandbox, its clock and clients, for asynchronous tests of what talks to the servers.

``reflexio_sandbox``, ``reflexio_client``, ``reflect_client`` and ``reflexio_clock`` work under pytest-asyncio
(strict and auto) and under anyio's plugin, each on the event loop of the test that asks for it.

Every pytest run loads this module, so it imports nothing else of the package: fixtures do.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from reflexio_async._engine.clock import Clock
    from reflexio_async.client import AsyncReflexioClient
    from reflexio_async.reflect.client import AsyncReflectClient
    from reflexio_async.sandbox import Sandbox

_MARKER: Final = (
    "reflexio(*, real_time=False, **options): options of this test's reflexio_sandbox, "
    "on virtual time unless real_time is True."
)
_LOOP_SCOPES: Final = ("function", "class", "module", "package", "session")
# Said, since what the environment says would be sent otherwise.
_NO_KEY: Final = "any"
_PROJECT: Final = "default"
_OPENED: Final = ("reflexio_sandbox", "reflexio_client", "reflect_client")

_T = TypeVar("_T")

_to_enter = pytest.StashKey[dict[str, Any]]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the asynchronous halves of the fixtures in every flavour that is in use."""
    config.addinivalue_line("markers", _MARKER)
    # pytest looks for fixtures in modules and classes.
    halves = ModuleType("reflexio_async_halves")
    for opened in _OPENED:
        name = _flavour(opened, "anyio")
        setattr(halves, name, pytest.fixture(_entering(opened), name=name))
        if (plugin := _pytest_asyncio()) is not None:
            for scope in _LOOP_SCOPES:
                name = _flavour(opened, scope)
                setattr(halves, name, plugin.fixture(_entering(opened), name=name, loop_scope=scope))
    config.pluginmanager.register(halves, halves.__name__)


@pytest.fixture
def reflexio_clock(request: pytest.FixtureRequest) -> Clock:
    """The clock of the sandbox and its clients: virtual, or real where the marker says ``real_time=True``.

    Override it to choose for many tests: return a ``SystemClock()``, or a ``VirtualClock`` of your own. One
    with ``auto_advance=False`` is for one test: at its end it goes by itself, for the clients to finish.
    """
    if _marked(request).get("real_time", False):
        from reflexio_async._engine.clock import SystemClock  # noqa: PLC0415  # see above

        return SystemClock()
    from reflexio_async.sandbox import VirtualClock  # noqa: PLC0415  # see above

    return VirtualClock()


@pytest.fixture
def reflexio_sandbox_options() -> Mapping[str, Any]:
    """Arguments of the sandbox: none. Override it to choose for many tests; a test's marker wins over it."""
    return {}


@pytest.fixture
def reflexio_sandbox(
    request: pytest.FixtureRequest, reflexio_clock: Clock, reflexio_sandbox_options: Mapping[str, Any]
) -> Sandbox:
    """A sandbox that runs while the test does; its options come from ``@pytest.mark.reflexio(…)``."""
    from reflexio_async.sandbox import Sandbox  # noqa: PLC0415  # see above

    options = {**reflexio_sandbox_options, **_marked(request)}
    options.pop("real_time", None)
    if "clock" in options:
        pytest.fail(
            "reflexio_sandbox takes no clock as an option: override the fixture reflexio_clock instead",
            pytrace=False,
        )
    return _entered(request, "reflexio_sandbox", Sandbox(clock=reflexio_clock, **options), reflexio_clock)


@pytest.fixture
def reflexio_client(
    request: pytest.FixtureRequest, reflexio_sandbox: Sandbox, reflexio_sandbox_options: Mapping[str, Any]
) -> AsyncReflexioClient:
    """A client of ``reflexio_sandbox``, on its clock, with its keys; closed, and drained, after the test.

    Its ``reflect`` talks to the same sandbox.
    """
    from reflexio_async.client import AsyncReflexioClient  # noqa: PLC0415  # see above

    box = reflexio_sandbox
    client = AsyncReflexioClient(
        api_key={**reflexio_sandbox_options, **_marked(request)}.get("api_key") or _NO_KEY,
        url_endpoint=box.url,
        reflect_url=box.reflect_url,
        reflect_api_key=box.reflect_key,
        project_id=_PROJECT,
        clock=box.clock,
    )
    return _entered(request, "reflexio_client", client, box.clock)


@pytest.fixture
def reflect_client(request: pytest.FixtureRequest, reflexio_sandbox: Sandbox) -> AsyncReflectClient:
    """A client of the Reflect service of ``reflexio_sandbox``, on its clock; closed after the test."""
    from reflexio_async.reflect.client import AsyncReflectClient  # noqa: PLC0415  # see above

    box = reflexio_sandbox
    client = AsyncReflectClient(
        base_url=box.reflect_url, api_key=box.reflect_key, project_id=_PROJECT, clock=box.clock
    )
    return _entered(request, "reflect_client", client, box.clock)


def _marked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the markers say; the closest wins."""
    options: dict[str, Any] = {}
    for mark in request.node.iter_markers("reflexio"):
        if mark.args:
            pytest.fail(f"@pytest.mark.reflexio takes keywords, not {mark.args!r}", pytrace=False)
        options = {**mark.kwargs, **options}
    return options


def _entered(
    request: pytest.FixtureRequest, opened: str, closed: AbstractAsyncContextManager[_T], clock: Clock
) -> _T:
    """``closed``, open until the test has ended; it closes on a ``clock`` that goes by itself.

    A synchronous fixture cannot await, and which plugin can differs from test to test: the plugin that
    runs this one is handed an asynchronous fixture of its own kind.
    """
    flavour = _flavour(opened, _runner(request))
    request.node.stash.setdefault(_to_enter, {})[opened] = (closed, clock)
    return cast("_T", request.getfixturevalue(flavour))


def _entering(opened: str) -> Callable[[pytest.FixtureRequest], AsyncGenerator[Any]]:
    async def entering(request: pytest.FixtureRequest) -> AsyncGenerator[Any]:
        from reflexio_async.sandbox import VirtualClock  # noqa: PLC0415  # see above

        closed, clock = request.node.stash[_to_enter].pop(opened)
        async with closed as value:
            yield value
            # Nobody advances it any more, and a client that closes waits for what it has begun.
            if isinstance(clock, VirtualClock):
                clock.run_freely()

    return entering


def _pytest_asyncio() -> Any:
    """The module, or None: where its plugin is in use, it has been imported."""
    module = sys.modules.get("pytest_asyncio")
    usable = module is not None and "loop_scope" in inspect.signature(module.fixture).parameters
    return module if usable else None


def _is_asynchronous(test: Any) -> bool:
    function = getattr(test, "obj", None)
    hypothesis = getattr(function, "hypothesis", None)
    return inspect.iscoroutinefunction(hypothesis.inner_test if hypothesis else function)


def _flavour(opened: str, runner: str) -> str:
    return f"_{opened}_{runner}"


def _runner(request: pytest.FixtureRequest) -> str:
    """``anyio``, or the scope of the loop that pytest-asyncio runs the test on."""
    test, plugin = request.node, _pytest_asyncio()
    by_asyncio = plugin is not None and plugin.is_async_test(test)
    by_anyio = "anyio_backend" in request.fixturenames
    if by_asyncio and by_anyio:
        # Which of them runs the fixtures depends on the order of loading; it may be on another loop.
        problem = f"has two plugins that would run {test.name}: drop its anyio mark or asyncio_mode=auto"
    elif by_asyncio:
        mark = test.get_closest_marker("asyncio")
        scope = mark.kwargs.get("loop_scope") if mark else None
        return str(scope or request.config.getini("asyncio_default_test_loop_scope"))
    elif not _is_asynchronous(test):
        problem = f"needs an asynchronous test: async def {test.name}"
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
