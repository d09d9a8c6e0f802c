"""The fixtures, in a pytest run of a user."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.plugin.inner import ANYIO, ANYIO_AUTO, ASYNCIO, ASYNCIO_AUTO, run_pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

AN_AGENT = """
import pytest

{mark}
async def test_it_remembers(reflexio_sandbox, reflexio_client):
    await reflexio_client.publish_interaction(
        user_id="ana", session_id="s", interactions=[{{"role": "user", "content": "I like sushi"}}]
    )
    response = await reflexio_client.rerun_profile_generation(user_id="ana", wait_for_response=True)
    assert response.profiles_generated == 1
    assert reflexio_sandbox.count("POST", "/api/publish_interaction", 200) == 1


{mark}
async def test_it_has_a_server_of_its_own(reflexio_client):
    assert (await reflexio_client.get_all_profiles()).user_profiles == []
"""
ON_TRIO = """
import pytest

@pytest.fixture
def anyio_backend(): return "trio"

async def test_it(reflexio_client): ...
"""
ANYIO_MARK = "@pytest.mark.anyio"
ASYNCIO_MARK = "@pytest.mark.asyncio"


@pytest.mark.parametrize(
    ("options", "mark"),
    [
        (ANYIO, ANYIO_MARK),
        (ANYIO_AUTO, ""),
        (ASYNCIO, ASYNCIO_MARK),
        (ASYNCIO_AUTO, ""),
        ((*ANYIO, *ASYNCIO), ANYIO_MARK),
        ((*ANYIO, *ASYNCIO), ASYNCIO_MARK),
        ((*ASYNCIO, *ANYIO), ANYIO_MARK),
        ((*ASYNCIO, *ANYIO_AUTO), ""),
        ((*ANYIO, *ASYNCIO_AUTO), ""),
    ],
    ids=[
        "anyio",
        "anyio auto",
        "asyncio strict",
        "asyncio auto",
        "anyio beside asyncio",
        "asyncio beside anyio",
        "anyio after asyncio",
        "anyio auto beside asyncio",
        "asyncio auto beside anyio",
    ],
)
def test_a_users_test_runs_with_the_fixtures_under(
    options: tuple[str, ...], mark: str, tmp_path: Path
) -> None:
    report = run_pytest(tmp_path, AN_AGENT.format(mark=mark), *options)
    assert set(report.outcomes.values()) == {"passed"}, report.output
    assert len(report.outcomes) == 2


@pytest.mark.parametrize(
    ("options", "mark"), [(ANYIO, ANYIO_MARK), (ASYNCIO, ASYNCIO_MARK)], ids=["anyio", "asyncio"]
)
def test_reflect_is_the_same_for_both_clients(options: tuple[str, ...], mark: str, tmp_path: Path) -> None:
    source = f"""
import pytest
from reflexio_async.sandbox.reflect.settings import ReflectSettings

{mark}
@pytest.mark.reflexio(reflect=ReflectSettings(ingest_seconds=40))
async def test_it_learns(reflexio_clock, reflect_client, reflexio_client):
    turns = [{{"role": "user", "content": "book a table"}}]
    trace = await (await reflect_client.create_trace(task="book a table", trajectory=turns))
    assert reflexio_clock.now() >= 40
    assert [found.id for found in await reflexio_client.reflect.list_traces()] == [trace.id]
"""
    report = run_pytest(tmp_path, source, *options)
    assert set(report.outcomes.values()) == {"passed"}, report.output


def test_both_plugins_run_tests_of_one_file(tmp_path: Path) -> None:
    source = f"""
import pytest

{ANYIO_MARK}
async def test_one(reflexio_client):
    await reflexio_client.whoami()

{ASYNCIO_MARK}
async def test_other(reflexio_client):
    await reflexio_client.whoami()
"""
    report = run_pytest(tmp_path, source, *ANYIO, *ASYNCIO)
    assert report.outcomes == {"test_one[asyncio]": "passed", "test_other": "passed"}, report.output


def test_a_test_on_a_loop_of_wider_scope_finds_its_sandbox_there(tmp_path: Path) -> None:
    source = """
import pytest

@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.asyncio(loop_scope="module")
async def test_it(reflexio_client, number):
    await reflexio_client.whoami()
