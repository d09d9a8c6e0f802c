"""The command ``python -m benchmarks.soak``: a table while it runs, and at the end a verdict.

The exit code is 1 if anything grows in the second half or is left after closing, and for foreign errors.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.quiet import no_logs
from benchmarks.soak import measure, server
from benchmarks.soak.load import Load
from reflexio_async import AsyncReflexioClient, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.soak.measure import Reading

FEWEST = 8  # rows; of fewer no line can be fitted to the second half


class Soaked(NamedTuple):
    """What a soak has shown: the rows, and what else is wrong."""

    readings: list[Reading]
    problems: list[str]


async def soak(
    seconds: float, every: float, client_type: type[AsyncReflexioClient] = AsyncReflexioClient
) -> Soaked:
    """Let a client work for so long, and print a row each ``every`` seconds."""
    problems: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: problems.append(f"on the event loop: {context}"))
    with server.running() as address:

        def make_client() -> AsyncReflexioClient:
            return client_type(
                url_endpoint=address.url,
                reflect_url=address.reflect_url,
                reflect_api_key=address.reflect_key,
                timeout=3.0,
                outage_timeout=3.0,
                drain_timeout=5.0,
                # Soon tried again, so that what the client remembers is full in the first half.
                retry=RetryPolicy(base_delay=0.02, max_delay=0.2),
                on_background_error=lambda event: load.count_failure(event.error),
            )

        client = make_client()
        load = Load(client, make_client)
        meter = measure.Meter(load)
        work = asyncio.create_task(load.run())
        readings: list[Reading] = []
        print(measure.HEADER, flush=True)
        while len(readings) * every < seconds:
            if (await asyncio.wait([work], timeout=every))[0]:
                work.result()
            readings.append(meter.read())
            print(measure.row(readings[-1]), flush=True)
        work.cancel()
        await asyncio.wait([work])
        await client.aclose()
        await asyncio.sleep(0.1)
    tasks = len(asyncio.all_tasks()) - 1
    if tasks or measure.timers():
        problems.append(f"left after closing: {tasks} tasks, {measure.timers()} timers")
    problems += [
        f"{count} errors that are no ReflexioError: {error}" for error, count in load.outside.items()
    ]
    return Soaked(readings, problems)


def verdict(soaked: Soaked) -> tuple[str, bool]:
    """What to print at the end, and whether all is flat."""
    rises = measure.rises(soaked.readings)
    lines = [f"In the second half, by a linear fit:  ({soaked.readings[-1].seconds:.0f} s in all)"]
    for field, (rise, grows) in rises.items():
        allowed = measure.ALLOWED[field]
        lines.append(f"{field:>9} {rise:>+9.1f}  {'GROWS' if grows else 'flat'} (allowed {allowed:+.0f})")
    growing = [field for field, (_, grows) in rises.items() if grows]
    lines += [*soaked.problems, f"growing: {', '.join(growing)}" if growing else "flat"]
    return "\n".join(lines), not growing and not soaked.problems


def main(arguments: Sequence[str] | None = None, **client: Any) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--every", type=float, default=15.0, metavar="SECONDS", help="time between two rows")
    options = parser.parse_args(arguments)
    seconds = options.minutes * 60
    if options.every <= 0 or seconds / options.every < FEWEST:
        parser.error(f"at least {FEWEST} rows are needed: a longer time, or fewer seconds between two rows")
    with no_logs():  # failures of dropped jobs are counted
        text, flat = verdict(asyncio.run(soak(seconds, options.every, **client)))
    print(f"\n{text}")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
