"""py-libp2p as a node (PyPI `libp2p`, QUIC by aioquic). Runs inside the peer's own virtual environment."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Awaitable, Callable

import node
import trio
from libp2p import new_host
from libp2p.abc import IHost, INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.peer.envelope import consume_envelope
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.perf.perf_service import PerfService
from multiaddr import Multiaddr
from py_control import Control, identify, reset, reset_back
from py_io import open_stream, read, read_exactly, read_to_end


def _host() -> IHost:
    logging.basicConfig(level=logging.WARNING)
    return new_host(key_pair=create_new_key_pair(), enable_quic=True, enable_tcp=False)


async def _echo(stream: INetStream) -> None:
    try:
        while block := await read(stream):
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
        host.set_stream_handler(TProtocol(node.CONTROL_PROTOCOL), Control(host).serve)
        await PerfService(host).start()
        for address in host.get_transport_addrs():
            node.announce(f"{address}/p2p/{host.get_id()}")
        await _until_signalled()
    return 0


async def _identify(host: IHost, peer: ID) -> str:
    for _ in range(20):  # py-libp2p's own identify service runs on every new connection
        if known := node.PING_PROTOCOL in _known_protocols(host, peer):
            break
        await trio.sleep(0.1)
    own = "its own service too" if known else "its own service lost the answer"
    seen, attempt = await identify(host, peer)
    told = node.check_identify(seen, str(peer))
    # Raises when the signature does not hold.
    envelope, record = consume_envelope(seen.signed_record, "libp2p-peer-record")
    for named in (record.peer_id, ID.from_pubkey(envelope.public_key)):
        if named != peer:
            raise ValueError(f"the signed record is of {named}, the connection belongs to {peer}")
    return f"{told} number {record.seq} opened by py-libp2p, attempt {attempt}, {own}"


def _known_protocols(host: IHost, peer: ID) -> list[str]:
    try:
        return list(host.get_peerstore().get_protocols(peer))
    except Exception:
        return []


async def _ping(host: IHost, peer: ID) -> str:
    stream = await open_stream(host, peer, node.PING_PROTOCOL)
    times = []
    for _ in range(node.PING_COUNT):
        payload, begun = node.random_bytes(node.PING_SIZE), time.monotonic()
        await stream.write(payload)
        if await read_exactly(stream, node.PING_SIZE) != payload:
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
    stream = await open_stream(host, peer, node.ECHO_PROTOCOL)
    credits = trio.Semaphore(node.LARGE_BLOCKS_AHEAD)
    received = bytearray()

    async def receive() -> None:
        while rest := len(sent) - len(received):
            received.extend(await read_exactly(stream, min(rest, node.LARGE_BLOCK)))
            credits.release()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        for start in range(0, len(sent), node.LARGE_BLOCK):
            await credits.acquire()
            await stream.write(sent[start : start + node.LARGE_BLOCK])
    await stream.close()
    return node.check_echo(sent, bytes(received))


async def _half_close(host: IHost, peer: ID) -> str:
    stream = await open_stream(host, peer, node.ECHO_PROTOCOL)
    sent = node.random_bytes(node.HALF_CLOSE_SIZE)
    await stream.write(sent)
    await stream.close_write()
    received = await read_to_end(stream)
    await stream.close()
    return node.check_echo(sent, received) + " read after our FIN, then the peer's"


async def _hundred_streams(host: IHost, peer: ID) -> str:
    """Opens all, sends a byte each way on each, and only then uses and closes them."""
    streams: list[INetStream] = []

    async def open_one() -> None:
        streams.append(stream := await open_stream(host, peer, node.ECHO_PROTOCOL))
        await _exchange(stream, b"1")

    async def use(stream: INetStream) -> None:
        await _exchange(stream, node.random_bytes(node.STREAM_SIZE))
        await stream.close()

    async with trio.open_nursery() as nursery:
        for _ in range(node.STREAM_COUNT):
            nursery.start_soon(open_one)
    async with trio.open_nursery() as nursery:
        for stream in streams:
            nursery.start_soon(use, stream)
    return f"{len(streams)} open at once, {node.STREAM_SIZE} bytes each way on each"


async def _exchange(stream: INetStream, sent: bytes) -> None:
    await stream.write(sent)
    node.check_echo(sent, await read_exactly(stream, len(sent)))


async def _perf(host: IHost, address: str, size: int) -> str:
    service, begun = PerfService(host), time.monotonic()
    async for output in service.measure_performance(Multiaddr(address), size, size):
        if output["type"] == "final" and (output["upload_bytes"], output["download_bytes"]) == (size, size):
            return f"{size} bytes each way in {time.monotonic() - begun:.1f} s"
    raise ValueError("perf ended without its final result")


async def _agent(host: IHost, peer: ID) -> str:
    seen, _ = await identify(host, peer)
    return node.check_announced(seen.protocol_version, seen.agent)


_STEPS: dict[str, Callable[[IHost, ID], Awaitable[str]]] = {
    node.IDENTIFY: _identify,
    node.PING: _ping,
    node.ECHO: _echo_line,
    node.BIG_ECHO: _echo_big,
    node.HALF_CLOSE: _half_close,
    node.STREAMS: _hundred_streams,
    node.RESET: reset,
    node.RESET_BACK: reset_back,
    node.AGENT: _agent,
}


async def _dial(address: str, large: int) -> int:
    results = node.Results()
    steps = {
        **_STEPS,
        node.LARGE: lambda host, peer: _round_trip(host, peer, node.random_bytes(large)),
        node.PERF: lambda host, _: _perf(host, address, large // 4),
    }
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
        for feature, step in steps.items():
            try:
                with trio.fail_after(node.timeout(feature)):
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
    return trio.run(_dial, arguments.address, arguments.large)


if __name__ == "__main__":
    raise SystemExit(main())
