"""What came out: runs, medians, spreads and ratios, and the machine they were made on. Kept as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cases import Case, Figure
from ours import NAME as OURS


@dataclass
class Machine:
    """What the figures were made on."""

    processor: str
    cores: int
    kernel: str
    load: tuple[float, float, float]
    """Load averages of 1, 5 and 15 minutes before the run, and before what it builds: above 0.5 somebody else was busy."""
    versions: dict[str, str]
    date: str

    @classmethod
    def here(cls, versions: dict[str, str]) -> Machine:
        with open("/proc/cpuinfo") as information:
            names = [line.split(":", 1)[1].strip() for line in information if line.startswith("model name")]
        before = os.environ.get("BENCH_LOAD", "").split()
        load = [float(each) for each in before] if len(before) == 3 else os.getloadavg()
        return cls(
            names[0] if names else platform.machine(),
            len(os.sched_getaffinity(0)),
            platform.release(),
            (round(load[0], 2), round(load[1], 2), round(load[2], 2)),
            versions,
            time.strftime("%Y-%m-%d"),
        )

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"{self.processor}, {self.cores} cores, Linux {self.kernel}, load {self.load[0]} before the run, {self.date}; "
            f"{versions}"
        )


@dataclass
class Results:
    """Everything of one run of scripts/bench."""

    machine: Machine
    command: str
    contenders: dict[str, str]
    """By name, what each is; ours comes first."""
    values: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    """By case, contender and figure: the values in the order in which they were measured."""
    absent: dict[str, dict[str, str]] = field(default_factory=dict)
    """By case and contender: why there are none."""
    options: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """By case and contender: with what it was run."""

    is_quick: bool = False

    def add(self, case: str, contender: str, figures: Mapping[str, float]) -> None:
        of_contender = self.values.setdefault(case, {}).setdefault(contender, {})
        for key, value in figures.items():
            of_contender.setdefault(key, []).append(value)

    def of(self, case: str, contender: str, key: str) -> Cell | None:
        found = self.values.get(case, {}).get(contender, {}).get(key)
        return Cell(found) if found else None

    def ratio(self, case: str, contender: str, figure: Figure, subject: str = OURS) -> float | None:
        """How many times better ours is, or another subject: the median over the rounds.

        Within a round one runs right after the other. A machine whose speed changes meanwhile, as virtual ones do, changes
        both; the medians of each by itself may come from its good minutes and its bad ones. Rounds in which a figure was
        zero (memory that did not grow) have no ratio; None where no round has one.
        """
        ours, other = self.of(case, subject, figure.key), self.of(case, contender, figure.key)
        rounds = zip(ours.values, other.values) if ours and other else ()
        ratios = [mine / theirs for mine, theirs in rounds if mine and theirs]
        if not ratios:
            return None
        return statistics.median(ratios if figure.more_is_better else [1 / ratio for ratio in ratios])

    def rows(self, cases: Sequence[Case]) -> list[tuple[Case, Figure]]:
        """What there is a value of, in the order of the cases."""
        return [
            (case, figure)
            for case in cases
            for figure in case.figures
            if any(self.of(case.name, name, figure.key) for name in self.contenders)
        ]

    def save(self, path: Path) -> None:
        content = asdict(self)
        content["medians"] = {
            case: {
                name: {key: statistics.median(values) for key, values in figures.items()}
                for name, figures in contenders.items()
            }
            for case, contenders in self.values.items()
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        content = json.loads(path.read_text())
        content.pop("medians", None)
        content["machine"]["load"] = tuple(content["machine"]["load"])
        content["machine"] = Machine(**content["machine"])
        return cls(**content)


@dataclass(frozen=True)
class Cell:
    """The values of one figure."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def text(self, decimals: int) -> str:
        """Median, and least and most."""
        if len(self.values) == 1:
            return number(self.median, decimals)
        least, most = number(min(self.values), decimals), number(max(self.values), decimals)
        return f"{number(self.median, decimals)} ({least}–{most})"


def number(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}"


def first_line(*command: str) -> str:
    """The first line a program says about itself."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "unknown"
