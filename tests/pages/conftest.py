"""A headless Chromium for the tests of pages. They are skipped where there is none; in CI they fail.

Playwright keeps an event loop running in the thread that has started it, where no other loop can run. So it
is started in a thread of its own, and the tests that use it run there.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

_LOCAL = ("file:", "data:", "http://127.0.0.1:")


class Open(Protocol):
    """Opens a page. When it is left, it must have had no error, and have asked for nothing from elsewhere."""

    def __call__(
        self,
        url: str,
        *,
        width: int = 1400,
        scheme: Literal["light", "dark"] = "light",
        script: bool = True,
        allowed: tuple[str, ...] = (),
    ) -> AbstractContextManager[Page]:
        """Open ``url``. Errors of the console with a text of ``allowed`` are expected."""
        ...


_thread = ThreadPoolExecutor(1, "browser")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Run the tests with a browser in its thread."""
    if "browser" not in pyfuncitem.fixturenames:
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    _thread.submit(pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names}).result()
    return True


@pytest.fixture(scope="session")
def browser() -> Generator[Browser]:
    path = shutil.which("chromium")
    if path is None or importlib.util.find_spec("playwright") is None:
        reason = "needs Chromium: apt-get install chromium, and pip install playwright"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # it may be missing

    # Chromium's own sandbox does not work for root, as whom CI runs.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    playwright = _thread.submit(sync_playwright().start).result()
    made = _thread.submit(playwright.chromium.launch, executable_path=path, args=arguments).result()
    yield made
    _thread.submit(made.close).result()
    _thread.submit(playwright.stop).result()


@pytest.fixture
def open_page(browser: Browser) -> Open:
    @contextmanager
    def opened(
        url: str,
        *,
        width: int = 1400,
        scheme: Literal["light", "dark"] = "light",
        script: bool = True,
        allowed: tuple[str, ...] = (),
    ) -> Generator[Page]:
        errors: list[str] = []
        elsewhere: list[str] = []

        def note_error(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not any(text in message.text for text in allowed):
                errors.append(message.text)

        def note_request(request: Request) -> None:
            if not request.url.startswith(_LOCAL):
                elsewhere.append(request.url)

        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=script,
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", note_error)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", note_request)
        page.goto(url)
        yield page
        context.close()
        assert not errors
        assert not elsewhere

    return opened
