"""What all drivers share: the command line, the features and how results are printed.

Every node, ours included, speaks the same two commands:

    NODE listen        prints `absent FEATURE REASON` for what it cannot serve, then `listening ADDR` (with /p2p/ID),
                       and serves until SIGTERM or SIGINT; then it may print an object as below, with what only the
                       listening side can see
    NODE dial ADDR     uses every feature of the peer at ADDR and prints one JSON object:
                       {"results": {FEATURE: {"status": "pass"|"fail"|"absent", "detail": TEXT}}}
                       `--large N`: how many bytes go each way in `large`; a quarter of it in `perf`

`absent` means that one of the two has no such thing; the detail is the proof.

`reset`, `reset-back` and `agent` use a protocol of their own, CONTROL_PROTOCOL; each stream begins with one line:

    reset CODE         the listener answers `code N`, the code it is going to use, waits for a line, resets with it
    await-reset        the listener answers `ready` and reads until the dialer resets the stream
    seen               the listener answers how that stream ended, once it has: `reset N`, or something else
    identify           the listener identifies the dialer and answers with its protocol version, a tab, its agent
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from dataclasses import dataclass, field

# The drivers take the names of the features from here.
from features import (
    AGENT,
    BIG_ECHO,
    ECHO,
    FEATURES,
    HALF_CLOSE,
    HANDSHAKE,
    IDENTIFY,
    LARGE,
    PERF,
    PING,
    RESET,
    RESET_BACK,
    STREAMS,
    WRONG_ID,
)
from wire import Identify

OWN_STREAMS = (ECHO, BIG_ECHO, HALF_CLOSE, STREAMS, RESET, RESET_BACK, LARGE, PERF)
"""What takes streams of a protocol that is not built in."""

ECHO_PROTOCOL = "/echo/1.0.0"
IDENTIFY_PROTOCOL = "/ipfs/id/1.0.0"
PING_PROTOCOL = "/ipfs/ping/1.0.0"
PERF_PROTOCOL = "/perf/1.0.0"
CONTROL_PROTOCOL = "/interop-control/1.0.0"

OTHER_PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
"""Somebody who is never there: a dialer that expects this peer has to refuse the listener (`wrong-id`)."""

PING_COUNT = 3
PING_SIZE = 32
ECHO_LINE = b"the quick brown fox\n"
BIG_ECHO_SIZE = 1 << 20
HALF_CLOSE_SIZE = 64 << 10
LARGE_BLOCK = 64 << 10
LARGE_BLOCKS_AHEAD = 16
"""How many blocks may be on the way in `large`: py-libp2p drops without a word what it has received and nobody has
read yet, above 2 MiB a stream."""
STREAM_COUNT = 100
STREAM_SIZE = 1000
RESET_CODE = 42
"""The code of a dialer's reset."""
RESET_BACK_CODE = 66
"""The code that a dialer asks of a listener."""
STEP_TIMEOUT = 20.0
"""Seconds a single feature may take."""
LARGE_TIMEOUT = 90.0
"""Seconds that LARGE and PERF may take."""
LINE_LIMIT = 1024
"""The longest line of CONTROL_PROTOCOL."""


def timeout(feature: str) -> float:
    return LARGE_TIMEOUT if feature in (LARGE, PERF) else STEP_TIMEOUT


class Absent(Exception):
    """The other side has no such thing; the text proves it."""


@dataclass
class Results:
    """The outcome of each feature tried, in order."""

    cells: dict[str, dict[str, str]] = field(default_factory=dict)

    def passed(self, feature: str, detail: str = "") -> None:
        self.cells[feature] = {"status": "pass", "detail": detail}

    def failed(self, feature: str, error: BaseException | str) -> None:
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        self.cells[feature] = {"status": "fail", "detail": text}

    def absent(self, feature: str, detail: str) -> None:
        self.cells[feature] = {"status": "absent", "detail": detail}

    def print(self) -> None:
        print(json.dumps({"results": self.cells}), flush=True)

    def finish(self) -> int:
        """Prints the object with every feature in it; returns the exit status."""
        for feature in FEATURES:
            if feature not in self.cells:
                self.failed(feature, "not reached")
        self.print()
        return 1 if any(cell["status"] == "fail" for cell in self.cells.values()) else 0


def announce(address: str) -> None:
    print(f"listening {address}", flush=True)


def announce_absent(feature: str, reason: str) -> None:
    print(f"absent {feature} {reason}", flush=True)


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def check_identify(seen: Identify, expected_peer: str) -> str:
    """Raises if the message is not one a host may send; returns a summary."""
    if seen.peer != expected_peer:
        raise ValueError(f"identify names {seen.peer or 'no peer'}, the connection belongs to {expected_peer}")
    for needed in (IDENTIFY_PROTOCOL, PING_PROTOCOL):
        if needed not in seen.protocols:
            raise ValueError(f"identify does not list {needed}: {seen.protocols}")
    if not seen.observed:
        raise ValueError("identify carries no observed address")
    if not seen.signed_record:
        raise ValueError("identify carries no signed record")
    return f"{seen.agent}, {len(seen.protocols)} protocols, observed {seen.observed}, signed record"


def check_announced(protocol_version: str, agent: str) -> str:
    """Raises unless the peer announces what it was configured with, where the harness says what that is."""
    wanted = os.environ.get("INTEROP_PROTOCOL_VERSION", protocol_version), os.environ.get("INTEROP_AGENT", agent)
    if (protocol_version, agent) != wanted:
        raise ValueError(f"the peer announces {protocol_version!r}, {agent!r}; it is configured with {wanted}")
    return f"{agent}, protocol version {protocol_version}"


def check_reset(seen: str, code: int, *, role: str = "listener") -> str:
    """Raises unless the other side saw the reset and its code."""
    if seen != f"reset {code}":
        raise ValueError(f"reset with code {code}, the {role} saw: {seen}")
    return f"the {role} saw code {code}"


def random_bytes(count: int) -> bytes:
    return os.urandom(count)


def check_echo(sent: bytes, received: bytes) -> str:
    """Raises unless the bytes came back; returns a summary with the hash."""
    if len(sent) != len(received):
        raise ValueError(f"sent {len(sent)} bytes, {len(received)} came back")
    wanted, got = (hashlib.sha256(data).hexdigest() for data in (sent, received))
    if wanted != got:
        raise ValueError(f"sha256 {wanted[:16]}… went out, {got[:16]}… came back")
    return f"{len(sent)} bytes, sha256 {got[:16]}…"


def ping_summary(round_trips: list[float]) -> str:
    times = ", ".join(f"{seconds * 1000:.2f}" for seconds in round_trips)
    return f"{len(round_trips)} × 32 bytes, ms: {times}"


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("listen", help="serve until SIGTERM")
    dial = commands.add_parser("dial", help="use every feature of a peer")
    dial.add_argument("address", help="multiaddr ending in /p2p/ID")
    dial.add_argument("--large", type=int, default=16 << 20, help="how many bytes go each way in `large`")
    return parser.parse_args()
