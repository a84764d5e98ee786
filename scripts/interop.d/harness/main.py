"""The command behind scripts/interop."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as File

import conventions
import isolate
import pair
import report
import versions
from cells import Row
from forwarder import Path
from install import InstallError
from peers import PEERS, Peer, swift

_INSIDE = "--inside-namespace"
_LOSSY_AT_ONCE = 3


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="interop", description="Runs this repository against other implementations.")
    parser.add_argument(
        "--peers", default=",".join(PEERS), metavar="NAMES", help="which peers, by comma (default: all)"
    )
    parser.add_argument(
        "--drivers-only", action="store_true", help="only the peers among themselves: proves the drivers"
    )
    parser.add_argument("--install-only", action="store_true", help="install the peers and stop")
    parser.add_argument(
        "--loss", type=float, metavar="PERCENT",
        help="each pair once more through a path that loses so much and takes 10 ms each way; 0: not "
        "(default: 1, with --drivers-only 0)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="decides which datagrams are lost (default: 1)")
    parser.add_argument("--node", type=File, help="our node, built")
    parser.add_argument(
        "--harness", type=File, help="our program for the public test harnesses, built (default: `interop` beside --node)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--verbose", action="store_true", help="print the detail of every cell")
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(_INSIDE, action="store_true", dest="inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.names = arguments.peers.split(",")
    for name in arguments.names:
        if name not in PEERS:
            parser.error(f"there is no peer {name!r}; there are: {', '.join(PEERS)}")
    if arguments.loss is None:
        arguments.loss = 0.0 if arguments.drivers_only else 1.0
    if not 0 <= arguments.loss < 50:
        parser.error("--loss is a percentage from 0 to 50")
    if arguments.check:
        raise SystemExit(0)
    if arguments.node and not os.access(arguments.node, os.X_OK):
        parser.error(f"{arguments.node} is no program")
    if not arguments.node and not arguments.drivers_only and not arguments.install_only:
        parser.error("--node is missing (scripts/interop builds it and gives it)")
    if arguments.node:
        arguments.harness = arguments.harness or arguments.node.with_name("interop")
        if not os.access(arguments.harness, os.X_OK):
            parser.error(f"{arguments.harness} is no program: --harness says where it is")
    return arguments


def _pairs(arguments: argparse.Namespace, peers: list[Peer]) -> list[tuple[Peer, Peer]]:
    """(listener, dialer), in the order of the table."""
    if arguments.drivers_only:
        return [
            (listener, dialer)
            for listener in peers
            for dialer in peers
            if _accepts(listener, dialer) and _accepts(dialer, listener)
        ]
    ours = swift(arguments.node)
    return [both for peer in peers for both in ((peer, ours), (ours, peer))]


def _accepts(one: Peer, other: Peer) -> bool:
    return one.talks_to is None or other.name in one.talks_to


def _run(listener: Peer, dialer: Peer, path: Path | None) -> Row:
    row = pair.run(listener, dialer, path)
    outcome = "FAILED" if row.failed else "ok"
    print(f"interop: {row.name}: {outcome}, {row.seconds:.1f} s", file=sys.stderr, flush=True)
    return row


def main() -> int:
    arguments = _arguments()
    try:
        peers = [PEERS[name]() for name in arguments.names]
        if not arguments.drivers_only:
            versions.install()
    except InstallError as error:
        print(f"interop: {error}", file=sys.stderr)
        return 1
    if arguments.install_only:
        return 0
    if arguments.inside:
        isolate.bring_loopback_up()
    elif isolation := isolate.command():
        return isolate.run_inside(isolation, [*sys.argv, _INSIDE])
    elif open_ones := [peer for peer in peers if peer.needs_isolation]:
        for peer in open_ones:
            print(f"interop: {peer.name} needs a network namespace: {peer.needs_isolation}", file=sys.stderr)
        rest = ",".join(peer.name for peer in peers if not peer.needs_isolation)
        print(f"interop: 'unshare --net' is not allowed here; --peers {rest} works without", file=sys.stderr)
        return 1

    rows = [_run(listener, dialer, None) for listener, dialer in _pairs(arguments, peers)]
    if arguments.loss:
        # These mostly wait, so they may do so together.
        path = Path(arguments.loss, seed=arguments.seed)
        with ThreadPoolExecutor(_LOSSY_AT_ONCE) as pool:
            rows += pool.map(lambda both: _run(*both, path), _pairs(arguments, peers))
    checks = []
    if not arguments.drivers_only:
        checks = versions.run(arguments.node) + conventions.run(arguments.harness)
    for check in checks:
        print(f"interop: {check.name}: {check.cell.status}", file=sys.stderr, flush=True)
    named = peers if arguments.drivers_only else [swift(arguments.node), *peers]
    if arguments.json:
        print(report.as_json(rows, checks, named))
    elif arguments.markdown:
        print(report.markdown(rows, checks, named))
    else:
        print(report.text(rows, checks, named, arguments.verbose))
    return 1 if any(outcome.failed for outcome in (*rows, *checks)) else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
