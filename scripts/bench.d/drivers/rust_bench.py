"""rust-libp2p for scripts/bench, as far as lattica goes: it listens, and it tells what its own first ping took."""

from __future__ import annotations

import os
import signal

import bench_node
import rust_node
import wire


def main() -> None:
    what, address, name, _ = bench_node.command()
    log = rust_node._Log()
    if what == "listen":
        swarm = rust_node._swarm([])  # it listens for as long as it is referred to
        print(f"listening {log.address()}", flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
        del swarm
    elif name == "ping":
        swarm = rust_node._swarm([address])
        _, peer = wire.split_peer(address)
        rust_node._wait("rust-libp2p did not connect", lambda: peer in swarm.get_all_peers())
        seconds = rust_node._wait("rust-libp2p measured no round trip", lambda: swarm.get_peer_rtt(peer))
        bench_node.say({"median": float(seconds) * 1e6})
    else:
        raise SystemExit(f"lattica cannot play {name}")
    os._exit(0)  # its threads would not end


if __name__ == "__main__":
    main()
