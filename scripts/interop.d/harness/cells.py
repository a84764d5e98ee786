"""What a run produces: cells, one row per pair of listener and dialer."""

from __future__ import annotations

from dataclasses import dataclass, field

FEATURES = ("handshake", "identify", "ping", "echo", "echo-1MiB", "half-close", "wrong-id")

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
    cells: dict[str, Cell] = field(default_factory=dict)
    error: str = ""
    """What went wrong beside the features: a process that did not start, did not end, or ended with an error."""
    output: dict[str, str] = field(default_factory=dict)
    """The last lines of each process, by its role."""
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return bool(self.error) or any(cell.status == FAIL for cell in self.cells.values())
