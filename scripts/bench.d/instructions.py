"""The command behind `scripts/bench instructions`.

callgrind counts the instructions of each scenario, and tells in which object file they were. Two sums are kept and
compared: those of our own program (this repository's Swift and C code, with the Swift packages linked into it) and those
of the Swift runtime, which are reference counts and allocations that our code asks for. ngtcp2, GnuTLS and the C library
are shown only: what they need depends on their versions and on what the processor can do, which is not ours to answer for.
The share of the frame guard, which reads every packet before ngtcp2 does, is limited by itself.
What our own code needs depends on the compiler and on ngtcp2's version, so there are thresholds for each pair of them.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_STORED = Path(__file__).resolve().parent / "instructions.json"
_SCENARIOS = {
    "handshakes": "20 full mutual handshakes",
    "download": "16 MiB on one stream, from the server",
    "upload": "16 MiB on one stream, to the server",
    "streams": "200 streams at once, 1,000 bytes each way",
    "pings": "1,000 times 32 bytes there and back",
}
_TOLERANCE = 0.05
"""How much a sum may grow. The same code comes to the same count each time; this is what a feature may cost unnoticed."""
_COMPARED = ("ours", "Swift runtime")
_GUARD = "of these, frame guard"
_GUARD_LIMIT = 0.02
"""How much of all instructions of a bulk transfer the frame guard may take. No kernel and no system call is in the sum, so
its share of a real transfer is smaller."""
_GUARD_FUNCTIONS = re.compile(
    r"^(on_decrypt|on_encrypt|lp2p_(frame_guard|ack_log|receive_window)_\w+|inspect_\w+|note_acked|spend|mark_seen"
    r"|take_varint|skip|skip_varints|left|permitted_spaces|bucket_init|fail|malformed|forbidden|suppress"
    r"|word|mask|end_of_word|count_missing|mark|advance)$"
)
_FUNCTION = re.compile(r"^fn=(\(\d+\))(?: (.*))?$")
_OBJECT = re.compile(r"^ob=(\(\d+\))(?: (.*))?$")
_COST = re.compile(r"^(?:0x[0-9a-f]+|[+-]?\d+|\*)(?: (?:0x[0-9a-f]+|[+-]?\d+|\*))* (\d+)$")


def _group(path: str, program: str) -> str:
    name = Path(path).name
    if name == Path(program).name:
        return "ours"
    if name.startswith(("libswift", "lib_", "libFoundation", "libdispatch", "libBlocks")):
        return "Swift runtime"
    for start, group in (
        ("libngtcp2", "ngtcp2"), ("libgnutls", "GnuTLS"), ("libnettle", "GnuTLS"), ("libhogweed", "GnuTLS"),
        ("libgmp", "GnuTLS"), ("libsodium", "libsodium"), ("libc.", "C library"), ("libc-", "C library"),
    ):  # fmt: skip
        if name.startswith(start):
            return group
    return "others"


def _parse(lines: list[str], program: str) -> dict[str, int]:
    """Instructions by group: the self costs of callgrind's format, without those of calls."""
    names: dict[str, str] = {}
    functions: dict[str, str] = {}
    sums: collections.Counter[str] = collections.Counter()
    current, is_call, is_guard = "others", False, False
    for line in lines:
        if match := _OBJECT.match(line):
            if match.group(2):
                names[match.group(1)] = match.group(2)
            current = _group(names[match.group(1)], program)
        elif line.startswith("cob=") and (match := _OBJECT.match(line[1:])):
            if match.group(2):
                names[match.group(1)] = match.group(2)
        elif match := _FUNCTION.match(line):
            if match.group(2):
                functions[match.group(1)] = match.group(2)
            is_guard = _GUARD_FUNCTIONS.match(functions[match.group(1)]) is not None
        elif line.startswith("cfn=") and (match := _FUNCTION.match(line[1:])):
            if match.group(2):
                functions[match.group(1)] = match.group(2)
        elif line.startswith("calls="):
            is_call = True
        elif match := _COST.match(line):
            if not is_call:
                sums[current] += int(match.group(1))
                if is_guard and current == "ours":
                    sums[_GUARD] += int(match.group(1))
            is_call = False
    return dict(sums)


def _count(program: str, scenario: str, folder: Path) -> dict[str, int]:
    output = folder / f"callgrind.{scenario}"
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", program, scenario],
        capture_output=True, text=True, check=False, cwd=folder, timeout=600,
        # Swift's hash tables are seeded at random otherwise, and so is the order of what is in them.
        env={**os.environ, "SWIFT_DETERMINISTIC_HASHING": "1"},
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"bench: {scenario} failed below valgrind: {' / '.join(done.stderr.splitlines()[-4:])}")
    return _parse(output.read_text().splitlines(), program)


