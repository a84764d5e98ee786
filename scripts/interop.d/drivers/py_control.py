"""Both sides of the control protocol (see node.py) for py-libp2p."""

from __future__ import annotations

import node
import trio
import wire
from libp2p.abc import IHost, INetStream
from libp2p.host.exceptions import StreamFailure
from libp2p.network.stream.exceptions import StreamReset
from libp2p.peer.id import ID
from py_io import open_stream, read, read_line, read_to_end, write_line

_IDENTIFY_ATTEMPTS = 20
"""go-libp2p and this repository answer identify with message, FIN and STOP_SENDING at once. py-libp2p drops its own
outgoing stream at STOP_SENDING, and loses the answer when it was not yet reading it: go-libp2p's about one time in
three, ours seldom."""


async def _ask_identify(host: IHost, peer: ID) -> wire.Identify:
    stream = await open_stream(host, peer, node.IDENTIFY_PROTOCOL)
    data = await read_to_end(stream)
    await stream.close()
    if not data:
        raise EOFError("the stream ended before the answer")
    size, start = wire.decode_uvarint(data)
    if len(data) != start + size:
        raise ValueError(f"identify announces {size} bytes and carries {len(data) - start}")
    return wire.Identify.decode(data[start:])


async def identify(host: IHost, peer: ID) -> tuple[wire.Identify, int]:
    """Asks until the answer comes; says how many times."""
    for attempt in range(1, _IDENTIFY_ATTEMPTS + 1):
        try:
            return await _ask_identify(host, peer), attempt
        except (StreamFailure, StreamReset, EOFError) as error:
            node.log(f"identify, attempt {attempt}: {error!r}")
    raise EOFError(f"no answer in {_IDENTIFY_ATTEMPTS} attempts")


async def how_it_ends(stream: INetStream) -> str:
    """Reads to the end; `reset N` when that is a reset. Only the stream underneath knows the code."""
    try:
        while await read(stream):
            pass
        error = "end of stream"
    except Exception as reason:
        error = repr(reason)
    for _ in range(20):  # STOP_SENDING, which comes with our resets, may end the reading before the reset is seen
        if (code := stream.muxed_stream._reset_error_code) is not None:  # type: ignore[attr-defined]
            return f"reset {code}"
        await trio.sleep(0.05)
    return error


class Control:
    """The listener's side."""

    def __init__(self, host: IHost) -> None:
        self._host = host
        self._recorder, self._ends = trio.open_memory_channel[str](8)

    async def serve(self, stream: INetStream) -> None:
        try:
            await self._answer(stream, (await read_line(stream)).split())
        except Exception as error:
            node.log(f"control: {error!r}")
            await stream.reset()

    async def _answer(self, stream: INetStream, words: list[str]) -> None:
        match words:
            case ["reset", code]:
                await write_line(stream, f"code {code}")
                await read_line(stream)
                await stream.muxed_stream.reset(int(code))  # type: ignore[call-arg]
                return
            case ["await-reset"]:
                await write_line(stream, "ready")
                self._recorder.send_nowait(await how_it_ends(stream))
                return
            case ["seen"]:
                with trio.fail_after(10):
                    answer = await self._ends.receive()
            case ["identify"]:
                seen, _ = await identify(self._host, stream.muxed_conn.peer_id)
                answer = f"{seen.protocol_version}\t{seen.agent}"
            case _:
                raise ValueError(f"unknown question {words}")
        await write_line(stream, answer)
        await stream.close_write()  # type: ignore[attr-defined]


async def reset(host: IHost, peer: ID) -> str:
    """Resets a stream, then asks the listener what it saw."""
    stream = await open_stream(host, peer, node.CONTROL_PROTOCOL)
    await write_line(stream, "await-reset")
    if (answer := await read_line(stream)) != "ready":
        raise ValueError(f"the listener answers {answer!r}")
    await stream.muxed_stream.reset(node.RESET_CODE)  # type: ignore[call-arg]
    stream = await open_stream(host, peer, node.CONTROL_PROTOCOL)
    await write_line(stream, "seen")
    seen = await read_line(stream)
    await stream.close()
    return node.check_reset(seen, node.RESET_CODE)


async def reset_back(host: IHost, peer: ID) -> str:
    """Has the listener reset a stream."""
    stream = await open_stream(host, peer, node.CONTROL_PROTOCOL)
    await write_line(stream, f"reset {node.RESET_BACK_CODE}")
    code = int((await read_line(stream)).split()[1])
    await write_line(stream, "go")
    return node.check_reset(await how_it_ends(stream), code, role="dialer")
