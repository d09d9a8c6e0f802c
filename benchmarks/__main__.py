"""Run every benchmark and print ratios: ``python -m benchmarks [--quick]``."""

from __future__ import annotations

import argparse
import asyncio
import platform
import time

import aiohttp
import pydantic

from benchmarks import calls, imports, static_server
from benchmarks.report import table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few short rounds, to prove that it works")
    quick = parser.parse_args().quick
    began = time.perf_counter()
    print(
        f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, pydantic {pydantic.VERSION}; "
        f"{calls.IN_FLIGHT} calls in flight"
    )
    with static_server.running() as url:
        pairs = asyncio.run(
            calls.measure(url, rounds=3 if quick else 15, calls=320 if quick else 3200),
        )
    pairs.append(imports.measure(rounds=2 if quick else 9))
    print(table(pairs))
    print(f"took {time.perf_counter() - began:.0f} s; every answer was counted here and at the server")


if __name__ == "__main__":
    main()
