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


def _header(references: Sequence[Contender]) -> list[str]:
    ratios = [f"× {reference.name}" for reference in references]
    return ["one stream", "MiB/s", "min–max", *ratios, "client CPU s/GiB", "server CPU s/GiB", "runs"]


def _cells(contender: Contender, references: Sequence[Contender]) -> list[str]:
    rates, (client, server) = contender.rates, contender.cpu
    ratios = [f"{contender.median / reference.median:.2f}" for reference in references]
    spread = f"{min(rates):.0f}–{max(rates):.0f}"
    return [
        contender.name,
        f"{contender.median:.0f}",
        spread,
        *ratios,
        f"{client:.2f}",
        f"{server:.2f}",
        str(len(rates)),
    ]


def text(contenders: Sequence[Contender], references: Sequence[Contender], machine: Machine, command: str) -> str:
    rows = [_header(references), *(_cells(contender, references) for contender in contenders)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*lines, "", "×: ratio of the medians", f"machine: {machine}", f"command: {command}"])


def markdown(contenders: Sequence[Contender], references: Sequence[Contender], machine: Machine, command: str) -> str:
    header = _header(references)
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(_cells(contender, references)) + " |" for contender in contenders]
    return "\n".join([*lines, "", f"×: ratio of the medians. `{command}` on {machine}."])


def as_json(contenders: Sequence[Contender], references: Sequence[Contender], machine: Machine, command: str) -> str:
    return json.dumps(
        {
            "command": command,
            "machine": asdict(machine),
            "contenders": [
                {
                    "name": contender.name,
                    "bytes": contender.size,
                    "medianMiBPerSecond": contender.median,
                    "ratios": {reference.name: contender.median / reference.median for reference in references},
                    "runs": [asdict(run) for run in contender.runs],
                }
                for contender in contenders
            ],
        },
        indent=2,
        ensure_ascii=False,
    )
