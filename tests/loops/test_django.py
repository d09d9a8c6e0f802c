"""Views of Django: synchronous ones in threads, with ``async_to_sync``, and asynchronous ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from reflexio_async.sandbox import Sandbox
    from tests.loops.conftest import Program

pytestmark = pytest.mark.slow

VIEWS = """
import asyncio, sys, threading
from concurrent.futures import ThreadPoolExecutor

import django
from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import JsonResponse
from django.test import AsyncClient, Client
from django.urls import path
from reflexio_async import AsyncReflexioClient, ConfigurationError

client = AsyncReflexioClient(url_endpoint=sys.argv[1])
of_thread = threading.local()
both_are_in = threading.Barrier(2, timeout=60)

async def profiles(client, meet=False):
    first = await client.get_profiles(user_id="u", force_refresh=True)
    if meet:
        await asyncio.to_thread(both_are_in.wait)
    return (await client.get_profiles(user_id="u", force_refresh=True)).success and first.success

def of_the_module(request):
    return JsonResponse({"ok": async_to_sync(profiles)(client)})

def of_the_module_at_once(request):
    try:
        return JsonResponse({"ok": async_to_sync(profiles)(client, meet=True)})
    except ConfigurationError as error:
        both_are_in.wait()
        return JsonResponse({"refused": str(error)})

def of_the_thread_at_once(request):
    if not hasattr(of_thread, "client"):
        of_thread.client = AsyncReflexioClient(url_endpoint=sys.argv[1])
    return JsonResponse({"ok": async_to_sync(profiles)(of_thread.client, meet=True)})

async def asynchronous(request):
    return JsonResponse({"ok": await profiles(client)})

urlpatterns = [path(f"{view.__name__}", view) for view in (
    of_the_module, of_the_module_at_once, of_the_thread_at_once, asynchronous)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="k")
django.setup()

def get(view):
    return Client().get(f"/{view}").json()

def get_two_at_once(view):
    with ThreadPoolExecutor(2) as threads:
        return sorted(threads.map(get, [view, view]), key=str)
"""


def test_one_synchronous_view_after_another_uses_the_client_of_the_module(
    box: Sandbox, program: Program
) -> None:
    source = """
assert [get("of_the_module") for _ in range(3)] == [{"ok": True}] * 3
"""
    assert program(VIEWS + source, box.url) == ""


def test_of_two_synchronous_views_at_once_one_is_refused_and_told_why(box: Sandbox, program: Program) -> None:
    source = """
accepted, refused = get_two_at_once("of_the_module_at_once")
assert accepted == {"ok": True}, accepted
assert "one client per thread" in refused["refused"], refused
assert get("of_the_module") == {"ok": True}
"""
    assert program(VIEWS + source, box.url) == ""


def test_two_synchronous_views_at_once_work_with_a_client_per_thread(box: Sandbox, program: Program) -> None:
    source = """
for _ in range(2):
    assert get_two_at_once("of_the_thread_at_once") == [{"ok": True}] * 2
"""
    assert program(VIEWS + source, box.url) == ""


def test_under_asgi_all_views_share_the_client_of_the_module(box: Sandbox, program: Program) -> None:
    source = """
async def main():
    views = ["asynchronous", "of_the_module"] * 3
    answers = await asyncio.gather(*(AsyncClient().get(f"/{view}") for view in views))
    assert [answer.json() for answer in answers] == [{"ok": True}] * 6
    await client.aclose()

asyncio.run(main())
"""
    assert program(VIEWS + source, box.url) == ""
