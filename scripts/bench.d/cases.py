"""What is measured: each case, its figures, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30


@dataclass(frozen=True)
class Figure:
    """One number of a case."""

    key: str
    title: str
    unit: str
    more_is_better: bool = True
    decimals: int = 0


@dataclass(frozen=True)
class Case:
    """One thing to measure. A run of it gives every figure."""

    name: str
    title: str
    figures: Sequence[Figure]
    kind: str
    """How it is run: `transfer`, `lossy`, `dial`, `idle` or `startup` (see runners.py)."""
    options: Mapping[str, str] = field(default_factory=dict)
    quick: Mapping[str, str] = field(default_factory=dict)
    """What is smaller in a quick run."""

    def chosen(self, quick: bool) -> dict[str, str]:
        return {**self.options, **(self.quick if quick else {})}


_LEVELS = (20, 1000, 10_000)


def _costs() -> list[Figure]:
    return [
        Figure("client cpu", "CPU of the client", "s/GiB", False, 2),
        Figure("server cpu", "CPU of the server", "s/GiB", False, 2),
    ]


def _requests() -> list[Figure]:
    return [
        Figure(f"{size}x{level}", f"{text} × {level} at once", "1/s")
        for level in (1, 32, 256)
        for size, text in ((1, "1 B"), (100, "100 B"), (10240, "10 KiB"))
    ]


def _idle(count: int) -> list[Figure]:
    return [
        Figure("connection", f"a connection, of {count:,}", "KiB", False, 1),
        Figure("stream", f"a stream, of {count:,}", "KiB", False, 1),
    ]


def _growth() -> list[Figure]:
    return [
        Figure(f"{what} at {level}", f"{text}, N = {level:,}", "1/s")
        for what, text in (("requests", "1 byte there and back"), ("streams", "new stream and echo"))
        for level in _LEVELS
    ]


CASES: Sequence[Case] = (
    Case(
        "download",
        "one stream, to the client",
        [Figure("rate", "throughput", "MiB/s"), *_costs()],
        "transfer",
        {"download": str(GIBIBYTE)},
        {"download": str(64 * MEBIBYTE)},
    ),
    Case(
        "upload",
        "one stream, to the server",
        [Figure("rate", "throughput", "MiB/s"), *_costs()],
        "transfer",
        {"upload": str(GIBIBYTE)},
        {"upload": str(64 * MEBIBYTE)},
    ),
    Case(
        "streams",
        "100 streams at once, to the client",
        [Figure("rate", "throughput", "MiB/s")],
        "dial",
        {"streams": "100", "bytes": str(5 * MEBIBYTE)},
        {"bytes": str(256 << 10)},
    ),
    Case(
        "request",
        "request and answer on open streams",
        _requests(),
        "dial",
        {"seconds": "0.25"},
        {"seconds": "0.05"},
    ),
    Case(
        "open",
        "new stream, negotiation, one byte there and back",
        [Figure("1", "one after another", "1/s"), Figure("32", "32 at once", "1/s")],
        "dial",
        {"seconds": "0.5"},
        {"seconds": "0.1"},
    ),
    Case(
        "handshake",
        "full mutual handshakes",
        [Figure("1", "one after another", "1/s"), Figure("32", "32 at once", "1/s")],
        "dial",
        {"seconds": "0.7"},
        {"seconds": "0.2"},
    ),
    Case(
        "connect",
        "connections of hosts: handshake and identify",
        [Figure("1", "one after another", "1/s")],
        "dial",
        {"seconds": "0.7"},
        {"seconds": "0.2"},
    ),
    Case(
        "ping",
        "round trip of a ping",
        [
            Figure("median", "idle, median", "µs", False),
            Figure("p99", "idle, 99 %", "µs", False),
            Figure("loaded median", "beside a transfer, median", "µs", False),
            Figure("loaded p99", "beside a transfer, 99 %", "µs", False),
        ],
        "dial",
        {"count": "5000", "bytes": str(512 * MEBIBYTE)},
        {"count": "500", "bytes": str(64 * MEBIBYTE)},
    ),
    Case(
        "memory",
        "resident memory of the listener, for each idle",
        _idle(1000),
        "idle",
        {"connections": "1000", "streams": "100", "busy": "10"},
        {"connections": "100", "streams": "20", "busy": "5"},
    ),
    Case(
        "growth",
        "memory of the listener, and what one connection of N does",
        [*_idle(10_000), *_growth()],
        "idle",
        {
            "connections": "10000", "streams": "100", "busy": "100", "seconds": "0.3",
            "levels": ",".join(map(str, _LEVELS)),
        },
        {"connections": "300", "streams": "20", "busy": "10", "seconds": "0.1", "levels": "20,300"},
    ),
    Case("startup", "start-up of a listener", [Figure("time", "until it listens", "ms", False)], "startup"),
    Case(
        "lossy",
        "1 % loss each way, 50 ms round trip, one stream",
        [Figure("rate", "throughput", "KiB/s")],
        "lossy",
        {"download": str(2 * MEBIBYTE), "loss": "0.01", "delay": "25"},
        {"download": str(256 << 10)},
    ),
)  # fmt: skip

BY_NAME = {case.name: case for case in CASES}