def _count_all(binary: Path, runs: int) -> list[dict[str, dict[str, int]]]:
    """Each scenario so many times."""
    with tempfile.TemporaryDirectory(prefix="bench-instructions-") as name:
        folder = Path(name)
        program = folder / "quic-instructions"
        shutil.copy2(binary, program)
        # valgrind stumbles over Swift's debug information; the names of functions stay.
        subprocess.run(["strip", "--strip-debug", str(program)], check=True)
        found = []
        for number in range(runs):
            here = folder / str(number)
            here.mkdir()
            with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
                sums = pool.map(lambda scenario: _count(str(program), scenario, here), _SCENARIOS)
                found.append(dict(zip(_SCENARIOS, sums, strict=True)))
        return found


def _key() -> str:
    """What a threshold holds for."""
    swift = re.search(r"Swift version ([\d.]+)", _output("swift", "--version"))
    return f"{platform.machine()}, Swift {swift.group(1) if swift else '?'}, ngtcp2 {_output('pkg-config', '--modversion', 'libngtcp2')}"


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _table(counts: dict[str, dict[str, int]]) -> str:
    shown = {group for sums in counts.values() for group in sums}
    groups = [*_COMPARED, *sorted(shown - {*_COMPARED, _GUARD})]
    lines = ["| million instructions | " + " | ".join(groups) + " |", "|---|" + "--:|" * len(groups)]
    for scenario, sums in counts.items():
        cells = [f"{sums.get(group, 0) / 1e6:,.2f}" for group in groups]
        lines.append(f"| {_SCENARIOS[scenario]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _check_guard(counts: dict[str, dict[str, int]]) -> list[str]:
    """Where the frame guard takes too much; prints its share."""
    problems = []
    for scenario in ("download", "upload"):
        sums = counts[scenario]
        guard = sums.get(_GUARD, 0)
        share = guard / (sum(sums.values()) - guard)
        print(f"{scenario}: the frame guard takes {share:.2%} of all instructions, both sides together")
        if guard == 0:
            problems.append(f"{scenario}: no function of the frame guard was found: were they renamed?")
        if share > _GUARD_LIMIT:
            problems.append(f"{scenario}: the frame guard takes {share:.2%} (allowed: {_GUARD_LIMIT:.0%})")
    return problems


def _compare(counts: dict[str, dict[str, int]], stored: dict[str, dict[str, int]]) -> list[str]:
    """What has grown too much; prints each change."""
    problems = []
    for scenario, sums in counts.items():
        for group in _COMPARED:
            before, now = stored.get(scenario, {}).get(group), sums.get(group, 0)
            if before is None:
                problems.append(f"{scenario}: there is no threshold for '{group}': --store makes one")
                continue
            change = now / before - 1
            print(f"{scenario}, {group}: {now / 1e6:,.2f} million, {change:+.2%} against {before / 1e6:,.2f}")
            if change > _TOLERANCE:
                problems.append(
                    f"{scenario}: '{group}' needs {change:.1%} more instructions than stored (allowed: {_TOLERANCE:.0%}). "
                    "If that is worth it, 'scripts/bench instructions --store' takes it over"
                )
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench instructions", description="Counts instructions of fixed scenarios.")
    parser.add_argument("--check", action="store_true", help="compare with the stored thresholds")
    parser.add_argument("--store", action="store_true", help="store what was counted as thresholds")
    parser.add_argument("--runs", type=int, default=1, help="how often; the spread is printed (default: 1)")
    parser.add_argument("--program", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--arguments-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.runs < 1 or (arguments.check and arguments.store):
        parser.error("--runs has to be at least 1, and --check and --store exclude each other")
    if arguments.arguments_only:
        return 0
    found = _count_all(arguments.program, arguments.runs)
    counts = found[0]
    print(_table(counts))
    problems = _check_guard(counts)
    if arguments.runs > 1:
        for scenario in counts:
            for group in _COMPARED:
                values = [run[scenario].get(group, 0) for run in found]
                print(f"{scenario}, {group}: spread {max(values) / min(values) - 1:.4%} in {len(values)} runs")
    stored = json.loads(_STORED.read_text()) if _STORED.exists() else {}
    key = _key()
    if arguments.store:
        stored[key] = {scenario: {group: sums.get(group, 0) for group in _COMPARED} for scenario, sums in counts.items()}
        _STORED.write_text(json.dumps(dict(sorted(stored.items())), indent=1) + "\n")
        print(f"stored for {key}")
    if arguments.check:
        if key not in stored:
            print(f"bench: nothing is stored for {key} (there is for: {'; '.join(stored) or 'nothing'}), so nothing is compared")
        else:
            problems += _compare(counts, stored[key])
        for problem in problems:
            print(f"bench: {problem}", file=sys.stderr)
        return 1 if problems else 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
