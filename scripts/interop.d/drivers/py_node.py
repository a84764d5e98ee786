"""py-libp2p as a node (PyPI `libp2p`, QUIC by aioquic). Runs inside the peer's own virtual environment."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Awaitable, Callable

import node
import trio
import wire
from libp2p import new_host
from libp2p.abc import IHost, INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.network.stream.exceptions import StreamEOF, StreamReset
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.stream_muxer.exceptions import MuxedStreamEOF
from libp2p.transport.quic.exceptions import QUICStreamClosedError
from multiaddr import Multiaddr

_BLOCK = 64 << 10
_IDENTIFY_ATTEMPTS = 20
"""go-libp2p answers identify with message, FIN and STOP_SENDING at once. py-libp2p drops its own outgoing stream at
STOP_SENDING, and loses the answer when it was not yet reading it: about one time in three."""


def _host() -> IHost:
    logging.basicConfig(level=logging.WARNING)
    return new_host(key_pair=create_new_key_pair(), enable_quic=True, enable_tcp=False)


async def _read(stream: INetStream) -> bytes:
    """The next bytes, or nothing at the end of the stream.

    Two things about py-libp2p: it may report the end with the last bytes still in its hands, when they came while it
    looked; and once both ends have finished its host calls that a reset. The stream underneath knows better on both.
    """
    try:
        return await stream.read(_BLOCK)
    except (StreamEOF, StreamReset):
        muxed = stream.muxed_stream
        if muxed.is_reset():  # type: ignore[attr-defined]
            raise
        try:
            return await muxed.read(_BLOCK)
        except (MuxedStreamEOF, QUICStreamClosedError):
            return b""


async def _read_to_end(stream: INetStream) -> bytes:
    received = bytearray()
    while block := await _read(stream):
        received += block
    return bytes(received)


async def _read_exactly(stream: INetStream, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        if not (block := await stream.read(count - len(received))):
            raise EOFError(f"the stream ended after {len(received)} of {count} bytes")
        received += block
    return bytes(received)


async def _echo(stream: INetStream) -> None:
    try:
        while block := await _read(stream):
            await stream.write(block)
        await stream.close_write()
    except Exception as error:
        node.log(f"echo: {error!r}")
        await stream.reset()


async def _until_signalled() -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            return


async def _listen() -> int:
    host = _host()
    async with host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/udp/0/quic-v1")]):
        host.set_stream_handler(TProtocol(node.ECHO_PROTOCOL), _echo)
        for address in host.get_transport_addrs():
            node.announce(f"{address}/p2p/{host.get_id()}")
        await _until_signalled()
    return 0


async def _open(host: IHost, peer: ID, protocol: str) -> INetStream:
    try:
        return await host.new_stream(peer, [TProtocol(protocol)])
    except Exception as error:
        reason: BaseException | None = error
        while reason:
            if "protocol" in str(reason).lower() and "not supported" in str(reason).lower():
                raise node.Absent(f"the listener refuses {protocol}: {reason}") from error
            reason = reason.__cause__ or reason.__context__
        raise


async def _identify(host: IHost, peer: ID) -> str:
    for _ in range(20):  # py-libp2p's own identify service runs on every new connection
        if known := node.PING_PROTOCOL in _known_protocols(host, peer):
            break
        await trio.sleep(0.1)
    own = "its own service too" if known else "its own service lost the answer"
    for attempt in range(1, _IDENTIFY_ATTEMPTS + 1):
        try:
            seen = await _ask_identify(host, peer)
            return f"{node.check_identify(seen, str(peer))}, attempt {attempt}, {own}"
        except (StreamFailure, EOFError) as error:
            node.log(f"identify, attempt {attempt}: {error!r}")
    raise EOFError(f"no answer in {_IDENTIFY_ATTEMPTS} attempts")


async def _ask_identify(host: IHost, peer: ID) -> wire.Identify:
    stream = await _open(host, peer, node.IDENTIFY_PROTOCOL)
    data = await _read_to_end(stream)
    await stream.close()
    if not data:
        raise EOFError("the stream ended before the answer")
    size, start = wire.decode_uvarint(data)
    if len(data) != start + size:
        raise ValueError(f"identify announces {size} bytes and carries {len(data) - start}")
    return wire.Identify.decode(data[start:])


def _known_protocols(host: IHost, peer: ID) -> list[str]:
    try:
        return list(host.get_peerstore().get_protocols(peer))
    except Exception:
        return []


async def _ping(host: IHost, peer: ID) -> str:
    stream = await _open(host, peer, node.PING_PROTOCOL)
    times = []
    for _ in range(node.PING_COUNT):
        payload, begun = node.random_bytes(node.PING_SIZE), time.monotonic()
        await stream.write(payload)
        if await _read_exactly(stream, node.PING_SIZE) != payload:
            raise ValueError("ping came back changed")
        times.append(time.monotonic() - begun)
    await stream.close()
    return node.ping_summary(times)


async def _echo_line(host: IHost, peer: ID) -> str:
    return await _round_trip(host, peer, node.ECHO_LINE)


async def _echo_big(host: IHost, peer: ID) -> str:
    return await _round_trip(host, peer, node.random_bytes(node.BIG_ECHO_SIZE))


async def _round_trip(host: IHost, peer: ID, sent: bytes) -> str:
    """Sends and reads at once; closes when all is back."""
    stream = await _open(host, peer, node.ECHO_PROTOCOL)
    received = b""

    async def read() -> None:
        nonlocal received
        received = await _read_exactly(stream, len(sent))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await stream.write(sent)
    await stream.close()
    return node.check_echo(sent, received)


async def _half_close(host: IHost, peer: ID) -> str:
    stream = await _open(host, peer, node.ECHO_PROTOCOL)
    sent = node.random_bytes(node.HALF_CLOSE_SIZE)
    await stream.write(sent)
    await stream.close_write()
    received = await _read_to_end(stream)
    await stream.close()
    return node.check_echo(sent, received) + " read after our FIN, then the peer's"


_STEPS: dict[str, Callable[[IHost, ID], Awaitable[str]]] = {
    node.IDENTIFY: _identify,
    node.PING: _ping,
    node.ECHO: _echo_line,
    node.BIG_ECHO: _echo_big,
    node.HALF_CLOSE: _half_close,
}


async def _dial(address: str) -> int:
    results = node.Results()
    info = info_from_p2p_addr(Multiaddr(address))
    host = _host()
    async with host.run(listen_addrs=[]):
        try:
            begun = time.monotonic()
            with trio.fail_after(node.STEP_TIMEOUT):
                await host.connect(info)
            results.passed(node.HANDSHAKE, f"{(time.monotonic() - begun) * 1000:.0f} ms")
        except Exception as error:
            results.failed(node.HANDSHAKE, error)
            return results.finish()
        for feature, step in _STEPS.items():
            try:
                with trio.fail_after(node.STEP_TIMEOUT):
                    results.passed(feature, await step(host, info.peer_id))
            except node.Absent as reason:
                results.absent(feature, str(reason))
            except Exception as error:
                results.failed(feature, error)
        results.absent(node.WRONG_ID, "py-libp2p is no oracle for refusals: its verification has gaps")
        status = results.finish()
    return status


def main() -> int:
    arguments = node.arguments(__doc__ or "")
    if arguments.command == "listen":
        return trio.run(_listen)
    return trio.run(_dial, arguments.address)


if __name__ == "__main__":
    raise SystemExit(main())
