"""Figures of a case and how they are shown."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from measure import Run

_MEBIBYTE = 1 << 20
_GIBIBYTE = 1 << 30


@dataclass
class Contender:
    """One implementation in one case, and its runs in the order they were made."""

    name: str
    size: int
    """Bytes of one run."""
    runs: list[Run] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """MiB/s of each run."""
        return [self.size / _MEBIBYTE / run.wall for run in self.runs]

    @property
    def median(self) -> float:
        return statistics.median(self.rates)

    @property
    def cpu(self) -> tuple[float, float]:
        """Median CPU seconds per GiB of client and server."""
        per_gibibyte = _GIBIBYTE / self.size
        return (
            statistics.median(run.client_cpu for run in self.runs) * per_gibibyte,
            statistics.median(run.server_cpu for run in self.runs) * per_gibibyte,
        )


@dataclass
class Machine:
    """What the figures were made on."""

    processor: str
    cores: int
    kernel: str
    load: float
    """Load average of the last minute when the runs began: above 0.5 somebody else was busy."""
    versions: dict[str, str]

    @classmethod
    def here(cls, versions: dict[str, str]) -> Machine:
        with open("/proc/cpuinfo") as information:
            names = [line.split(":", 1)[1].strip() for line in information if line.startswith("model name")]
        cores = len(os.sched_getaffinity(0))
        return cls(names[0] if names else platform.machine(), cores, platform.release(), os.getloadavg()[0], versions)

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"{self.processor}, {self.cores} cores, Linux {self.kernel}, load {self.load:.1f} at the start; {versions}"
        )


def first_line(*command: str) -> str:
    """The first line a program says about itself."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "unknown"


def _cells(contender: Contender, reference: Contender | None) -> list[str]:
    rates, (client, server) = contender.rates, contender.cpu
    ratio = "" if reference is None else f"{contender.median / reference.median:.2f}"
    return [
        contender.name, f"{contender.median:.0f}", f"{min(rates):.0f}–{max(rates):.0f}", ratio,
        f"{client:.2f}", f"{server:.2f}", str(len(rates)),
    ]  # fmt: skip


_HEADER = ["one stream", "MiB/s", "min–max", "ratio", "client CPU s/GiB", "server CPU s/GiB", "runs"]


def text(contenders: Sequence[Contender], reference: Contender | None, machine: Machine, command: str) -> str:
    rows = [_HEADER, *(_cells(contender, reference) for contender in contenders)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        )
        for row in rows
    ]
    against = f"ratio: median against {reference.name}" if reference else "no reference in this run"
    return "\n".join([*lines, "", against, f"machine: {machine}", f"command: {command}"])


def markdown(contenders: Sequence[Contender], reference: Contender | None, machine: Machine, command: str) -> str:
    lines = ["| " + " | ".join(_HEADER) + " |", "|---|" + "---:|" * (len(_HEADER) - 1)]
    lines += ["| " + " | ".join(_cells(contender, reference)) + " |" for contender in contenders]
    return "\n".join([*lines, "", f"`{command}` on {machine}."])


def as_json(contenders: Sequence[Contender], reference: Contender | None, machine: Machine, command: str) -> str:
    return json.dumps(
        {
            "command": command,
            "machine": asdict(machine),
            "reference": reference.name if reference else None,
            "contenders": [
                {
                    "name": contender.name,
                    "bytes": contender.size,
                    "medianMiBPerSecond": contender.median,
                    "ratio": contender.median / reference.median if reference else None,
                    "runs": [asdict(run) for run in contender.runs],
                }
                for contender in contenders
            ],
        },
        indent=2,
    )
