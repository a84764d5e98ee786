"""The command behind scripts/bench."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import figures
import ngtcp2_tools
import ours
from figures import Contender, Machine
from measure import MeasureError, Spec, transfer


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measures throughput beside ngtcp2's own programs.")
    parser.add_argument("--runs", type=int, default=5, help="of each (default: 5)")
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="of one run (default: 1024)")
    parser.add_argument("--yardstick-only", action="store_true", help="gtlsserver and gtlsclient alone")
    parser.add_argument("--json", action="store_true", help="print every run as JSON")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--perf", type=Path, help="our perf example, built")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.runs < 1 or arguments.size < 1:
        parser.error("--runs and --size have to be at least 1")
    if arguments.check:
        raise SystemExit(0)
    if not arguments.perf and not arguments.yardstick_only:
        parser.error("--perf is missing (scripts/bench builds it and gives it)")
    return arguments


def main() -> int:
    arguments = _arguments()
    size = arguments.size << 20
    entries: list[tuple[Contender, Spec]] = []
    references: list[Contender] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        if not arguments.yardstick_only:
            entries += [
                (Contender("ours, download", size), ours.perf(arguments.perf, download=size)),
                (Contender("ours, upload", size), ours.perf(arguments.perf, upload=size)),
                # Datagrams for the jumbo frames of a data centre, found by path MTU discovery; loopback carries them too.
                (
                    Contender("ours, download, 8,952-byte datagrams", size),
                    ours.perf(arguments.perf, download=size, max_payload=8952),
                ),
            ]
        for tools in ngtcp2_tools.install():
            reference = Contender(f"gtlsserver {tools.version.split('-')[0].split('+')[0]}", size)
            references.append(reference)
            entries.append((reference, ngtcp2_tools.download(tools, Path(scratch), size)))
        versions = {
            "libngtcp2": figures.first_line("pkg-config", "--modversion", "libngtcp2"),
            "GnuTLS": figures.first_line("pkg-config", "--modversion", "gnutls"),
        }
        if not arguments.yardstick_only:
            versions["Swift"] = figures.first_line("swift", "--version").removeprefix("Swift version ")
        machine = Machine.here(versions)
        for number in range(1, arguments.runs + 1):
            for contender, spec in entries:  # in turn, so that whatever else the machine does hits all alike
                contender.runs.append(transfer(spec))
                print(
                    f"bench: run {number}, {contender.name}: {contender.rates[-1]:.0f} MiB/s",
                    file=sys.stderr,
                    flush=True,
                )
    contenders = [contender for contender, _ in entries]
    show = figures.as_json if arguments.json else figures.markdown if arguments.markdown else figures.text
    print(show(contenders, references, machine, f"scripts/bench --runs {arguments.runs} --size {arguments.size}"))
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (MeasureError, ngtcp2_tools.InstallError) as error:
        print(f"bench: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
