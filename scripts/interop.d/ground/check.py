"""Cross-checks Multiaddr and PeerID with py-multiaddr, py-libp2p and `cryptography`, both ways.

Run by main.py: check.py HELPER COUNT [SEED]
"""

from __future__ import annotations

import logging
import random
import sys
import time

import addresses
import keys
from report import Report
from swift import Swift


def main() -> int:
    binary, count = sys.argv[1], int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.getrandbits(63)
    print(f"interop ground: seed {seed}", flush=True)
    logging.disable(logging.CRITICAL)
    source, report, swift = random.Random(seed), Report(), Swift(binary, seed)
    start = time.monotonic()
    addresses.theirs(swift, source, count, report)
    addresses.by_name(swift, source, 10, report)
    addresses.ours(swift, count, report)
    keys.peers(swift, count, source, report)
    for kind, name, divisor in keys.kinds(source):
        number = max(2, count // divisor)
        keys.theirs(swift, kind, number, source, report)
        keys.ours(swift, kind, name, number, source, report)
        print(f"interop ground: {kind.name}: {number} each way, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    swift.close()
    return 0 if report.show() else 1


if __name__ == "__main__":
    raise SystemExit(main())
