"""The table of `scripts/bench ground`: times, allocations and instructions per operation, ours beside the C library's."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import figures  # noqa: E402


def _instructions(folder: Path) -> dict[str, float]:
    """What callgrind counted for each region, divided by how often it was done."""
    found: dict[str, float] = {}
    for file in folder.glob("callgrind.out*"):
        text = file.read_text(errors="replace")
        region = re.search(r"^desc: Trigger: Client Request: (.*)\|(\d+)$", text, re.MULTILINE)
        total = re.search(r"^summary: (\d+)", text, re.MULTILINE)
        if region and total:
            found[region[1]] = int(total[1]) / int(region[2])
    return found


def _time(nanoseconds: float) -> str:
    return f"{nanoseconds:.0f} ns" if nanoseconds < 1000 else f"{nanoseconds / 1000:.{1 if nanoseconds < 1e5 else 0}f} µs"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _rows(folder: Path) -> list[dict[str, object]]:
    instructions = _instructions(folder)
    rows: list[dict[str, object]] = []
    for line in (folder / "times").read_text().splitlines():
        name, own, allocations, yardstick = line.split("\t")
        rows.append({
            "operation": name, "nanoseconds": float(own), "allocations": float(allocations),
            "instructions": instructions.get(name), "cNanoseconds": None if yardstick == "-" else float(yardstick),
            "cInstructions": instructions.get(f"C: {name}"),
        })  # fmt: skip
    return rows


def _cells(row: dict[str, object]) -> list[str]:
    own, other = float(row["nanoseconds"]), row["cNanoseconds"]  # type: ignore[arg-type]
    return [
        str(row["operation"]), _time(own), f"{row['allocations']:g}", _count(row["instructions"]),  # type: ignore[arg-type]
        _time(other) if isinstance(other, float) else "", f"{own / other:.2f}" if isinstance(other, float) else "",
    ]  # fmt: skip


_HEAD = ["operation", "CPU time", "allocations", "instructions", "C library", "ours ÷ C"]


def _machine() -> str:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    system = re.search(r'PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text())
    versions = [f"{name} {figures.first_line('pkg-config', '--modversion', package)}"
                for name, package in [("libsodium", "libsodium"), ("libsecp256k1", "libsecp256k1"), ("GnuTLS", "gnutls")]]
    swift = re.search(r"Swift version (\S+)", subprocess.run(["swift", "--version"], text=True, capture_output=True).stdout)
    parts = [model[1] if model else platform.machine(), f"{os.cpu_count()} cores", system[1] if system else "",
             f"Swift {swift[1] if swift else '?'}", *versions, f"load {os.getloadavg()[0]:.1f}"]
    return ", ".join(part for part in parts if part)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench ground", description="Measures Multiaddr, PeerID and Libp2pTLS beside the C libraries below them."
    )
    parser.add_argument("--json", action="store_true", help="print every figure as JSON")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--results", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.check:
        return 0
    rows = _rows(arguments.results)
    if arguments.json:
        print(json.dumps({"machine": _machine(), "rows": rows}, indent=1, ensure_ascii=False))
        return 0
    lines = [_HEAD, *map(_cells, rows)]
    if arguments.markdown:
        lines.insert(1, ["---"] * len(_HEAD))
        for line in lines:
            print("| " + " | ".join(line) + " |")
    else:
        widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    print(f"\nMedian CPU time of 15 samples, ours and C in turn. {_machine()}. Command: scripts/bench ground")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