"""
    report = run_pytest(tmp_path, source, *ASYNCIO)
    assert list(report.outcomes.values()) == ["passed", "passed"], report.output
    source = source.replace('(loop_scope="module")', "")
    report = run_pytest(tmp_path, source, *ASYNCIO, "-o", "asyncio_default_test_loop_scope=session")
    assert list(report.outcomes.values()) == ["passed", "passed"], report.output


@pytest.mark.parametrize(
    ("options", "mark"), [(ANYIO, ANYIO_MARK), (ASYNCIO, ASYNCIO_MARK)], ids=["anyio", "asyncio"]
)
def test_a_failing_test_closes_its_fixtures(options: tuple[str, ...], mark: str, tmp_path: Path) -> None:
    source = f"""
import gc
import pytest

{mark}
@pytest.mark.reflexio(rerun_seconds=3600)
async def test_fails(reflexio_sandbox, reflexio_client):
    reflexio_sandbox.seed("ana")
    job = await reflexio_client.rerun_profile_generation(user_id="ana")
    await reflexio_client.rerun_profile_generation(user_id="ana")
    assert not job.id

def test_nothing_is_left():
    gc.collect()

{mark}
async def test_the_next_starts_anew(reflexio_sandbox, reflexio_client):
    assert (await reflexio_client.whoami()).success
    assert reflexio_sandbox.stored_requests == {{}}
"""
    report = run_pytest(tmp_path, source, *options)
    assert sorted(report.outcomes.values()) == ["failed", "passed", "passed"], report.output
    assert "assert not job.id" in report.output


def test_time_is_virtual_unless_a_test_asks_for_the_real_one(tmp_path: Path) -> None:
    source = """
import pytest
from reflexio_async import SystemClock
from reflexio_async.sandbox import VirtualClock

pytestmark = pytest.mark.anyio

@pytest.mark.reflexio(rerun_seconds=500)
async def test_virtual(reflexio_clock, reflexio_sandbox, reflexio_client):
    assert isinstance(reflexio_clock, VirtualClock)
    assert reflexio_sandbox.clock is reflexio_clock
    reflexio_sandbox.seed("ana")
    job = await reflexio_client.rerun_profile_generation(user_id="ana")
    await job.result(wait_timeout=550)
    assert reflexio_clock.now() >= 500

@pytest.mark.reflexio(real_time=True)
async def test_real(reflexio_clock, reflexio_sandbox, reflexio_client):
    assert isinstance(reflexio_clock, SystemClock)
    assert reflexio_sandbox.clock is reflexio_clock
    await reflexio_client.whoami()
"""
    report = run_pytest(tmp_path, source, *ANYIO)
    assert list(report.outcomes.values()) == ["passed", "passed"], report.output


def test_the_closest_marker_wins_and_markers_win_over_the_options_fixture(tmp_path: Path) -> None:
    conftest = """
import pytest

@pytest.fixture
def reflexio_sandbox_options():
    return {"api_key": "of all", "failing_users": ["bob"], "dialect": "uncorrelated"}
"""
    source = """
import pytest
from reflexio_async import AsyncReflexioClient, AuthenticationError, JobFailed

pytestmark = [pytest.mark.anyio, pytest.mark.reflexio(api_key="of the module", dialect="correlated")]

@pytest.mark.reflexio(api_key="of the test")
async def test_it(reflexio_sandbox, reflexio_client):
    await reflexio_client.whoami()
    reflexio_sandbox.seed("bob")
    job = await reflexio_client.rerun_profile_generation(user_id="bob")
    assert job.id not in (None, "rerun_profile_generation")
    with pytest.raises(JobFailed):
        await job
    for key in ("of all", "of the module"):
        async with AsyncReflexioClient(key, reflexio_sandbox.url) as other:
            with pytest.raises(AuthenticationError):
                await other.whoami()
"""
    report = run_pytest(tmp_path, source, *ANYIO, conftest=conftest)
    assert list(report.outcomes.values()) == ["passed"], report.output


@pytest.mark.parametrize(
    ("options", "mark"), [(ANYIO, "anyio"), (ASYNCIO, "asyncio")], ids=["anyio", "asyncio"]
)
def test_fixtures_may_be_overridden_and_parametrized(
    options: tuple[str, ...], mark: str, tmp_path: Path
) -> None:
    conftest = """
