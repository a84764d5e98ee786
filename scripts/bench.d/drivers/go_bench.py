"""go-libp2p for scripts/bench: `p2pd` does the networking, this file drives it. P2PD names the binary.

Every stream passes through a socket between p2pd and here at both ends, and every dial through another: what is measured is
go-libp2p and that. Its own release is faster than these figures.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import bench_node
import node
import wire
from p2pd import Daemon

_BLOCK = bytes(256 << 10)
_DISCONNECT = 7


async def _receive(reader: asyncio.StreamReader, count: int) -> None:
    while count:
        if not (more := await reader.read(min(count, 1 << 20))):
            raise EOFError(f"{count} bytes are missing")
        count -= len(more)


async def _send(writer: asyncio.StreamWriter, count: int) -> None:
    while count:
        step = min(count, len(_BLOCK))
        writer.write(_BLOCK if step == len(_BLOCK) else _BLOCK[:step])
        await writer.drain()
        count -= step


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: str) -> None:
    header = await reader.readexactly(16)
    wanted, following = int.from_bytes(header[:8]), int.from_bytes(header[8:])
    await _receive(reader, following)
    await _send(writer, max(1, wanted))
    await reader.read(1)  # p2pd resets a stream whose handler ends first


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: str) -> None:
    while block := await reader.read(64 << 10):
        writer.write(block)
        await writer.drain()


async def _listen(binary: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Daemon(binary) as daemon:
        await daemon.handle(bench_node.PROTOCOL, _serve)
        await daemon.handle(node.ECHO_PROTOCOL, _echo)
        print(f"listening {daemon.addresses[0]}/p2p/{daemon.peer}", flush=True)
        await stop.wait()


class _Dialer:
    def __init__(self, daemon: Daemon, address: str, options: dict[str, str]) -> None:
        self._daemon, self._options = daemon, options
        self._transport, self._peer = wire.split_peer(address)

    async def connect(self) -> None:
        await self._daemon.connect(self._peer, self._transport)

    async def _disconnect(self) -> None:
        body = wire.message((1, wire.base58_decode(self._peer)))
        _, _, writer = await self._daemon._request((1, _DISCONNECT), (7, body))
        writer.close()

    async def _exchange(self, wanted: int, following: int) -> None:
        reader, writer = await self._daemon.open_stream(self._peer, bench_node.PROTOCOL)
        writer.write(wanted.to_bytes(8) + following.to_bytes(8))
        await _send(writer, following)
        await _receive(reader, max(1, wanted))
        writer.close()

    async def download(self) -> dict[str, float]:
        await self._exchange(int(self._options.get("download", 0)), int(self._options.get("upload", 0)))
        return {}

    upload = download

    async def streams(self) -> dict[str, float]:
        count, size = int(self._options["streams"]), int(self._options["bytes"])
        await self._exchange(1, 0)
        start = time.monotonic()
        await asyncio.gather(*(self._exchange(size, 0) for _ in range(count)))
        return {"rate": count * size / (1 << 20) / (time.monotonic() - start)}

    async def request(self) -> dict[str, float]:
        found, seconds = {}, float(self._options["seconds"])
        for level in bench_node.numbers(self._options["concurrency"]):
            opening = (self._daemon.open_stream(self._peer, node.ECHO_PROTOCOL) for _ in range(level))
            streams = await asyncio.gather(*opening)
            for size in (1, 100, 10240):
                message = bytes(size)

                async def ask(index: int, message: bytes = message, streams: list = streams) -> None:
                    reader, writer = streams[index]
                    writer.write(message)
                    await reader.readexactly(len(message))

                found[f"{size}x{level}"] = await bench_node.per_second(level, seconds, ask)
            for _, writer in streams:
                writer.close()
        return found

    async def open(self) -> dict[str, float]:
        async def once(_: int) -> None:
            reader, writer = await self._daemon.open_stream(self._peer, node.ECHO_PROTOCOL)
            writer.write(b"1")
            await reader.readexactly(1)
            writer.close()

        seconds = float(self._options["seconds"])
        return {str(level): await bench_node.per_second(level, seconds, once) for level in (1, 32)}

    async def connect_again(self) -> dict[str, float]:
        async def once(_: int) -> None:
            await self._disconnect()
            await self.connect()

        return {"1": await bench_node.per_second(1, float(self._options["seconds"]), once)}

    async def ping(self) -> dict[str, float]:
        reader, writer = await self._daemon.open_stream(self._peer, node.PING_PROTOCOL)
        times, message = [], bytes(bench_node.PING_SIZE)
        for _ in range(int(self._options["count"])):
            begun = time.perf_counter()
            writer.write(message)
            await reader.readexactly(len(message))
            times.append(time.perf_counter() - begun)
        writer.close()
        return bench_node.times(times)


async def _dial(binary: Path, address: str, name: str, options: dict[str, str]) -> None:
    async with Daemon(binary) as daemon:
        dialer = _Dialer(daemon, address, options)
        await dialer.connect()
        play = {"connect": dialer.connect_again}.get(name) or getattr(dialer, name)
        bench_node.say(await play())


def main() -> None:
    what, address, name, options = bench_node.command()
    binary = Path(os.environ["P2PD"])
    asyncio.run(_listen(binary) if what == "listen" else _dial(binary, address, name, options))


if __name__ == "__main__":
    main()
