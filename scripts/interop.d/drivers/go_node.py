"""go-libp2p as a node: `p2pd` does the networking, this file drives it. P2PD names the binary."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import node
import wire
from go_control import NO_CODE, Control, ask_identify, reset, reset_back
from p2pd import Daemon, DaemonError

_BLOCK = 64 << 10
_NO_HALF_CLOSE = (
    "p2pd pipes every stream through a socket and closes both halves at the first end of file "
    "(go-libp2p-daemon, stream.go, doStreamPipe)"
)
_NO_PERF = "p2pd has no perf, and cannot half-close, so that none can be made of its streams"


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: str) -> None:
    try:
        while block := await reader.read(_BLOCK):
            writer.write(block)
            await writer.drain()
        writer.write_eof()
    except (ConnectionError, OSError) as error:
        node.log(f"echo: {error!r}")


async def _listen(binary: Path) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Daemon(binary) as daemon:
        await daemon.handle(node.ECHO_PROTOCOL, _echo)
        await daemon.handle(node.CONTROL_PROTOCOL, Control(daemon).serve)
        node.announce_absent(node.HALF_CLOSE, _NO_HALF_CLOSE)
        node.announce_absent(node.PERF, _NO_PERF)
        node.announce_absent(node.RESET, NO_CODE)
        for address in daemon.addresses:
            node.announce(f"{address}/p2p/{daemon.peer}")
        await stop.wait()
        with contextlib.suppress(OSError):
            node.log(f"identify: go-libp2p's own service understood {await daemon.identified()} peer(s)")
    return 0


async def _own_identify(daemon: Daemon) -> None:
    """Waits until go-libp2p's identify service has accepted the peer's message."""
    for _ in range(50):
        if await daemon.identified():
            return
        await asyncio.sleep(0.1)
    raise TimeoutError("go-libp2p's own identify service never completed")


async def _identify(daemon: Daemon, peer: str) -> str:
    await _own_identify(daemon)
    return node.check_identify(await ask_identify(daemon, peer), peer)


async def _agent(daemon: Daemon, peer: str) -> str:
    seen = await ask_identify(daemon, peer)
    return node.check_announced(seen.protocol_version, seen.agent)


async def _ping(daemon: Daemon, peer: str) -> str:
    reader, writer = await daemon.open_stream(peer, node.PING_PROTOCOL)
    times = []
    for _ in range(node.PING_COUNT):
        payload, begun = node.random_bytes(node.PING_SIZE), time.monotonic()
        writer.write(payload)
        if await reader.readexactly(node.PING_SIZE) != payload:
            raise ValueError("ping came back changed")
        times.append(time.monotonic() - begun)
    writer.close()
    return node.ping_summary(times)


async def _echo_line(daemon: Daemon, peer: str) -> str:
    return await _round_trip(daemon, peer, node.ECHO_LINE)


async def _echo_big(daemon: Daemon, peer: str) -> str:
    return await _round_trip(daemon, peer, node.random_bytes(node.BIG_ECHO_SIZE))


async def _round_trip(daemon: Daemon, peer: str, sent: bytes) -> str:
    """Sends and reads at once; closes only when all is back, because p2pd cannot half-close."""
    reader, writer = await daemon.open_stream(peer, node.ECHO_PROTOCOL)

    credits = asyncio.Semaphore(node.LARGE_BLOCKS_AHEAD)
    received = bytearray()

    async def send() -> None:
        for start in range(0, len(sent), node.LARGE_BLOCK):
            await credits.acquire()
            writer.write(sent[start : start + node.LARGE_BLOCK])
            await writer.drain()

    async def receive() -> None:
        while rest := len(sent) - len(received):
            received.extend(await reader.readexactly(min(rest, node.LARGE_BLOCK)))
            credits.release()

    await asyncio.gather(send(), receive())
    writer.close()
    return node.check_echo(sent, bytes(received))


async def _hundred_streams(daemon: Daemon, peer: str) -> str:
    """Opens all, sends a byte each way on each, and only then uses and closes them."""

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> None:
        writer.write(sent)
        await writer.drain()
        node.check_echo(sent, await reader.readexactly(len(sent)))

    opening = (daemon.open_stream(peer, node.ECHO_PROTOCOL) for _ in range(node.STREAM_COUNT))
    streams = await asyncio.gather(*opening)
    await asyncio.gather(*(exchange(*stream, b"1") for stream in streams))
    await asyncio.gather(*(exchange(*stream, node.random_bytes(node.STREAM_SIZE)) for stream in streams))
    for _, writer in streams:
        writer.close()
    return f"{len(streams)} open at once, {node.STREAM_SIZE} bytes each way on each"


async def _wrong_id(daemon: Daemon, transport: str) -> str:
    try:
        await daemon.connect(node.OTHER_PEER, transport)
    except DaemonError as error:
        if "mismatch" in str(error):
            return "refused: peer id mismatch"
        raise
    raise ValueError("connected although another peer was expected")


async def _dial(binary: Path, address: str, large: int) -> int:
    results = node.Results()
    transport, peer = wire.split_peer(address)
    async with Daemon(binary) as daemon:
        try:
            begun = time.monotonic()
            await asyncio.wait_for(daemon.connect(peer, transport), node.STEP_TIMEOUT)
            results.passed(node.HANDSHAKE, f"{(time.monotonic() - begun) * 1000:.0f} ms")
        except Exception as error:
            results.failed(node.HANDSHAKE, error)
            return results.finish()
        steps = {
            node.IDENTIFY: _identify,
            node.PING: _ping,
            node.ECHO: _echo_line,
            node.BIG_ECHO: _echo_big,
            node.STREAMS: _hundred_streams,
            node.RESET: reset,
            node.RESET_BACK: reset_back,
            node.LARGE: lambda daemon, peer: _round_trip(daemon, peer, node.random_bytes(large)),
            node.AGENT: _agent,
        }
        for feature, step in steps.items():
            try:
                results.passed(feature, await asyncio.wait_for(step(daemon, peer), node.timeout(feature)))
            except node.Absent as reason:
                results.absent(feature, str(reason))
            except DaemonError as error:
                if "protocols not supported" in str(error):
                    results.absent(feature, f"the listener refuses the protocol: {error}")
                else:
                    results.failed(feature, error)
            except Exception as error:
                results.failed(feature, error)
        results.absent(node.HALF_CLOSE, _NO_HALF_CLOSE)
        results.absent(node.PERF, _NO_PERF)
        try:
            results.passed(node.WRONG_ID, await asyncio.wait_for(_wrong_id(daemon, transport), node.STEP_TIMEOUT))
        except Exception as error:
            results.failed(node.WRONG_ID, error)
    return results.finish()


def main() -> int:
    arguments = node.arguments(__doc__ or "")
    binary = Path(os.environ["P2PD"])
    if arguments.command == "listen":
        return asyncio.run(_listen(binary))
    return asyncio.run(_dial(binary, arguments.address, arguments.large))


if __name__ == "__main__":
    raise SystemExit(main())
