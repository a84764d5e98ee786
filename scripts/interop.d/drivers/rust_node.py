"""rust-libp2p as a node (PyPI `lattica`). Runs inside the peer's own virtual environment.

Lattica is a swarm with fixed behaviours: it pings and identifies every peer at once, by itself, and hangs up on those
whose identify protocol version it does not like. It asks public STUN servers for its address when it starts: run it
where only loopback exists (the harness makes a network namespace).
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable

os.environ.setdefault("RUST_LOG", "info,libp2p_kad=error")  # the listening address is only in the log
os.environ.setdefault("NO_COLOR", "1")

import node
import wire
from lattica_python_core import LatticaSDK, PeerInfo

_ADDRESS = re.compile(r"Listening on: (/ip4/\S+/quic-v1/p2p/\S+)")
_SETTLE = 2.0
"""Seconds the connection must stay up after identify: lattica hangs up at once on whom it does not accept."""


class _Log:
    """Takes over standard output, where lattica logs: copies it to standard error and finds the address in it."""

    def __init__(self) -> None:
        self._stdout = os.dup(1)
        read_end, write_end = os.pipe()
        os.dup2(write_end, 1)
        sys.stdout = os.fdopen(self._stdout, "w", buffering=1)
        self._pipe = os.fdopen(read_end, "r", errors="replace")
        self._found = threading.Event()
        self._address = ""
        threading.Thread(target=self._copy, daemon=True).start()

    def _copy(self) -> None:
        for line in self._pipe:
            print(line, end="", file=sys.stderr, flush=True)
            if match := _ADDRESS.search(re.sub(r"\x1b\[[0-9;]*m", "", line)):
                self._address = match.group(1)
                self._found.set()

    def address(self) -> str:
        if not self._found.wait(10):
            raise TimeoutError("lattica did not say where it listens")
        return self._address


def _swarm(bootstrap: list[str]) -> LatticaSDK:
    folder = tempfile.mkdtemp(prefix="lattica-")
    os.environ["HOME"] = folder
    return LatticaSDK(
        {
            "listen_addrs": ["/ip4/127.0.0.1/udp/0/quic-v1"],
            "bootstrap_nodes": bootstrap,
            "with_mdns": False,
            "with_upnp": False,
            "with_autonat": False,
            "with_dcutr": False,
            "storage_path": os.path.join(folder, "store"),
            "dht_db_path": os.path.join(folder, "dht"),
        }
    )


def _wait(what: str, probe: Callable[[], object | None]) -> object:
    deadline = time.monotonic() + node.STEP_TIMEOUT
    while time.monotonic() < deadline:
        try:
            if found := probe():
                return found
        except Exception as error:  # the SDK raises while it knows nothing yet
            last = error
        time.sleep(0.05)
    raise TimeoutError(f"{what} within {node.STEP_TIMEOUT:.0f} s" + (f": {last}" if "last" in locals() else ""))


def _listen() -> int:
    log = _Log()
    swarm = _swarm([])
    seen = _Seen(swarm)
    node.announce(log.address())
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    seen.report()
    for peer in swarm.get_all_peers():
        node.log(f"still connected to {peer}: {_describe(swarm.get_peer_info(peer))}")
    return 0


class _Seen:
    """Watches for the dialer's identify: lattica forgets it when the connection ends."""

    def __init__(self, swarm: LatticaSDK) -> None:
        self._swarm = swarm
        self._info: PeerInfo | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self._info is None:
            for peer in self._swarm.get_all_peers():
                info = _known(self._swarm, peer)
                if info and info.protocols:
                    self._info = info
            time.sleep(0.05)

    def report(self) -> None:
        """Prints what only this side knows."""
        results = node.Results()
        if self._info:
            _judge_agent(results, self._info)
        else:
            results.failed(node.AGENT, "rust-libp2p did not identify the dialer")
        results.print()


def _known(swarm: LatticaSDK, peer: str) -> PeerInfo | None:
    try:
        return swarm.get_peer_info(peer)
    except Exception:  # the SDK raises while it knows nothing yet
        return None


def _judge_agent(results: node.Results, info: PeerInfo) -> None:
    try:
        results.passed(node.AGENT, node.check_announced(info.protocol_version, info.agent_version))
    except ValueError as error:
        results.failed(node.AGENT, error)


def _describe(info: PeerInfo | None) -> str:
    if info is None:
        return "not identified"
    return f"{info.agent_version}, protocol version {info.protocol_version}, {len(info.protocols)} protocols, rtt {info.rtt_ms}"


def _identify(swarm: LatticaSDK, peer: str) -> str:
    def probe() -> PeerInfo | None:
        info = swarm.get_peer_info(peer)
        return info if info and info.protocols else None

    info = _wait("rust-libp2p did not identify the peer", probe)
    assert isinstance(info, PeerInfo)
    for needed in (node.IDENTIFY_PROTOCOL, node.PING_PROTOCOL):
        if needed not in info.protocols:
            raise ValueError(f"identify does not list {needed}: {info.protocols}")
    time.sleep(_SETTLE)
    if peer not in swarm.get_all_peers():
        raise ConnectionError(f"lattica hung up after identify (protocol version {info.protocol_version!r})")
    return f"{info.agent_version}, protocol version {info.protocol_version}, {len(info.protocols)} protocols"


def _ping(swarm: LatticaSDK, peer: str) -> str:
    seconds = _wait("rust-libp2p measured no round trip", lambda: swarm.get_peer_rtt(peer))
    assert isinstance(seconds, float)
    return f"its own ping: {seconds * 1000:.2f} ms"


def _no_streams() -> str:
    calls = [name for name in dir(LatticaSDK) if not name.startswith("_")]
    if found := [name for name in calls if "stream" in name or "protocol" in name]:
        return f"not driven here, but lattica has {', '.join(found)}"
    return f"none of lattica's {len(calls)} calls opens a stream of a protocol of one's own"


def _dial(address: str) -> int:
    results = node.Results()
    _, peer = wire.split_peer(address)
    _Log()
    begun = time.monotonic()
    swarm = _swarm([address])
    try:
        _wait("rust-libp2p did not connect", lambda: peer in swarm.get_all_peers())
        results.passed(node.HANDSHAKE, f"{(time.monotonic() - begun) * 1000:.0f} ms with start-up")
    except Exception as error:
        results.failed(node.HANDSHAKE, error)
        return results.finish()
    for feature, step in {node.IDENTIFY: _identify, node.PING: _ping}.items():
        try:
            results.passed(feature, step(swarm, peer))
        except Exception as error:
            results.failed(feature, error)
    if info := _known(swarm, peer):
        _judge_agent(results, info)
    else:
        results.failed(node.AGENT, "not identified")
    for feature in node.OWN_STREAMS:
        results.absent(feature, _no_streams())
    results.absent(node.WRONG_ID, "lattica does not say why a dial failed")
    return results.finish()


def main() -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    arguments = node.arguments(__doc__ or "")
    return _listen() if arguments.command == "listen" else _dial(arguments.address)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # lattica's threads do not end by themselves
