"""What does one typed call cost, compared with the same call written by hand and by the official clients?"""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import by_hand, peers, rounds, static_server
from benchmarks.report import Ratio, Result, at_least, at_most
from reflexio_async import AsyncReflexioClient
from tests.environments import REFLEXIO_CLIENT_VERSION, WHOLE_REFLECT_SDK_VERSION

if TYPE_CHECKING:
    from benchmarks.report import Figure
    from benchmarks.rounds import Call
    from benchmarks.scale import Scale
    from benchmarks.static_server import Server

TITLE = "CPU per call, and calls per second"


@dataclass(frozen=True)
class Case:
    method: str
    profiles: int
    in_flight: int
    uvloop: bool = False

    @property
    def name(self) -> str:
        loop = ", uvloop" if self.uvloop else ""
        plural = "s" * (self.profiles > 1)
        return f"{self.method}, {self.profiles:,} profile{plural}, {self.in_flight} in flight{loop}"

    @property
    def calls(self) -> int:
        """Calls per round: a round takes some tenth of a second."""
        return 32 if self.profiles > 1000 else 640


def cases(scale: Scale) -> list[Case]:
    if scale.quick:
        found = [Case("POST", 20, 32), Case("GET", 1, 1)]
        return [*found, Case("POST", 20, 32, uvloop=True)] if rounds.has_uvloop() else found
    methods, in_flight = ("POST", "GET"), (1, 32, 256)
    found = [Case(method, profiles, at) for profiles in (1, 20) for method in methods for at in in_flight]
    found += [Case(method, 5000, 32) for method in methods]
    if rounds.has_uvloop():
        found += [Case(method, 20, at, uvloop=True) for method in methods for at in in_flight]
    return found


def measure(scale: Scale) -> Result:
    result = Result("calls", TITLE)
    with static_server.running() as server:
        for case in cases(scale):
            number = scale.of(15 if case.profiles < 1000 else 9, 1)
            calls = max(case.in_flight, case.calls // 5) if scale.quick else case.calls
            result.figures += rounds.run(_by_hand(server, case, number, calls), uvloop=case.uvloop)
        if scale.peers:
            result.figures += _peers(server, scale, result)
    result.notes.append(
        "The client and the code written by hand run in one process, with the same response models. The "
        "profiles are counted there, the requests at the server."
    )
    return result


async def _by_hand(server: Server, case: Case, number: int, calls: int) -> list[Figure]:
    url = f"{server.url}/{case.profiles}"
    post = case.method == "POST"
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncReflexioClient("key-1", url, cache_ttl=0))
        http = await stack.enter_async_context(by_hand.session())

        async def our_post() -> int:
            return len((await client.get_profiles(user_id="user-1", top_k=by_hand.TOP_K)).user_profiles)

        async def our_get() -> int:
            return len((await client.get_all_profiles(limit=by_hand.TOP_K)).user_profiles)

        candidates: dict[str, Call] = {
            "ours": our_post if post else our_get,
            "by hand": by_hand.post(http, url) if post else by_hand.get(http, url),
        }
        path = "/api/get_profiles" if post else "/api/get_all_profiles"
        total = len(candidates) * (number + 1) * calls
        with server.expects({f"{case.method} /{case.profiles}{path}": total}):
            costs = await rounds.alternate(
                {
                    name: partial(
                        rounds.timed, call, calls=calls, in_flight=case.in_flight, items=case.profiles
                    )
                    for name, call in candidates.items()
                },
                rounds=number,
            )
    target = at_most(1.15 if case.profiles == 1 else 1.00)
    cpu = Ratio(case.name, "µs", target=target, scale=1e6, against="by hand")
    rate = Ratio(f"{case.name}: calls per second", "/s", against="by hand", drawn=False)
    for cost in costs:
        # With one call in flight the client waits for the server most of the time.
        occupancy = cost["ours"].occupancy if case.in_flight > 1 else None
        cpu.add(cost["ours"].cpu, cost["by hand"].cpu, occupancy=occupancy)
        rate.add(1 / cost["ours"].wall, 1 / cost["by hand"].wall)
    return [cpu, rate]


def _peers(server: Server, scale: Scale, result: Result) -> list[Figure]:
    """Every client in a process of its own, all on one Python; 20 profiles, 32 calls in flight."""
    url, in_flight = f"{server.url}/20", "32"
    names = {
        "async": f"reflexio-client {REFLEXIO_CLIENT_VERSION}, asynchronous",
        "threads": f"reflexio-client {REFLEXIO_CLIENT_VERSION}, threads",
        "reflect": f"reflect-sdk {WHOLE_REFLECT_SDK_VERSION}, asynchronous",
    }
    figures = {
        who: Ratio(name, "µs", target=at_least(2), scale=1e6, faster=True, against=name.partition(" ")[0])
        for who, name in names.items()
    }
    with ExitStack() as stack:

        def start(kind: str, *how: str) -> peers.Worker:
            return stack.enter_context(peers.worker(kind, *how, url, in_flight))

        candidates = {
            "ours": (start("ours", "reflexio"), scale.of(1280, 64)),
            "async": (start("official_reflexio", "async"), scale.of(640, 64)),
            "threads": (start("official_reflexio", "threads"), scale.of(320, 64)),
        }
        number = scale.of(11, 1)
        calls = {who: calls * (number + 1) for who, (_, calls) in candidates.items()}
        wanted = {
            "POST /20/api/get_profiles": calls["ours"],
            "POST /api/get_profiles": calls["async"] + calls["threads"],
        }
        with server.expects(wanted):
            for cost in peers.alternate(candidates, items=20, rounds=number):
                for who in ("async", "threads"):
                    figures[who].add(cost["ours"].cpu, cost[who].cpu)
        pythons = sorted({worker.python for worker, _ in candidates.values()})
        candidates = {
            "ours": (start("ours", "reflect"), scale.of(1280, 64)),
            "reflect": (start("official_reflect"), scale.of(32, 8)),
        }
        for cost in peers.alternate(candidates, items=20, rounds=scale.of(9, 1)):
            figures["reflect"].add(cost["ours"].cpu, cost["reflect"].cpu)
    result.notes.append(f"The official clients, and ours beside them, run on Python {', '.join(pythons)}.")
    return list(figures.values())
