"""How fast a large answer is decoded, against the official client and the usual way by hand."""

from __future__ import annotations

import gc
import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks import answers, peers
from benchmarks.report import Ratio, Result, at_least
from reflexio_async.core import wire
from reflexio_async.models.profiles import GetProfilesViewResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.scale import Scale

TITLE = "5,000 profiles decoded"
ROWS = 5000  # some ten megabytes as objects: what else the machine does shows, so there are many rounds


def measure(scale: Scale) -> Result:
    result = Result("large", TITLE)
    number = scale.of(15, 1)
    result.figures.append(_by_hand(number))
    if scale.peers:
        body = answers.profiles(ROWS).decode()
        official = Ratio(
            "reflexio-client 0.2.2", "ms", target=at_least(1.5), scale=1e3, faster=True, against="official"
        )
        with ExitStack() as stack:
            ours = stack.enter_context(peers.worker("ours", "decode", "", "1", given=body))
            theirs = stack.enter_context(peers.worker("official_reflexio", "decode", "", "1", given=body))
            calls = scale.of(10, 2)
            for cost in peers.alternate(
                {"ours": (ours, calls), "theirs": (theirs, calls)}, rows=ROWS, rounds=scale.of(61, 1)
            ):
                official.add(cost["ours"].cpu, cost["theirs"].cpu)
            result.notes.append(f"The official client, and ours beside it, on Python {theirs.python}.")
        result.figures.append(official)
    return result


def _by_hand(number: int) -> Ratio:
    ratio = Ratio("json.loads and Model(**data), our models", "ms", scale=1e3, faster=True, against="usual")
    body = answers.profiles(ROWS)
    answer = wire.model(GetProfilesViewResponse)

    def usual() -> int:
        return len(GetProfilesViewResponse(**json.loads(body)).user_profiles)

    def ours() -> int:
        return len(answer.decode(body).user_profiles)

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
