"""As much of a Redis client (RESP 2) as a test needs, over a blocking socket with one deadline for everything."""

from __future__ import annotations

import socket
import time

_LINE_LIMIT = 1024
_BULK_LIMIT = 16 << 10


class RedisError(Exception):
    """The server cannot be reached, refuses, or does not speak its protocol."""


class Redis:
    """A connection; made as often as it takes, because the server may start beside us."""

    def __init__(self, address: str, deadline: float) -> None:
        host, _, port = address.rpartition(":")
        self._deadline = deadline
        while True:
            try:
                self._socket = socket.create_connection((host, int(port)), self._left())
                break
            except OSError as error:
                if self._left() < 1:
                    raise RedisError(f"no server at {address}: {error}") from error
                time.sleep(0.1)
        self._file = self._socket.makefile("rb")

    def ask(self, *words: str) -> object:
        """Sends a command; its answer as text, number, list or None."""
        parts = [word.encode() for word in words]
        self._socket.settimeout(self._left())
        self._socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        try:
            return self._value()
        except TimeoutError:
            raise RedisError(f"no answer to {words[0]} in time") from None

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _left(self) -> float:
        return max(0.01, self._deadline - time.monotonic())

    def _value(self) -> object:
        self._socket.settimeout(self._left())
        line = self._file.readline(_LINE_LIMIT)
        if not line.endswith(b"\r\n"):
            raise RedisError(f"the server ends in the middle of an answer: {line!r:.100}")
        kind, text = line[:1], line[1:-2].decode(errors="replace")
        if kind == b"+":
            return text
        if kind == b"-":
            raise RedisError(f"the server refuses: {text}")
        if kind == b":":
            return int(text)
        if kind == b"$":
            return self._bulk(int(text))
        if kind == b"*":
            count = int(text)
            return None if count < 0 else [self._value() for _ in range(count)]
        raise RedisError(f"the server says something else than Redis does: {line!r:.100}")

    def _bulk(self, size: int) -> str | None:
        if size < 0:
            return None
        if size > _BULK_LIMIT:
            raise RedisError(f"the server sends {size} bytes where an address belongs")
        data = self._file.read(size + 2)
        if len(data) != size + 2 or not data.endswith(b"\r\n"):
            raise RedisError("the server ends in the middle of a string")
        return data[:-2].decode(errors="replace")
