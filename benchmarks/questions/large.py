"""How fast a large answer is decoded, against the official client and the usual way by hand."""

from __future__ import annotations

import gc
import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from benchmarks import answers, peers, static_server
from benchmarks.report import Ratio, Result, Target, at_least
from reflexio_async.reflexio.models.profiles import GetProfilesViewResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.scale import Scale

TITLE = "5,000 profiles decoded"
ROWS = 5000  # some ten megabytes as objects: what else the machine does shows, so there are many rounds


def measure(scale: Scale) -> Result:
    result = Result("large", TITLE)
    result.figures.append(_by_hand(scale.of(15, 1)))
    if scale.peers:
        result.figures += _whole_calls(scale)
        official = _against("its decoding alone", target=at_least(1.5))
        body = answers.profiles(ROWS).decode()
        with ExitStack() as stack:
            ours = stack.enter_context(peers.worker("ours", "decode", "", "1", given=body))
            theirs = stack.enter_context(peers.worker("official_reflexio", "decode", "", "1", given=body))
            calls = scale.of(10, 2)
            for cost in peers.alternate(
                {"ours": (ours, calls), "theirs": (theirs, calls)}, rows=ROWS, rounds=scale.of(61, 1)
            ):
                official.add(cost["ours"].cpu, cost["theirs"].cpu)
        result.figures.append(official)
        result.notes.append(
            f"The official client, and ours beside it, on Python {theirs.python}. Its asynchronous path is "
            "not public. Alone: the same bytes again and again. Its models leave two lists of each row out."
        )
    return result


def _whole_calls(scale: Scale) -> list[Ratio]:
    """From the socket to the models, one call after the other."""
    public = _against("get_profiles", target=at_least(1.5))
    asynchronous = _against("asynchronous")
    number, calls = scale.of(21, 1), scale.of(8, 2)
    with ExitStack() as stack:
        server = stack.enter_context(static_server.running(bare=ROWS))
        contestants = {
            name: (stack.enter_context(peers.worker(kind, how, f"{server.url}/{ROWS}", "1")), calls)
            for name, kind, how in (
                ("ours", "ours", "reflexio"),
                ("public", "official_reflexio", "threads"),
                ("asynchronous", "official_reflexio", "async"),
            )
        }
        made = calls * (number + 1)
        with server.expects({f"POST /{ROWS}/api/get_profiles": made, "POST /api/get_profiles": 2 * made}):
            for cost in peers.alternate(contestants, rows=ROWS, rounds=number):
                public.add(cost["ours"].cpu, cost["public"].cpu)
                asynchronous.add(cost["ours"].cpu, cost["asynchronous"].cpu)
    return [public, asynchronous]


def _against(what: str, target: Target | None = None) -> Ratio:
    return Ratio(
        f"reflexio-client 0.2.2, {what}", "ms", target=target, scale=1e3, faster=True, against="official"
    )


def _by_hand(number: int) -> Ratio:
    ratio = Ratio("json.loads and Model(**data), our models", "ms", scale=1e3, faster=True, against="usual")
    body = answers.profiles(ROWS)
    read = TypeAdapter(GetProfilesViewResponse).validate_json

    def usual() -> int:
        return len(GetProfilesViewResponse(**json.loads(body)).user_profiles)

    def ours() -> int:
        return len(read(body).user_profiles)

    for _ in range(number):
        our_seconds, their_seconds = _seconds(ours), _seconds(usual)
        ratio.add(our_seconds, their_seconds)
    return ratio


def _seconds(decode: Callable[[], int]) -> float:
    decode()
    gc.collect()
    began = time.process_time()
    for _ in range(3):
        assert decode() == ROWS
    return (time.process_time() - began) / 3
