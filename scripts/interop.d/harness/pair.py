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
from peers import OURS, Peer

_START_TIMEOUT = 30.0
_DIAL_TIMEOUT = 90.0
_STOP_TIMEOUT = 5.0
_OUTPUT_LINES = 40


class _Process:
    """A node: its lines on standard output as they come, its standard error in a file, its whole group to be ended."""

    def __init__(self, peer: Peer, *arguments: str) -> None:
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            peer.node(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **peer.environment},
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


def run(listener: Peer, dialer: Peer) -> Row:
    row = Row(listener.name, dialer.name)
    begun = time.monotonic()
    serving = _Process(listener, "listen", *(dialer.asks_of_others if listener.name == OURS else ()))
    try:
        address, missing = _address(serving)
        _dial(row, dialer, address, listener.asks_of_others if dialer.name == OURS else ())
        for feature, reason in missing.items():
            if row.cells[feature].status == FAIL:
                row.cells[feature] = Cell(ABSENT, reason)
    except (TimeoutError, subprocess.TimeoutExpired, ValueError) as error:
        row.error = f"{row.error}; {error}" if row.error else str(error)
    finally:
        status, seconds = serving.stop()
        if listener.name == OURS and (status != 0 or seconds > 2.0):
            ended = "had to be killed" if status is None else f"ended with status {status}"
            row.error = "; ".join(filter(None, [row.error, f"our listener {ended} {seconds:.1f} s after SIGTERM"]))
        row.output["listener"] = serving.errors()
    for feature in FEATURES:
        cell = row.cells.setdefault(feature, Cell(FAIL, "not reached"))
        if cell.status == ABSENT and feature not in (*listener.lacks, *dialer.lacks, *dialer.never_tries):
            row.cells[feature] = Cell(FAIL, f"called absent, but both have it: {cell.detail}")
    row.seconds = time.monotonic() - begun
    return row


def _address(listener: _Process) -> tuple[str, dict[str, str]]:
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


def _dial(row: Row, dialer: Peer, address: str, options: Sequence[str]) -> None:
    process = _Process(dialer, "dial", address, *options)
    deadline = time.monotonic() + _DIAL_TIMEOUT
    try:
        lines = []
        while (line := process.next_line(deadline)) is not None:
            lines.append(line)
        status = process.wait(deadline)
        for line in lines:
            if line.startswith("{"):
                for feature, cell in json.loads(line)["results"].items():
                    row.cells[feature] = Cell(cell["status"], cell["detail"])
        if not row.cells:
            raise ValueError(f"the dialer ended with status {status} and without results")
    except TimeoutError as error:
        raise TimeoutError(f"the dialer was not done after {_DIAL_TIMEOUT:.0f} s: {error}") from None
    finally:
        process.kill()
        row.output["dialer"] = process.errors()
