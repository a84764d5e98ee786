"""py-libp2p in libp2p's public interoperability tests, as their images for it do it: everything from the environment.

Both forms: that of libp2p/test-plans (lower case, key `listenerAddr`, a JSON line) and that of libp2p/unified-testing
(upper case, a key for each test, YAML). Runs inside the peer's own virtual environment.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from dataclasses import dataclass

import node
import trio
from libp2p import new_host
from libp2p.abc import IHost
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr
from py_io import open_stream, read_exactly
from redis_client import Redis


@dataclass(frozen=True)
class Test:
    """What the harness asks for."""

    is_dialer: bool
    is_new: bool
    redis: str
    key: str
    listener_ip: str
    deadline: float

    @classmethod
    def from_environment(cls) -> Test:
        is_new = "TEST_KEY" in os.environ

        def value(new: str, old: str, default: str | None = None) -> str:
            name = new if is_new else old
            found = os.environ.get(name, default)
            if found is None:
                raise SystemExit(f"py_harness: {name} is missing")
            return found

        if (transport := value("TRANSPORT", "transport")) != "quic-v1":
            raise SystemExit(f"py_harness: there is only quic-v1 here, not {transport!r}")
        return cls(
            value("IS_DIALER", "is_dialer") == "true",
            is_new,
            value("REDIS_ADDR", "redis_addr", "redis:6379"),
            f"{os.environ['TEST_KEY']}_listener_multiaddr" if is_new else "listenerAddr",
            value("LISTENER_IP", "ip", "0.0.0.0"),
            time.monotonic() + float(value("TEST_TIMEOUT_SECS", "test_timeout_seconds", "180")),
        )

    def report(self, whole: float, ping: float) -> str:
        """What goes to standard output; times in milliseconds."""
        if self.is_new:
            return f"latency:\n  handshake_plus_one_rtt: {whole:.3f}\n  ping_rtt: {ping:.3f}\n  unit: ms"
        return json.dumps({"handshakePlusOneRTTMillis": whole, "pingRTTMilllis": ping})


def _host() -> IHost:
    logging.basicConfig(level=logging.WARNING)
    return new_host(key_pair=create_new_key_pair(), enable_quic=True, enable_tcp=False)


async def _ping(host: IHost, peer: ID) -> float:
    stream = await open_stream(host, peer, node.PING_PROTOCOL)
    payload, begun = node.random_bytes(node.PING_SIZE), time.monotonic()
    await stream.write(payload)
    if await read_exactly(stream, node.PING_SIZE) != payload:
        raise ValueError("ping came back changed")
    took = time.monotonic() - begun
    await stream.close()
    return took


async def _listen(test: Test) -> int:
    host = _host()
    # Redis and the listener are on one machine here, and it has no address but loopback.
    ip = "127.0.0.1" if test.listener_ip == "0.0.0.0" else test.listener_ip
    async with host.run(listen_addrs=[Multiaddr(f"/ip4/{ip}/udp/0/quic-v1")]):
        address = f"{host.get_transport_addrs()[0]}/p2p/{host.get_id()}"
        redis = Redis(test.redis, test.deadline)
        redis.ask("DEL", test.key)
        redis.ask("RPUSH", test.key, address)
        redis.close()
        node.log(f"py_harness: listening on {address}")
        # The harness ends a listener by a signal, once the dialer has ended.
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            with trio.move_on_after(test.deadline - time.monotonic()):
                async for _ in signals:
                    return 0
    node.log("py_harness: nobody ended the listener in time")
    return 1


async def _dial(test: Test) -> int:
    host = _host()
    async with host.run(listen_addrs=[]):
        redis = Redis(test.redis, test.deadline)
        answer = redis.ask("BLPOP", test.key, str(max(1, int(test.deadline - time.monotonic()))))
        redis.close()
        if not isinstance(answer, list) or len(answer) != 2:
            raise ValueError(f"no listener has left its address under {test.key!r}: {answer}")
        info = info_from_p2p_addr(Multiaddr(answer[1]))
        with trio.fail_after(test.deadline - time.monotonic()):
            begun = time.monotonic()
            await host.connect(info)
            ping = await _ping(host, info.peer_id)
            whole = time.monotonic() - begun
        print(test.report(whole * 1000, ping * 1000), flush=True)
    return 0


def main() -> int:
    test = Test.from_environment()
    return trio.run(_dial if test.is_dialer else _listen, test)


if __name__ == "__main__":
    sys.exit(main())
