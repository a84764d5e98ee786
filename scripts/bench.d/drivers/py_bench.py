"""py-libp2p for scripts/bench. Runs inside the peer's own virtual environment."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Awaitable, Callable

import bench_node
import node
import trio
from libp2p import new_host
from libp2p.abc import IHost, INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.perf.perf_service import PerfService
from multiaddr import Multiaddr
from py_io import open_stream, read, read_exactly


def _host() -> IHost:
    logging.basicConfig(level=logging.ERROR)
    return new_host(key_pair=create_new_key_pair(), enable_quic=True, enable_tcp=False)


async def _echo(stream: INetStream) -> None:
    try:
        while block := await read(stream):
            await stream.write(block)
        await stream.close_write()
    except Exception:
        await stream.reset()


async def _listen() -> None:
    host = _host()
    async with host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/udp/0/quic-v1")]):
        host.set_stream_handler(TProtocol(node.ECHO_PROTOCOL), _echo)
        await PerfService(host).start()
        for address in host.get_transport_addrs():
            print(f"listening {address}/p2p/{host.get_id()}", flush=True)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                return


async def _per_second(workers: int, seconds: float, operation: Callable[[int], Awaitable[None]]) -> float:
    start = time.monotonic()
    count = 0

    async def work(index: int) -> None:
        nonlocal count
        while True:
            await operation(index)
            count += 1
            if time.monotonic() - start >= seconds:
                return

    async with trio.open_nursery() as nursery:
        for index in range(workers):
            nursery.start_soon(work, index)
    return count / (time.monotonic() - start)


class _Dialer:
    def __init__(self, host: IHost, address: str, options: dict[str, str]) -> None:
        self._host, self._address, self._options = host, Multiaddr(address), options
        self._info = info_from_p2p_addr(self._address)

    async def connect(self) -> None:
        await self._host.connect(self._info)

    async def _perf(self, up: int, down: int) -> None:
        async for output in PerfService(self._host).measure_performance(self._address, up, down):
            if output["type"] == "final" and (output["upload_bytes"], output["download_bytes"]) == (up, down):
                return
        raise ValueError("perf ended without its final result")

    async def download(self) -> dict[str, float]:
        await self._perf(int(self._options.get("upload", 0)), int(self._options.get("download", 0)))
        return {}

    upload = download

    async def streams(self) -> dict[str, float]:
        count, size = int(self._options["streams"]), int(self._options["bytes"])
        start = time.monotonic()
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(self._perf, 0, size)
        return {"rate": count * size / (1 << 20) / (time.monotonic() - start)}

    async def _open(self, protocol: str = node.ECHO_PROTOCOL) -> INetStream:
        return await open_stream(self._host, self._info.peer_id, protocol)

    async def request(self) -> dict[str, float]:
        found, seconds = {}, float(self._options["seconds"])
        for level in bench_node.numbers(self._options["concurrency"]):
            streams = [await self._open() for _ in range(level)]
            for size in (1, 100, 10240):

                async def ask(index: int, size: int = size, streams: list[INetStream] = streams) -> None:
                    await streams[index].write(bytes(size))
                    await read_exactly(streams[index], size)

                found[f"{size}x{level}"] = await _per_second(level, seconds, ask)
            for stream in streams:
                await stream.close()
        return found

    async def open(self) -> dict[str, float]:
        async def once(_: int) -> None:
            stream = await self._open()
            await stream.write(b"1")
            await read_exactly(stream, 1)
            await stream.close()

        seconds = float(self._options["seconds"])
        return {str(level): await _per_second(level, seconds, once) for level in (1, 32)}

    async def connect_again(self) -> dict[str, float]:
        async def once(_: int) -> None:
            await self._host.disconnect(self._info.peer_id)
            await self.connect()

        return {"1": await _per_second(1, float(self._options["seconds"]), once)}

    async def ping(self) -> dict[str, float]:
        stream = await self._open(node.PING_PROTOCOL)
        times, message = [], bytes(bench_node.PING_SIZE)
        for _ in range(int(self._options["count"])):
            begun = time.perf_counter()
            await stream.write(message)
            await read_exactly(stream, len(message))
            times.append(time.perf_counter() - begun)
        return bench_node.times(times)


async def _dial(address: str, name: str, options: dict[str, str]) -> None:
    host = _host()
    async with host.run(listen_addrs=[]):
        dialer = _Dialer(host, address, options)
        await dialer.connect()
        with trio.fail_after(100):
            play = {"connect": dialer.connect_again}.get(name) or getattr(dialer, name)
            bench_node.say(await play())


def main() -> None:
    what, address, name, options = bench_node.command()
    if what == "listen":
        trio.run(_listen)
    else:
        trio.run(_dial, address, name, options)


if __name__ == "__main__":
    main()
