"""What one typed call costs, against the same call written by hand and by the official clients."""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import by_hand, peers, rounds, static_server
from benchmarks.report import Ratio, Result, at_least, at_most
from reflexio_async import AsyncReflexioClient

if TYPE_CHECKING:
    from benchmarks.report import Figure
    from benchmarks.rounds import Call
    from benchmarks.scale import Scale
    from benchmarks.static_server import Server

TITLE = "CPU per call, and calls per second"


@dataclass(frozen=True)
class Case:
    method: str
    rows: int
    in_flight: int
    uvloop: bool = False

    @property
    def name(self) -> str:
        loop = ", uvloop" if self.uvloop else ""
        return (
            f"{self.method}, {self.rows:,} profile{'s' * (self.rows > 1)}, {self.in_flight} in flight{loop}"
        )

    @property
    def calls(self) -> int:
        """A round of about a tenth of a second."""
        return max(self.in_flight, 32 if self.rows > 1000 else 640)


def cases(scale: Scale) -> list[Case]:
    if scale.quick:
        found = [Case("POST", 20, 32), Case("GET", 1, 1)]
        return [*found, Case("POST", 20, 32, uvloop=True)] if rounds.has_uvloop() else found
    methods, in_flight = ("POST", "GET"), (1, 32, 256)
    found = [Case(method, rows, at) for rows in (1, 20, 5000) for method in methods for at in in_flight]
    if rounds.has_uvloop():
        found += [Case(method, 20, at, uvloop=True) for method in methods for at in in_flight]
    return found


def measure(scale: Scale) -> Result:
    result = Result("calls", TITLE)
    with static_server.running() as server:
        for case in cases(scale):
            number = scale.of(15 if case.rows < 1000 else 7, 1)
            calls = max(case.in_flight, case.calls // 5) if scale.quick else case.calls
            result.figures += rounds.run(_by_hand(server, case, number, calls), uvloop=case.uvloop)
        if scale.peers:
            result.figures += _peers(server, scale, result)
    result.notes.append(
        "By hand and the client run in one process, with the same response models; every answer was "
        "counted there and at the server."
    )
    return result


async def _by_hand(server: Server, case: Case, number: int, calls: int) -> list[Figure]:
    url = f"{server.url}/{case.rows}"
    post = case.method == "POST"
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncReflexioClient("key-1", url, cache_ttl=0))
        # A session each, as they would have: the pools are of the same size.
        best_http = await stack.enter_async_context(by_hand.session())
        usual_http = await stack.enter_async_context(by_hand.session())

        async def our_post() -> int:
            return len((await client.get_profiles(user_id="user-1", top_k=by_hand.TOP_K)).user_profiles)

        async def our_get() -> int:
            return len((await client.get_all_profiles(limit=by_hand.TOP_K)).user_profiles)

        contestants: dict[str, Call] = {
            "ours": our_post if post else our_get,
            "best": by_hand.best_post(best_http, url) if post else by_hand.best_get(best_http, url),
            "usual": by_hand.usual_post(usual_http, url) if post else by_hand.usual_get(usual_http, url),
        }
        path = "/api/get_profiles" if post else "/api/get_all_profiles"
        total = len(contestants) * (number + 1) * calls
        with server.expects({f"{case.method} /{case.rows}{path}": total}):
            costs = await rounds.alternate(
                {
                    name: partial(rounds.timed, call, calls=calls, in_flight=case.in_flight, rows=case.rows)
                    for name, call in contestants.items()
                },
                rounds=number,
            )
    best = Ratio(f"{case.name}: best by hand", "µs", target=at_most(1.10), scale=1e6, against="best by hand")
    usual = Ratio(
        f"{case.name}: usual by hand", "µs", target=at_most(1.00), scale=1e6, against="usual by hand"
    )
    rate = Ratio(f"{case.name}: calls per second", "/s", against="best by hand", drawn=False)
    for cost in costs:
        # With one call in flight the client waits for the server most of the time.
        occupancy = cost["ours"].occupancy if case.in_flight > 1 else None
        best.add(cost["ours"].cpu, cost["best"].cpu, occupancy=occupancy)
        usual.add(cost["ours"].cpu, cost["usual"].cpu)
        rate.add(1 / cost["ours"].wall, 1 / cost["best"].wall)
    return [best, usual, rate]


def _peers(server: Server, scale: Scale, result: Result) -> list[Figure]:
    """Every client on one Python, each in its own process; 20 profiles, 32 in flight."""
    number = scale.of(11, 1)
    url, rows, in_flight = f"{server.url}/20", 20, "32"
    asynchronous = Ratio(
        "reflexio-client 0.2.2, asynchronous",
        "µs",
        target=at_least(2.2),
        scale=1e6,
        faster=True,
        against="reflexio-client",
    )
    threads = Ratio(
        "reflexio-client 0.2.2, threads",
        "µs",
        target=at_least(6),
        scale=1e6,
        faster=True,
        against="reflexio-client",
    )
    with ExitStack() as stack:
        start = partial(_worker, stack, url, in_flight)
        contestants = {
            "ours": (start("ours", "reflexio"), scale.of(1280, 64)),
            "async": (start("official_reflexio", "async"), scale.of(640, 64)),
            "threads": (start("official_reflexio", "threads"), scale.of(320, 64)),
        }
        wanted = {"POST /20/api/get_profiles": contestants["ours"][1] * (number + 1)}
        wanted["POST /api/get_profiles"] = (contestants["async"][1] + contestants["threads"][1]) * (
            number + 1
        )
        with server.expects(wanted):
            for cost in peers.alternate(contestants, rows=rows, rounds=number):
                asynchronous.add(cost["ours"].cpu, cost["async"].cpu)
                threads.add(cost["ours"].cpu, cost["threads"].cpu)
        pythons = sorted({worker.python for worker, _ in contestants.values()})
    result.notes.append(f"The official clients, and ours beside them, on Python {', '.join(pythons)}.")
    return [asynchronous, threads, _reflect(url, in_flight, scale)]


def _worker(stack: ExitStack, url: str, in_flight: str, kind: str, *how: str) -> peers.Worker:
    return stack.enter_context(peers.worker(kind, *how, url, in_flight))


def _reflect(url: str, in_flight: str, scale: Scale) -> Ratio:
    ratio = Ratio(
        "reflect-sdk 0.3.0, asynchronous",
        "µs",
        target=at_least(100),
        scale=1e6,
        faster=True,
        against="reflect-sdk",
    )
    with ExitStack() as stack:
        contestants = {
            "ours": (_worker(stack, url, in_flight, "ours", "reflect"), scale.of(1280, 64)),
            "theirs": (_worker(stack, url, in_flight, "official_reflect"), scale.of(32, 8)),
        }
        for cost in peers.alternate(contestants, rows=20, rounds=scale.of(9, 1)):
            ratio.add(cost["ours"].cpu, cost["theirs"].cpu)
    return ratio
