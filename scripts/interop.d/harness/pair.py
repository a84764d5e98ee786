"""Runs one pair: starts the listener, lets the dialer use it, ends both. Every wait is bounded."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import IO

from cells import ABSENT, FAIL, FEATURES, Cell, Row
from forwarder import Forwarder, Path
from peers import AGENT, OURS, Peer

_START_TIMEOUT = 30.0
_DIAL_TIMEOUT = 240.0
_STOP_TIMEOUT = 5.0
_OUTPUT_LINES = 40
_LARGE = 16 << 20
_LARGE_WHERE_LOSSY = 4 << 20
"""Less, because py-libp2p sends about half a MiB a second through it."""


class Process:
    """A node: its lines on standard output as they come, its standard error in a file, its whole group to be ended."""

    def __init__(self, peer: Peer, other: Peer, *arguments: str) -> None:
        """`other` is whom it is going to talk to: our node has to please it, and it is told what ours announces."""
        announced = {"INTEROP_PROTOCOL_VERSION": peer.accepts_protocol_version, "INTEROP_AGENT": AGENT}
        if peer.name == OURS:
            arguments += ("--protocol-version", other.accepts_protocol_version, "--agent-version", AGENT)
            if other.sends_no_record and "dial" in arguments:
                arguments += ("--no-record",)
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            peer.node(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **peer.environment, **(announced if other.name == OURS else {})},
            start_new_session=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        assert self._process.stdout
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._lines.put(line.decode(errors="replace").rstrip("\n"))
        self._lines.put(None)

    def next_line(self, deadline: float) -> str | None:
        """The next line; None at the end of the output."""
        try:
            return self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise TimeoutError("it said nothing more in time") from None

    def rest(self) -> list[str]:
        """Every line not yet taken; the process has to have ended."""
        lines, deadline = [], time.monotonic() + 1
        with contextlib.suppress(TimeoutError):
            while (line := self.next_line(deadline)) is not None:
                lines.append(line)
        return lines

    def wait(self, deadline: float) -> int:
        return self._process.wait(timeout=max(0.1, deadline - time.monotonic()))

    def stop(self) -> tuple[int | None, float]:
        """Asks it to end; returns its status (None if it had to be killed) and how many seconds that took."""
        begun = time.monotonic()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        status: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self._process.wait(timeout=_STOP_TIMEOUT)
        self.kill()
        return status, time.monotonic() - begun

    def kill(self) -> None:
        """Ends whatever is left of its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def errors(self) -> str:
        self._errors.seek(0)
        return "\n".join(self._errors.read().decode(errors="replace").splitlines()[-_OUTPUT_LINES:])


def run(listener: Peer, dialer: Peer, path: Path | None = None) -> Row:
    """Everything, through `path` where one is given."""
    row = Row(listener.name, dialer.name, path.name if path else "")
    begun = time.monotonic()
    serving = Process(listener, dialer, "listen")
    try:
        address, missing = listening_address(serving)
        if path:
            forwarder = Forwarder(path, address)
            with forwarder as front:
                _dial(row, dialer, listener, front, _LARGE_WHERE_LOSSY)
            row.traffic = forwarder.summary
            if not forwarder.forwarded:
                raise ValueError("nothing went through the forwarder")
            # Where fewer than ten are to be expected, none may be.
            if forwarder.forwarded * path.loss_percent >= 1000 and not forwarder.lost:
                raise ValueError(f"no datagram was lost: {forwarder.summary}")
        else:
            _dial(row, dialer, listener, address, _LARGE)
        for feature, reason in missing.items():
            if (cell := row.cells.get(feature)) and cell.status == FAIL:
                row.cells[feature] = Cell(ABSENT, reason)
    except (TimeoutError, subprocess.TimeoutExpired, ValueError) as error:
        row.error = f"{row.error}; {error}" if row.error else str(error)
    finally:
        status, seconds = serving.stop()
        for feature, cell in results(serving.rest()).items():
            row.cells[feature] = cell
        if listener.name == OURS and (status != 0 or seconds > 2.0):
            ended = "had to be killed" if status is None else f"ended with status {status}"
            row.error = "; ".join(filter(None, [row.error, f"our listener {ended} {seconds:.1f} s after SIGTERM"]))
        row.output["listener"] = serving.errors()
    for feature in FEATURES:
        cell = row.cells.setdefault(feature, Cell(FAIL, "not reached"))
        if cell.status == ABSENT and feature not in _lacking(listener, dialer):
            row.cells[feature] = Cell(FAIL, f"called absent, but both have it: {cell.detail}")
    row.seconds = time.monotonic() - begun
    return row


def _lacking(listener: Peer, dialer: Peer) -> set[str]:
    """What one of the two has not."""
    lacking = {*listener.lacks, *dialer.lacks, *dialer.never_tries}
    if listener.sees_no_resets:
        lacking.add("reset")
    if dialer.sees_no_resets:
        lacking.add("reset-back")
    return lacking


def results(lines: Sequence[str]) -> dict[str, Cell]:
    """What a node printed of what it saw."""
    found: dict[str, Cell] = {}
    for line in lines:
        if line.startswith('{"results"'):
            cells = json.loads(line)["results"].items()
            found.update({feature: Cell(cell["status"], cell["detail"]) for feature, cell in cells})
    return found


def listening_address(listener: Process) -> tuple[str, dict[str, str]]:
    """Waits for `listening ADDR`; returns the address and what the listener says it cannot serve."""
    deadline = time.monotonic() + _START_TIMEOUT
    missing: dict[str, str] = {}
    while (line := listener.next_line(deadline)) is not None:
        if line.startswith("listening "):
            return line.split(" ", 1)[1], missing
        if line.startswith("absent "):
            _, feature, reason = line.split(" ", 2)
            missing[feature] = reason
    raise ValueError("the listener ended before it listened")


def _dial(row: Row, dialer: Peer, listener: Peer, address: str, large: int) -> None:
    process = Process(dialer, listener, "dial", address, "--large", str(large))
    deadline = time.monotonic() + _DIAL_TIMEOUT
    try:
        lines = []
        while (line := process.next_line(deadline)) is not None:
            lines.append(line)
        status = process.wait(deadline)
        row.cells.update(results(lines))
        if not row.cells:
            raise ValueError(f"the dialer ended with status {status} and without results")
    except TimeoutError as error:
        raise TimeoutError(f"the dialer was not done after {_DIAL_TIMEOUT:.0f} s: {error}") from None
    finally:
        process.kill()
        row.output["dialer"] = process.errors()