import pytest
from reflexio_async.sandbox import VirtualClock

@pytest.fixture(params=[0, 1000])
def reflexio_clock(request):
    return VirtualClock(epoch=request.param)

@pytest.fixture
def reflexio_sandbox(reflexio_sandbox):
    reflexio_sandbox.seed("ana", "I like tea")
    return reflexio_sandbox
"""
    source = f"""
import pytest

@pytest.mark.{mark}
async def test_it(reflexio_clock, reflexio_client):
    turns = await reflexio_client.get_interactions(user_id="ana")
    assert [turn.content for turn in turns.interactions] == ["I like tea"]
    assert turns.interactions[0].created_at == int(reflexio_clock.time())
"""
    report = run_pytest(tmp_path, source, *options, conftest=conftest)
    assert list(report.outcomes.values()) == ["passed", "passed"], report.output


@pytest.mark.parametrize(
    ("options", "mark"), [(ANYIO, "anyio"), (ASYNCIO, "asyncio")], ids=["anyio", "asyncio"]
)
def test_queued_work_is_done_at_the_end_on_a_clock_without_auto_advance(
    options: tuple[str, ...], mark: str, tmp_path: Path
) -> None:
    source = f"""
import pytest
from reflexio_async.sandbox import VirtualClock

boxes = []

@pytest.fixture
def reflexio_clock():
    return VirtualClock(auto_advance=False)

@pytest.mark.{mark}
@pytest.mark.reflexio(rerun_seconds=15)
async def test_it(reflexio_sandbox, reflexio_client):
    boxes.append(reflexio_sandbox)
    for user in ("ana", "bob"):
        reflexio_sandbox.seed(user)
        await reflexio_client.rerun_profile_generation(user_id=user)
    assert [operation.status for operation in reflexio_sandbox.operations()] == ["in_progress"]

def test_all_of_it_was_done():
    assert len(boxes[0].operations()) == 2
"""
    report = run_pytest(tmp_path, source, *options)
    assert list(report.outcomes.values()) == ["passed", "passed"], report.output


def test_the_keys_of_the_environment_are_not_shown_to_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REFLEXIO_API_KEY", "REFLECT_API_KEY", "REFLECT_PROJECT_ID"):
        monkeypatch.setenv(name, "hunter2")
    source = """
async def test_it(reflexio_sandbox, reflexio_client, reflect_client):
    await reflexio_client.whoami()
    await reflexio_client.reflect.list_traces()
    await reflect_client.list_traces()
    assert "hunter2" not in str(reflexio_sandbox.requests)
"""
    report = run_pytest(tmp_path, source, *ANYIO_AUTO)
    assert list(report.outcomes.values()) == ["passed"], report.output


A_WEB_APPLICATION = """
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from reflexio_async import AsyncReflexioClient
from reflexio_async.testing import Sandbox

@asynccontextmanager
async def lifespan(app):
    async with AsyncReflexioClient() as client:
        app.state.client = client
        yield

app = FastAPI(lifespan=lifespan)

@app.post("/hear/{user}")
async def hear(user: str, text: str):
    turn = {"role": "user", "content": text}
    await app.state.client.publish_interaction(user_id=user, session_id="s", interactions=[turn])

@pytest.fixture
def web(reflexio_sandbox_thread, monkeypatch):
    monkeypatch.setenv("REFLEXIO_API_URL", reflexio_sandbox_thread.url)
    with TestClient(app) as web:
        yield web

@pytest.mark.parametrize("number", [1, 2])
def test_it_publishes(web, reflexio_sandbox_thread, number):
    assert web.post("/hear/ana", params={"text": "I like tea"}).status_code == 200
    stored = reflexio_sandbox_thread.call(lambda sandbox: list(sandbox.stored_requests.values()))
    assert [request.user_id for request in stored] == ["ana"]
    assert reflexio_sandbox_thread.call(Sandbox.count, "POST", "/api/publish_interaction", 200) == 1
