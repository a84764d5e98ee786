"""The command behind `scripts/interop ground`: installs py-libp2p and runs check.py with it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent / "harness"))

import install  # noqa: E402


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="interop ground", description="Cross-checks addresses, peer IDs and keys with Python's implementations."
    )
    parser.add_argument("--count", type=int, default=1000, help="addresses, and keys of each type, each way (1000)")
    parser.add_argument("--seed", type=int, help="repeats a run whose seed was printed")
    parser.add_argument("--swift", help="our helper, built")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.count < 1:
        parser.error("--count has to be at least 1")
    if arguments.check:
        raise SystemExit(0)
    if not arguments.swift:
        parser.error("--swift is missing (scripts/interop builds it and gives it)")
    return arguments


def main() -> int:
    arguments = _arguments()
    try:
        # The environment that the QUIC harness uses as well.
        folder = install.virtual_environment("py", ["libp2p==0.8.1"], constraints="py-constraints.txt")
    except install.InstallError as error:
        print(f"interop ground: {error}", file=sys.stderr)
        return 1
    command = [install.python(folder), "-B", str(_HERE / "check.py"), arguments.swift, str(arguments.count)]
    if arguments.seed is not None:
        command.append(str(arguments.seed))
    os.execv(command[0], command)


if __name__ == "__main__":
    raise SystemExit(main())
