"""The command behind scripts/bench."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import peers  # makes isolate, of scripts/interop, importable
import isolate
import plot
import runners
import tables
from cases import BY_NAME, CASES
from contender import Contender
from processes import Command, MeasureError
from results import Machine, Results

_ROOT = Path(__file__).resolve().parents[2]
_KEPT = Path(__file__).resolve().parent / "results"
_BEGIN = "<!-- bench:begin (from scripts/bench --readme) -->"
_END = "<!-- bench:end -->"


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measures this repository beside others.")
    parser.add_argument("--runs", type=int, default=5, help="of each case and contender (default: 5)")
    parser.add_argument("--quick", action="store_true", help="small sizes and one run: does everything work?")
    parser.add_argument("--cases", type=_names, default=None, help=f"some of {','.join(BY_NAME)}")
    parser.add_argument("--peers", type=_names, default=list(peers.NAMES), help=f"some of {','.join(peers.NAMES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every value of every run")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="a plot of the headline figures")
    parser.add_argument("--markdown", action="store_true", help="print Markdown instead of text")
    parser.add_argument("--readme", action="store_true", help="keep JSON and plot, and put the table into the README")
    parser.add_argument("--from", type=Path, dest="source", metavar="FILE", help="show an earlier run's JSON again")
    parser.add_argument("--binaries", type=Path, help="where our programs are, built")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs has to be at least 1")
    if unknown := set(arguments.cases or []) - set(BY_NAME):
        parser.error(f"no case called {', '.join(sorted(unknown))}; there are: {', '.join(BY_NAME)}")
    if unknown := set(arguments.peers) - set(peers.NAMES):
        parser.error(f"no peer called {', '.join(sorted(unknown))}; there are: {', '.join(peers.NAMES)}")
    if arguments.readme and arguments.quick:
        parser.error("--readme and --quick exclude each other: the figures of a quick run mean little")
    if arguments.check:
        raise SystemExit(0)
    if not arguments.binaries and not arguments.source:
        parser.error("--binaries is missing (scripts/bench builds them and gives it)")
    return arguments


def _binaries(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Words of the command line that are no business of a reader's."""
    return "--binaries", str(arguments.binaries)


def _needs_isolation(arguments: argparse.Namespace) -> list[str] | None:
    """How to go on in a network of one's own, for the sake of the peer that must not reach another."""
    if arguments.source or arguments.inside or "rust" not in arguments.peers:
        return None
    if isolation := peers.isolated():
        peers.prepare(arguments.peers)
    return isolation


def _measure(arguments: argparse.Namespace) -> Results:
    chosen = [case for case in CASES if not arguments.cases or case.name in arguments.cases]
    runs = 1 if arguments.quick else arguments.runs
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        contenders, proxy, versions = peers.all_of(arguments.peers, arguments.binaries, Path(scratch))
        results = Results(
            Machine.here(versions),
            "scripts/bench" + "".join(f" {word}" for word in sys.argv[1:] if word not in ("--inside", *_binaries(arguments))),
            {contender.name: contender.label for contender in contenders},
            is_quick=arguments.quick,
        )
        for round_number in range(1, runs + 1):
            for case in chosen:
                for contender in contenders:  # in turn, so that whatever else the machine does hits all alike
                    if reason := contender.absent.get(case.name):
                        results.absent.setdefault(case.name, {})[contender.name] = reason
                    elif contender.name not in results.absent.get(case.name, {}):
                        _one(results, case.name, contender, arguments.quick, proxy, round_number, runs)
        print(f"bench: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return results


def _one(
    results: Results, name: str, contender: Contender, quick: bool, proxy: Command | None, round_number: int, runs: int
) -> None:
    case = BY_NAME[name]
    options = contender.adapted(name, case.chosen(quick))
    results.options.setdefault(name, {})[contender.name] = options
    start = time.monotonic()
    try:
        figures = runners.run(case, contender, options, proxy, round_number)
    except MeasureError as error:
        # What one cannot do is no reason to measure nothing else; it is said in the results.
        reason = " ".join(str(error).split()).replace(f"{_ROOT}/", "")[:300]
        results.absent.setdefault(name, {})[contender.name] = f"it failed: {reason}"
        results.values.get(name, {}).pop(contender.name, None)
        print(f"bench: {name}, {contender.name}: FAILED: {reason}", file=sys.stderr, flush=True)
        return
    results.add(name, contender.name, figures)
    line = tables.progress(case, contender.name, figures, case.figures)
    print(f"bench: {round_number}/{runs} {line} [{time.monotonic() - start:.1f} s]", file=sys.stderr, flush=True)


def main() -> int:
    arguments = _arguments()
    if isolation := _needs_isolation(arguments):
        return isolate.run_inside(isolation, ["-B", __file__, *sys.argv[1:], "--inside"])
    if arguments.inside:
        isolate.bring_loopback_up()
    results = Results.load(arguments.source) if arguments.source else _measure(arguments)
    if arguments.json:
        results.save(arguments.json)
    if arguments.svg:
        arguments.svg.write_text(plot.svg(results))
    failed = [case for case, reasons in results.absent.items() if peers.OURS in reasons]
    if arguments.readme and not failed:
        results.save(_KEPT / "bench.json")
        (_KEPT / "bench.svg").write_text(plot.svg(results))
        readme = _ROOT / "README.md"
        table = tables.markdown(results, str((_KEPT / "bench.svg").relative_to(_ROOT)))
        readme.write_text(tables.embed(readme.read_text(), table, _BEGIN, _END))
    print(tables.markdown(results) if arguments.markdown else tables.text(results))
    if failed:
        kept = ", so the README stays as it is" if arguments.readme else ""
        print(f"bench: ours failed in {', '.join(failed)}{kept}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (MeasureError, peers.PeerError, OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