"""


def test_a_web_application_is_tested_with_the_sandbox_of_a_thread(tmp_path: Path) -> None:
    report = run_pytest(tmp_path, A_WEB_APPLICATION)
    assert list(report.outcomes.values()) == ["passed", "passed"], report.output


def test_the_sandbox_of_a_thread_has_the_options_of_the_test_and_real_time(tmp_path: Path) -> None:
    conftest = """
import pytest

@pytest.fixture
def reflexio_sandbox_options():
    return {"api_key": "of all", "failing_users": ["bob"]}
"""
    source = """
import asyncio
import pytest
from reflexio_async import AsyncReflexioClient, JobFailed, SystemClock
from reflexio_async.testing import Sandbox

@pytest.mark.reflexio(api_key="of the test", real_time=True)
def test_it(reflexio_sandbox_thread):
    box = reflexio_sandbox_thread
    box.call(Sandbox.seed, "bob")
    assert isinstance(box.call(lambda sandbox: sandbox.clock), SystemClock)

    async def fail():
        async with AsyncReflexioClient("of the test", box.url) as client:
            await client.rerun_profile_generation(user_id="bob", wait_for_response=True)

    with pytest.raises(JobFailed):
        asyncio.run(fail())

async def test_it_serves_an_asynchronous_test_too(reflexio_sandbox_thread):
    async with AsyncReflexioClient("of all", reflexio_sandbox_thread.url) as client:
        await client.whoami()
"""
    report = run_pytest(tmp_path, source, *ANYIO_AUTO, conftest=conftest)
    assert list(report.outcomes.values()) == ["passed", "passed"], report.output


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("async def test_it(reflexio_client): ...", (), "reflexio_sandbox needs a plugin that runs test_it"),
        ("async def test_it(reflexio_client): ...", ANYIO, "mark it @pytest.mark.anyio"),
        ("async def test_it(reflexio_client): ...", ASYNCIO, "or @pytest.mark.asyncio"),
        (
            "def test_it(reflexio_client): ...",
            ASYNCIO_AUTO,
            "needs an asynchronous test: async def test_it; ordinary tests have reflexio_sandbox_thread",
        ),
        (
            ON_TRIO,
            ANYIO_AUTO,
            "runs on asyncio, not on trio",
        ),
        (
            "import pytest\n@pytest.mark.reflexio(True)\nasync def test_it(reflexio_client): ...",
            ANYIO_AUTO,
            "@pytest.mark.reflexio takes keywords",
        ),
        (
            "import pytest\n@pytest.mark.reflexio(rate_limit=True)\nasync def test_it(reflexio_client): ...",
            ANYIO_AUTO,
            "unexpected keyword argument 'rate_limit'; did you mean 'rate_limits'?",
        ),
        (
            "import pytest\n@pytest.mark.reflexio(clock=None)\nasync def test_it(reflexio_client): ...",
            ANYIO_AUTO,
            "takes no clock as an option: override the fixture reflexio_clock instead",
        ),
        (
            "import pytest\n@pytest.mark.reflexio(clock=None)\ndef test_it(reflexio_sandbox_thread): ...",
            (),
            "reflexio_sandbox_thread takes no clock as an option: the test is on real time",
        ),
        (
            "import pytest\n@pytest.mark.anyio\nasync def test_it(reflexio_client): ...",
            (*ASYNCIO_AUTO, *ANYIO),
            "two plugins that would run test_it",
        ),
    ],
    ids=[
        "no plugin",
        "anyio unmarked",
        "asyncio unmarked",
        "synchronous",
        "trio",
        "positional",
        "unknown",
        "clock",
        "clock of a thread",
        "both",
    ],
)
def test_a_mistake_is_named(source: str, options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    report = run_pytest(tmp_path, source, *options)
    assert set(report.outcomes.values()) == {"error"}, report.output
    assert message in report.output


def test_loading_it_imports_nothing_of_the_package() -> None:
    """It is loaded in every pytest run, most of which have nothing to do with us."""
    code = """
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
loader = SourceFileLoader("plugin", sys.argv[1])
loader.exec_module(module_from_spec(spec_from_loader("plugin", loader)))
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("reflexio_async", "aiohttp")))
"""
    from reflexio_async import pytest_plugin  # noqa: PLC0415  # here, for its path

    command = [sys.executable, "-c", code, str(pytest_plugin.__file__)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
