"""Opening and reading streams of py-libp2p."""

from __future__ import annotations

import node
from libp2p.abc import IHost, INetStream
from libp2p.custom_types import TProtocol
from libp2p.network.stream.exceptions import StreamEOF, StreamReset
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedStreamEOF
from libp2p.transport.quic.exceptions import QUICStreamClosedError

BLOCK = 64 << 10


async def open_stream(host: IHost, peer: ID, protocol: str) -> INetStream:
    """A stream on which `protocol` was negotiated; `node.Absent` when the peer does not speak it."""
    try:
        return await host.new_stream(peer, [TProtocol(protocol)])
    except Exception as error:
        reason: BaseException | None = error
        while reason:
            if "protocol" in str(reason).lower() and "not supported" in str(reason).lower():
                raise node.Absent(f"the listener refuses {protocol}: {reason}") from error
            reason = reason.__cause__ or reason.__context__
        raise


async def read(stream: INetStream, limit: int = BLOCK) -> bytes:
    """The next bytes, or nothing at the end of the stream.

    Two things about py-libp2p: it may report the end with the last bytes still in its hands, when they came while it
    looked; and once both ends have finished its host calls that a reset. The stream underneath knows better on both.
    """
    try:
        return await stream.read(limit)
    except (StreamEOF, StreamReset):
        muxed = stream.muxed_stream
        if muxed.is_reset():  # type: ignore[attr-defined]
            raise
        try:
            return await muxed.read(limit)
        except (MuxedStreamEOF, QUICStreamClosedError):
            return b""


async def read_to_end(stream: INetStream) -> bytes:
    received = bytearray()
    while block := await read(stream):
        received += block
    return bytes(received)


async def read_exactly(stream: INetStream, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        if not (block := await read(stream, min(BLOCK, count - len(received)))):
            raise EOFError(f"the stream ended after {len(received)} of {count} bytes")
        received += block
    return bytes(received)


async def read_line(stream: INetStream) -> str:
    """A line of a dialogue in which each side waits for the other's line."""
    line = bytearray()
    while not line.endswith(b"\n"):
        if len(line) > node.LINE_LIMIT:
            raise ValueError("a line too long")
        line += await read_exactly(stream, 1)
    return line.decode().rstrip("\n")


async def write_line(stream: INetStream, line: str) -> None:
    await stream.write(f"{line}\n".encode())
