"""What does tracing cost one call: with OpenTelemetry's API alone, and with its SDK?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from benchmarks import rounds
from benchmarks.report import Figure, Result, at_most
from reflexio_async import AsyncReflexioClient
from reflexio_async._engine.observer import Observer
from reflexio_async._engine.tracing import Tracing
from reflexio_async._engine.wire import RawResponse

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "Tracing, per call"
OFF = "tracing off"
RESPONSE = RawResponse(200, {}, b'{"success": true, "org_id": "org"}', "http://localhost/api/whoami")


class NoSockets:
    """Answers at once, so that nothing but the call itself is measured."""

    base_url = "http://localhost"

    async def send(self, *_: object, **__: object) -> RawResponse:
        return RESPONSE


def observers() -> dict[str, Observer]:
    meters = MeterProvider([InMemoryMetricReader()])
    return {
        OFF: Observer(),
        "the API alone": Tracing(),
        "the SDK, not sampled": Tracing(tracer_provider=TracerProvider(ALWAYS_OFF), meter_provider=meters),
        "the SDK, no exporter": Tracing(tracer_provider=TracerProvider(), meter_provider=meters),
    }


def measure(scale: Scale) -> Result:
    result = Result("tracing", TITLE)
    seconds = rounds.run(_measure(calls=scale.of(5000, 50), number=scale.of(15, 1)))
    for name, samples in seconds.items():
        result.figures.append(Figure(f"one call, {name}", "µs", [sample * 1e6 for sample in samples]))
    for name in list(seconds)[1:]:
        # The least of all rounds: other processes only ever add to it.
        added = min(seconds[name]) - min(seconds[OFF])
        target = at_most(3.0) if name == "the API alone" else None
        result.figures.append(Figure(f"added by {name}", "µs", [added * 1e6], target=target, exact=True))
    result.notes.append(
        "CPU time of whole calls whose HTTP exchange is left out. What is added is the difference between "
        "the fastest rounds."
    )
    return result


async def _measure(calls: int, number: int) -> dict[str, list[float]]:
    """Seconds of CPU time for each call, per round."""
    clients: dict[str, AsyncReflexioClient] = {}
    for name, observer in observers().items():
        client = clients[name] = AsyncReflexioClient(url_endpoint=NoSockets.base_url, tracing=False)
        caller: Any = client._engine.caller
        caller.http, caller.observer = NoSockets(), observer
    samples: dict[str, list[float]] = {name: [] for name in clients}
    for order in rounds.turns(clients, number + 1):
        for name in order:
            samples[name].append(await _cpu(clients[name], calls))
    for client in clients.values():
        await client.aclose()
    return {name: found[1:] for name, found in samples.items()}


async def _cpu(client: AsyncReflexioClient, calls: int) -> float:
    began = time.process_time()
    for _ in range(calls):
        assert (await client.whoami()).org_id == "org"
    return (time.process_time() - began) / calls
