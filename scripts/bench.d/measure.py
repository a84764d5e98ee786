"""Runs one client against one server and measures both: wall time of the client, CPU time of each."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

RUN_TIMEOUT = 300.0
_START_TIMEOUT = 20.0
_STOP_TIMEOUT = 5.0


class MeasureError(Exception):
    """A process that did not do what it is for; the text has its last words."""


@dataclass(frozen=True)
class Run:
    """One transfer, in seconds."""

    wall: float
    """From the start of the client's process to its end: start-up, handshake and close included."""
    client_cpu: float
    server_cpu: float


@dataclass(frozen=True)
class Spec:
    """How to start the two, for a port."""

    server: Callable[[int], Sequence[str]]
    client: Callable[[int], Sequence[str]]
    environment: dict[str, str] = field(default_factory=dict)
    check: Callable[[str], None] = lambda _: None
    """Raises MeasureError unless the client's standard output says that everything arrived."""


def transfer(spec: Spec) -> Run:
    """One fresh server and one client, both gone afterwards."""
    port = _free_udp_port()
    environment = {**os.environ, **spec.environment}
    with tempfile.TemporaryFile() as log:
        server = _start(spec.server(port), environment, log, log)
        client: subprocess.Popen[bytes] | None = None
        try:
            _wait_until_bound(server, port, log)
            before, begun = _children_cpu(), time.monotonic()
            client = _start(spec.client(port), environment, subprocess.PIPE, log)
            try:
                output = client.communicate(timeout=RUN_TIMEOUT)[0].decode(errors="replace")
            except subprocess.TimeoutExpired:
                raise MeasureError(f"the client was not done after {RUN_TIMEOUT:.0f} s: {_tail(log)}") from None
            wall, client_cpu = time.monotonic() - begun, _children_cpu() - before
            if client.returncode != 0:
                raise MeasureError(f"the client ended with status {client.returncode}: {_tail(log)}")
            spec.check(output)
            return Run(wall, client_cpu, _cpu(server.pid))
        finally:
            for process in filter(None, (client, server)):
                _stop(process)


def _start(
    command: Sequence[str], environment: dict[str, str], output: int | IO[bytes], errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment, start_new_session=True
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_bound(server: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    deadline, wanted = time.monotonic() + _START_TIMEOUT, f":{port:04X}"
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise MeasureError(f"the server ended with status {server.returncode}: {_tail(log)}")
        for table in ("/proc/net/udp", "/proc/net/udp6"):
            with open(table) as sockets:
                if any(line.split()[1].endswith(wanted) for line in sockets):
                    return
        time.sleep(0.02)
    raise MeasureError(f"the server did not listen within {_START_TIMEOUT:.0f} s: {_tail(log)}")


def _children_cpu() -> float:
    """CPU seconds of the children that were waited for: after a client ends, the growth is the client's."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _cpu(pid: int) -> float:
    """CPU seconds of a process that still runs."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _tail(log: IO[bytes]) -> str:
    log.seek(0)
    return " / ".join(log.read().decode(errors="replace").splitlines()[-8:]) or "it said nothing"
