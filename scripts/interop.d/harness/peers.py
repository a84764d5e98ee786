"""The implementations and how each is started.

Every node takes `listen` and `dial ADDRESS` (see drivers/node.py), so a pair is two command lines.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import install

_DRIVERS = Path(__file__).resolve().parent.parent / "drivers"

OURS = "swift"


@dataclass(frozen=True)
class Peer:
    """One implementation, installed."""

    name: str
    label: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    needs_isolation: str = ""
    """Why this peer may run only where nothing but loopback exists; empty when it may run anywhere."""
    asks_of_others: Sequence[str] = ()
    """What our node has to be told for this peer to talk to it."""
    lacks: Sequence[str] = ()
    """The features it does not have; an `absent` cell anywhere else is a fail."""
    never_tries: Sequence[str] = ()
    """The features it does not try as a dialer."""
    talks_to: Sequence[str] | None = None
    """Whom it accepts; everybody when None."""

    def node(self, *arguments: str) -> list[str]:
        return [*self.command, *arguments]


def swift(binary: Path) -> Peer:
    return Peer(OURS, "this repository", [str(binary)])


def _python() -> Peer:
    folder = install.virtual_environment("py", ["libp2p==0.8.1"], constraints="py-constraints.txt")
    return Peer(
        "py",
        "py-libp2p 0.8.1",
        [install.python(folder), str(_DRIVERS / "py_node.py")],
        never_tries=("wrong-id",),
    )


def _go() -> Peer:
    # The wheel's heavy dependencies (torch, …) are for its own Python code: only the daemon in it is used.
    folder = install.virtual_environment("go", ["hivemind==1.1.12"], dependencies=False)
    binary = install.file_inside(folder, "hivemind/hivemind_cli/p2pd")
    return Peer(
        "go",
        "go-libp2p, p2pd of hivemind 1.1.12",
        [install.python(folder), str(_DRIVERS / "go_node.py")],
        environment={"P2PD": str(binary), "GOLOG_LOG_LEVEL": os.environ.get("GOLOG_LOG_LEVEL", "fatal")},
        lacks=("half-close",),
    )


def _rust() -> Peer:
    folder = install.virtual_environment("rust", ["lattica==1.0.21"], dependencies=False)
    return Peer(
        "rust",
        "rust-libp2p, quic 0.11.1 of lattica 1.0.21",
        [install.python(folder), str(_DRIVERS / "rust_node.py")],
        needs_isolation="lattica asks public STUN servers for its address whenever it starts",
        asks_of_others=("--protocol-version", "/lattica/1.0.0"),
        lacks=("echo", "echo-1MiB", "half-close"),
        never_tries=("wrong-id",),
        talks_to=(OURS, "rust"),  # the others cannot be told to announce its protocol version
    )


PEERS = {"py": _python, "go": _go, "rust": _rust}
