"""What a run produces: cells, one row per pair of listener and dialer."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

# The drivers run in environments of their own and can take nothing from here, so the list is theirs.
sys.path.append(str(Path(__file__).resolve().parent.parent / "drivers"))

from features import FEATURES  # noqa: E402 because the folder has to be on the path first

MEANING = {
    "echo-1MiB": "sent and read at once",
    "half-close": "all is sent, then our FIN, and only then is the answer read",
    "100-streams": "open at once, each with its own bytes",
    "reset": "the listener sees the dialer's reset with its code",
    "reset-back": "the dialer sees the listener's reset with its code",
    "large": "16 MiB each way at once (4 MiB where packets are lost), SHA-256 or every byte compared",
    "perf": "/perf/1.0.0, a quarter of that up and then down",
    "agent": "protocolVersion and agentVersion arrive as configured",
    "wrong-id": "a listener with another peer ID is refused",
}

PASS, FAIL, ABSENT = "pass", "fail", "absent"


@dataclass
class Cell:
    """One feature between one listener and one dialer. `absent`: one of the two has no such thing."""

    status: str
    detail: str = ""


@dataclass
class Row:
    """Everything one dialer did with one listener."""

    listener: str
    dialer: str
    path: str = ""
    """What lies between the two; empty for nothing."""
    traffic: str = ""
    """What came through there."""
    cells: dict[str, Cell] = field(default_factory=dict)
    error: str = ""
    """What went wrong beside the features: a process that did not start, did not end, or ended with an error."""
    output: dict[str, str] = field(default_factory=dict)
    """The last lines of each process, by its role."""
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.dialer} → {self.listener}" + (f", {self.path}" if self.path else "")

    @property
    def failed(self) -> bool:
        return bool(self.error) or any(cell.status == FAIL for cell in self.cells.values())
