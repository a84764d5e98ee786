"""Both sides of the control protocol (see node.py) for go-libp2p's daemon.

p2pd joins each stream to a socket. It resets the stream, with code 0, when reading the socket fails; and whatever ends
the stream, the socket just ends.
"""

from __future__ import annotations

import asyncio
import select

import node
import wire
from p2pd import Daemon

NO_CODE = (
    "p2pd closes the socket that stands for a stream however the stream ended: neither the reset nor its code is visible"
)
_ONLY_CODE = 0


async def ask_identify(daemon: Daemon, peer: str) -> wire.Identify:
    reader, writer = await daemon.open_stream(peer, node.IDENTIFY_PROTOCOL)
    data = await reader.read(-1)
    writer.close()
    size, start = wire.decode_uvarint(data)
    if len(data) != start + size:
        raise ValueError(f"identify announces {size} bytes and carries {len(data) - start}")
    return wire.Identify.decode(data[start:])


async def _line(reader: asyncio.StreamReader) -> str:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise EOFError("the stream ended where a line was due")
    return line.decode().rstrip("\n")


def _write(writer: asyncio.StreamWriter, line: str) -> None:
    writer.write(f"{line}\n".encode())


async def _say_and_break(writer: asyncio.StreamWriter, line: str) -> None:
    """Says a line, waits for the answer without taking it, and closes: with something unread left in the socket the
    kernel fails p2pd's next read of its end, and p2pd resets the stream."""
    transport = writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    _write(writer, line)
    await writer.drain()
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    if not await asyncio.to_thread(poll.poll, node.STEP_TIMEOUT * 1000):
        raise TimeoutError(f"no answer to {line!r}")
    transport.abort()


class Control:
    """The listener's side."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        match (await _line(reader)).split():
            case ["reset", _]:
                await _say_and_break(writer, f"code {_ONLY_CODE}")
                return
            case ["await-reset"]:
                _write(writer, "ready")
                await reader.read(-1)
                return
            case ["seen"]:
                _write(writer, NO_CODE)
            case ["identify"]:
                seen = await ask_identify(self._daemon, peer)
                _write(writer, f"{seen.protocol_version}\t{seen.agent}")
            case words:
                raise ValueError(f"unknown question {words}")
        await writer.drain()
        # Ending first would make p2pd reset the stream, and a reset overtakes the answer.
        await asyncio.wait_for(reader.read(-1), node.STEP_TIMEOUT)


async def reset(daemon: Daemon, peer: str) -> str:
    """Has p2pd reset a stream, then asks the listener what it saw."""
    _, writer = await daemon.open_stream(peer, node.CONTROL_PROTOCOL)
    await _say_and_break(writer, "await-reset")
    reader, writer = await daemon.open_stream(peer, node.CONTROL_PROTOCOL)
    _write(writer, "seen")
    seen = await _line(reader)
    writer.close()
    return node.check_reset(seen, _ONLY_CODE) + ", the only one that p2pd has"


async def reset_back(daemon: Daemon, peer: str) -> str:
    """Has the listener reset a stream: its end comes, but p2pd does not say what it was."""
    reader, writer = await daemon.open_stream(peer, node.CONTROL_PROTOCOL)
    _write(writer, f"reset {node.RESET_BACK_CODE}")
    await _line(reader)
    _write(writer, "go")
    await reader.read(-1)
    writer.close()
    raise node.Absent(NO_CODE)
