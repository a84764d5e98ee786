"""What the drivers share: the command line of scripts/bench (see its README) and how figures are printed."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

PROTOCOL = "/bench/1.0.0"
"""A stream of 16 bytes, how many are wanted and how many follow, then those that follow; then those that were wanted. For
peers that cannot end one direction of a stream; an answer of none is one byte long, to say that all has come."""
PING_SIZE = 32


def options(words: list[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words)


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def say(figures: dict[str, float]) -> None:
    print(json.dumps({"figures": figures}), flush=True)


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def times(values: list[float]) -> dict[str, float]:
    return {"median": quantile(values, 0.5) * 1e6, "p99": quantile(values, 0.99) * 1e6}


def command() -> tuple[str, str, str, dict[str, str]]:
    """`listen`, or `dial` with an address, a case and its options."""
    match sys.argv[1:]:
        case ["listen", *_]:
            return "listen", "", "", {}
        case ["dial", address, name, *rest]:
            return "dial", address, name, options(rest)
        case _:
            raise SystemExit("listen, or dial ADDRESS CASE [NAME=VALUE …]")


async def per_second(workers: int, seconds: float, operation: Callable[[int], Awaitable[None]]) -> float:
    """How often a second an operation is done by so many asyncio tasks that each do it again and again."""
    start = time.monotonic()
    counts = [0] * workers

    async def work(index: int) -> None:
        while True:
            await operation(index)
            counts[index] += 1
            if time.monotonic() - start >= seconds:
                return

    await asyncio.gather(*(work(index) for index in range(workers)))
    return sum(counts) / (time.monotonic() - start)
