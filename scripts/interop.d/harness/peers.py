"""The implementations and how each is started.

Every node takes `listen` and `dial ADDRESS` (see drivers/node.py), so a pair is two command lines.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import install

DRIVERS = Path(__file__).resolve().parent.parent / "drivers"
_PY = ["libp2p==0.8.1"]
_DRAFT_29 = [
    "aioquic==0.9.25",
    "attrs==26.1.0",
    "certifi==2026.10.18",
    "cffi==2.1.1",
    "cryptography==50.0.2",
    "pycparser==3.12",
    "pylsqpack==0.3.24",
    "pyopenssl==26.4.0",
    "service-identity==26.1.0",
    "typing-extensions==4.16.0",
]

OURS = "swift"
AGENT = "swift-interop/9.8.7"
"""The agent version that our node is told to announce."""


@dataclass(frozen=True)
class Peer:
    """One implementation, installed."""

    name: str
    label: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    needs_isolation: str = ""
    """Why this peer may run only where nothing but loopback exists; empty when it may run anywhere."""
    accepts_protocol_version: str = "interop/1.2.3"
    """What our node has to announce as identify's protocol version to this peer; most take anything."""
    lacks: Sequence[str] = ()
    """The features it does not have; an `absent` cell anywhere else is a fail."""
    never_tries: Sequence[str] = ()
    """The features it does not try as a dialer."""
    sends_no_record: bool = False
    """Whether its identify has no signed record; from every other peer one is required."""
    sees_no_resets: bool = False
    """Whether it cannot tell a reset from another end of a stream."""
    talks_to: Sequence[str] | None = None
    """Whom it accepts; everybody when None."""

    def node(self, *arguments: str) -> list[str]:
        return [*self.command, *arguments]


def swift(binary: Path) -> Peer:
    return Peer(OURS, "this repository", [str(binary)])


def plain(name: str, command: Sequence[str]) -> Peer:
    """Something that listens and has none of the features."""
    return Peer(name, name, command)


def aioquic_of(name: str) -> str:
    """The Python of an environment that has aioquic: `draft29`, the last that speaks draft 29, or `py`'s own."""
    if name == "draft29":
        return install.python(install.virtual_environment(name, _DRAFT_29, dependencies=False))
    return install.python(install.virtual_environment(name, _PY, constraints="py-constraints.txt"))


def _python() -> Peer:
    folder = install.virtual_environment("py", _PY, constraints="py-constraints.txt")
    return Peer(
        "py",
        "py-libp2p 0.8.1",
        [install.python(folder), str(DRIVERS / "py_node.py")],
        never_tries=("wrong-id",),
    )


def _go() -> Peer:
    # The wheel's heavy dependencies (torch, …) are for its own Python code: only the daemon in it is used.
    folder = install.virtual_environment("go", ["hivemind==1.1.12"], dependencies=False)
    binary = install.file_inside(folder, "hivemind/hivemind_cli/p2pd")
    return Peer(
        "go",
        "go-libp2p, p2pd of hivemind 1.1.12",
        [install.python(folder), str(DRIVERS / "go_node.py")],
        environment={"P2PD": str(binary), "GOLOG_LOG_LEVEL": os.environ.get("GOLOG_LOG_LEVEL", "fatal")},
        lacks=("half-close", "perf"),
        sees_no_resets=True,
    )


def _rust() -> Peer:
    folder = install.virtual_environment("rust", ["lattica==1.0.21"], dependencies=False)
    return Peer(
        "rust",
        "rust-libp2p, quic 0.11.1 of lattica 1.0.21",
        [install.python(folder), str(DRIVERS / "rust_node.py")],
        sends_no_record=True,
        needs_isolation="lattica asks public STUN servers for its address whenever it starts",
        accepts_protocol_version="/lattica/1.0.0",
        lacks=("echo", "echo-1MiB", "half-close", "100-streams", "reset", "reset-back", "large", "perf"),
        never_tries=("wrong-id",),
        talks_to=(OURS, "rust"),  # the others cannot be told to announce its protocol version
    )


PEERS = {"py": _python, "go": _go, "rust": _rust}
