"""A lossy, slow path between two nodes on loopback: a UDP forwarder that the dialer dials instead of the listener."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import cast

_ADDRESS = re.compile(r"^(/ip4/127\.0\.0\.1/udp/)(\d+)(/.*)$")
_LOOPBACK = "127.0.0.1"
_MAX_CLIENTS = 64
_MAX_QUEUE = 8192
"""Datagrams under way each way; more are dropped, as a router does."""


@dataclass(frozen=True)
class Path:
    """What a datagram has to go through, each way. The seed decides which are lost."""

    loss_percent: float
    delay: float = 0.010
    """Seconds."""
    seed: int = 1

    @property
    def name(self) -> str:
        return f"{self.loss_percent:g} % loss, {self.delay * 1000:g} ms"


class _Pipe:
    """One direction: loses some, hands the others on after the delay, in order."""

    def __init__(self, path: Path, seed: str) -> None:
        self._path = path
        self._random = random.Random(seed)
        self._queue: deque[tuple[float, bytes]] = deque()
        self.transport: asyncio.DatagramTransport | None = None
        self.to: tuple[str, int] | None = None
        self.forwarded = self.lost = 0

    def push(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        if self._random.random() * 100 < self._path.loss_percent or len(self._queue) >= _MAX_QUEUE:
            self.lost += 1
            return
        due = loop.time() + self._path.delay
        self._queue.append((due, data))
        if len(self._queue) == 1:
            loop.call_at(due, self._flush)

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._queue and self._queue[0][0] <= now:
            _, data = self._queue.popleft()
            self.forwarded += 1
            if self.transport and not self.transport.is_closing():
                self.transport.sendto(data, self.to)
        if self._queue:
            loop.call_at(self._queue[0][0], self._flush)


class _Back(asyncio.DatagramProtocol):
    """The socket that one client's datagrams reach the listener from."""

    def __init__(self, there: _Pipe, back: _Pipe) -> None:
        self._there, self._back = there, back

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._there.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, _: object) -> None:
        self._back.push(data)


class _Front(asyncio.DatagramProtocol):
    """The socket that is dialed."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._pipes: dict[tuple[str, int], _Pipe] = {}
        self._opening: set[asyncio.Task[object]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        if pipe := self._pipes.get(client) or self._open(client):
            pipe.push(data)

    def _open(self, client: tuple[str, int]) -> _Pipe | None:
        if len(self._pipes) >= _MAX_CLIENTS:
            return None
        forwarder = self._forwarder
        number = len(self._pipes)
        there = _Pipe(forwarder.path, f"{forwarder.path.seed} {number} there")
        back = _Pipe(forwarder.path, f"{forwarder.path.seed} {number} back")
        back.transport, back.to = self._transport, client
        self._pipes[client] = there
        forwarder.pipes += [there, back]
        opening = asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Back(there, back), remote_addr=(_LOOPBACK, forwarder.port)
        )
        task = asyncio.ensure_future(opening)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return there


class Forwarder:
    """Forwards to a listener for as long as its `with` lasts, on a thread of its own."""

    def __init__(self, path: Path, listener: str) -> None:
        match = _ADDRESS.match(listener)
        if not match:
            raise ValueError(f"{listener} is no address on IPv4 loopback")
        self.path, self.port = path, int(match.group(2))
        self.pipes: list[_Pipe] = []
        self._around = match.group(1), match.group(3)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> str:
        """The address to dial."""
        self._thread.start()
        opening = self._loop.create_datagram_endpoint(lambda: _Front(self), local_addr=(_LOOPBACK, 0))
        transport, _ = asyncio.run_coroutine_threadsafe(opening, self._loop).result(10)
        before, behind = self._around
        return f"{before}{transport.get_extra_info('sockname')[1]}{behind}"

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def summary(self) -> str:
        forwarded, lost = sum(pipe.forwarded for pipe in self.pipes), sum(pipe.lost for pipe in self.pipes)
        return f"{forwarded} datagrams forwarded, {lost} lost, seed {self.path.seed}"

    @property
    def forwarded(self) -> int:
        return sum(pipe.forwarded for pipe in self.pipes)

    @property
    def lost(self) -> int:
        return sum(pipe.lost for pipe in self.pipes)
