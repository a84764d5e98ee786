"""Client of go-libp2p's daemon `p2pd`: starts it and speaks its control protocol.

The control socket takes length-delimited protobuf messages (go-libp2p-daemon, `pb/p2pd.proto`). A stream that was
opened turns its control connection into the stream itself; for a stream somebody else opened the daemon connects to
the socket that registered the handler, sends a `StreamInfo`, and then the bytes.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import wire

_IDENTIFY, _CONNECT, _STREAM_OPEN, _STREAM_HANDLER = 0, 1, 2, 3

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]
"""Gets a stream's two halves and the peer's ID."""


class DaemonError(Exception):
    """What the daemon answered instead of OK."""


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    size = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            return await reader.readexactly(size)
        shift += 7


class Daemon:
    """One running `p2pd`, listening on QUIC v1 on loopback only."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary
        self._folder = Path(tempfile.mkdtemp(prefix="p2pd-"))
        self._control = self._folder / "control.sock"
        self._process: asyncio.subprocess.Process | None = None
        self._servers: list[asyncio.Server] = []
        self.peer = ""
        self.addresses: list[str] = []
        self._metrics = f"127.0.0.1:{_free_tcp_port()}"

    async def __aenter__(self) -> Daemon:
        self._process = await asyncio.create_subprocess_exec(
            str(self._binary),
            "-listen", f"/unix{self._control}",
            "-hostAddrs", "/ip4/127.0.0.1/udp/0/quic-v1",
            "-metricsAddr", self._metrics,
            "-relay=false",
            "-relayService=false",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            await asyncio.wait_for(self._ready(), 15)
            await self._identify()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        if self._process and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 3)
            except asyncio.TimeoutError:
                self._process.kill()
                await self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _ready(self) -> None:
        """Waits until the daemon has said that it is up."""
        assert self._process and self._process.stdout
        while line := (await self._process.stdout.readline()).decode():
            if line.startswith("Control socket:"):
                self._drain = asyncio.create_task(self._process.stdout.read())
                return
        raise DaemonError(f"p2pd ended with status {await self._process.wait()} before it was ready")

    async def _request(
        self, *fields: tuple[int, int | bytes]
    ) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(str(self._control), limit=1 << 20)
        body = wire.message(*fields)
        writer.write(wire.encode_uvarint(len(body)) + body)
        answer = await _read_message(reader)
        for error in wire.nested(answer, 2):
            writer.close()
            raise DaemonError(next((text.decode() for text in wire.nested(error, 1)), "no reason given"))
        return answer, reader, writer

    async def _identify(self) -> None:
        answer, _, writer = await self._request((1, _IDENTIFY))
        writer.close()
        for identity in wire.nested(answer, 4):
            self.peer = wire.base58_encode(next(wire.nested(identity, 1)))
            self.addresses = [wire.multiaddr_decode(address) for address in wire.nested(identity, 2)]

    async def connect(self, peer: str, transport: str) -> None:
        """Dials; the handshake has succeeded when this returns."""
        body = wire.message((1, wire.base58_decode(peer)), (2, wire.multiaddr_encode(transport)), (3, 15))
        _, _, writer = await self._request((1, _CONNECT), (2, body))
        writer.close()

    async def open_stream(self, peer: str, protocol: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A stream on which `protocol` was negotiated."""
        body = wire.message((1, wire.base58_decode(peer)), (2, protocol), (3, 15))
        _, reader, writer = await self._request((1, _STREAM_OPEN), (3, body))
        return reader, writer

    async def handle(self, protocol: str, handler: Handler) -> None:
        """Serves `protocol` with `handler`, which gets the bytes of each stream."""
        path = self._folder / f"handler-{len(self._servers)}.sock"

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            info = await _read_message(reader)
            try:
                await handler(reader, writer, wire.base58_encode(next(wire.nested(info, 1))))
            except Exception as error:
                print(f"{protocol}: {error!r}", file=sys.stderr, flush=True)
            finally:
                writer.close()

        self._servers.append(await asyncio.start_unix_server(serve, str(path), limit=1 << 20))
        body = wire.message((1, _unix_multiaddr(path)), (2, protocol), (3, 0))
        _, _, writer = await self._request((1, _STREAM_HANDLER), (4, body))
        writer.close()

    async def identified(self) -> int:
        """How many peers the daemon's own identify service has understood so far."""
        text = await asyncio.to_thread(
            lambda: urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=5).read()
        )
        wanted = b'libp2p_eventbus_events_emitted_total{event="EvtPeerIdentificationCompleted"} '
        return sum(int(float(line[len(wanted) :])) for line in text.splitlines() if line.startswith(wanted))


def _free_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _unix_multiaddr(path: Path) -> bytes:
    raw = str(path).encode()
    return wire.encode_uvarint(400) + wire.encode_uvarint(len(raw)) + raw
