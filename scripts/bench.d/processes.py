"""Starts the two ends of a run and measures them from outside: wall time, CPU time, resident memory."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

RUN_TIMEOUT = 240.0
START_TIMEOUT = 30.0
_STOP_TIMEOUT = 3.0
_LISTENING = re.compile(rb"^listening (\S+)", re.MULTILINE)


class MeasureError(Exception):
    """A process that did not do what it is for; the text has its last words."""


@dataclass(frozen=True)
class Command:
    """A program with its arguments, and what is added to the environment."""

    words: Sequence[str]
    environment: Mapping[str, str]
    says_where: bool = True
    """Whether it prints `listening ADDRESS`; otherwise `port` is watched until somebody is bound to it."""
    port: int = 0


@dataclass(frozen=True)
class Dialed:
    """What a client came to."""

    wall: float
    """Seconds from the start of its process to its end: start-up, handshake and close included."""
    cpu: float
    """CPU seconds of it and its children, user and kernel together."""
    output: str


class Process:
    """A process in a session of its own, so that its children are found and ended with it."""

    def __init__(self, command: Command, *, stdin: int = subprocess.DEVNULL) -> None:
        self.log = tempfile.TemporaryFile()
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            list(command.words),
            stdin=stdin, stdout=subprocess.PIPE, stderr=self.log,
            env={**os.environ, **command.environment}, start_new_session=True,
        )  # fmt: skip
        self._seen = b""

    @property
    def stdin(self) -> IO[bytes]:
        assert self._process.stdin
        return self._process.stdin

    def read_until(self, pattern: re.Pattern[bytes], timeout: float) -> re.Match[bytes]:
        """Waits for a line of its output; what comes after it stays for the next call."""
        assert self._process.stdout
        descriptor, deadline = self._process.stdout.fileno(), time.monotonic() + timeout
        while True:
            if (match := pattern.search(self._seen)) and b"\n" in self._seen[match.end() - 1 :]:
                self._seen = self._seen[match.end() :]
                return match
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise MeasureError(f"nothing like {pattern.pattern!r} within {timeout:.0f} s: {self.last_words()}")
            if not (more := os.read(descriptor, 65536)):
                raise MeasureError(f"ended before it said {pattern.pattern!r}: {self.last_words()}")
            self._seen += more

    def finish(self, timeout: float) -> Dialed:
        """Reads to the end and waits for it."""
        assert self._process.stdout
        descriptor, deadline = self._process.stdout.fileno(), time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise MeasureError(f"not done after {timeout:.0f} s: {self.last_words()}")
            if not (more := os.read(descriptor, 65536)):
                break
            self._seen += more
        _, status, usage = os.wait4(self._process.pid, 0)
        wall = time.monotonic() - self.started
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode != 0:
            raise MeasureError(f"ended with status {self._process.returncode}: {self.last_words()}")
        return Dialed(wall, usage.ru_utime + usage.ru_stime, self._seen.decode(errors="replace"))

    def wait_until_bound(self, port: int) -> None:
        deadline, wanted = time.monotonic() + START_TIMEOUT, f":{port:04X}"
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise MeasureError(f"ended with status {self._process.returncode}: {self.last_words()}")
            for table in ("/proc/net/udp", "/proc/net/udp6"):
                with open(table) as sockets:
                    if any(line.split()[1].endswith(wanted) for line in sockets):
                        return
            time.sleep(0.01)
        raise MeasureError(f"did not listen within {START_TIMEOUT:.0f} s: {self.last_words()}")

    def cpu(self) -> float:
        """CPU seconds of everything in its session so far."""
        ticks = sum(int(fields[11]) + int(fields[12]) for _, fields in self._members())
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident(self) -> int:
        """Resident bytes of everything in its session."""
        pages = 0
        for pid, _ in self._members():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/statm") as sizes:
                pages += int(sizes.read().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def settled_resident(self) -> int:
        """Resident bytes once they have been the same, but for half a percent, for half a second; five seconds at most."""
        last, calm, deadline = self.resident(), 0, time.monotonic() + 5
        while calm < 5 and time.monotonic() < deadline:
            time.sleep(0.1)
            now = self.resident()
            calm = calm + 1 if abs(now - last) <= last / 200 else 0
            last = now
        return last

    def _members(self) -> Iterator[tuple[int, list[str]]]:
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/stat") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == self._process.pid:
                yield int(name), fields

    def last_words(self) -> str:
        self.log.seek(0)
        text = self.log.read().decode(errors="replace") + self._seen.decode(errors="replace")
        return " / ".join(text.splitlines()[-6:]) or "it said nothing"

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_STOP_TIMEOUT)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self.log):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()


@contextlib.contextmanager
def running(command: Command, *, stdin: int = subprocess.DEVNULL) -> Iterator[Process]:
    process = Process(command, stdin=stdin)
    try:
        yield process
    finally:
        process.stop()


@contextlib.contextmanager
def listening(command: Command) -> Iterator[tuple[Process, str]]:
    """A listener and the address to dial."""
    with running(command) as process:
        if command.says_where:
            yield process, process.read_until(_LISTENING, START_TIMEOUT).group(1).decode()
        else:
            process.wait_until_bound(command.port)
            yield process, str(command.port)


def figures(output: str) -> dict[str, float]:
    """What a driver printed."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            found = json.loads(line).get("figures")
            if isinstance(found, dict):
                return {str(name): float(value) for name, value in found.items()}
    raise MeasureError(f"no figures in {output[-300:]!r}")


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
