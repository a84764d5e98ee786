"""The conventions of libp2p's public test harnesses: two programs that find each other through Redis.

A harness starts Redis, a listener and a dialer with nothing but an environment, takes what the dialer prints, and ends the
listener by a signal. So does this, with `Examples/Sources/interop` and with py-libp2p (`drivers/py_harness.py`), in the
form of libp2p/test-plans and in that of libp2p/unified-testing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cells import FAIL, PASS, Cell
from peers import DRIVERS, aioquic_of
from versions import Check

_START_TIMEOUT = 20.0
_TEST_TIMEOUT = 30
"""Seconds that a test may take: what the harness tells its programs."""
_STOP_TIMEOUT = 5.0
_OUTPUT_LINES = 20

_FORMS = {"test-plans": "libp2p/test-plans", "unified": "libp2p/unified-testing"}
_PAIRS = [("swift", "swift"), ("swift", "py"), ("py", "swift")]

MEANING = {
    f"{form}-{dialer}-{listener}": f"in the form of {name}, {dialer} dials {listener}"
    for form, name in _FORMS.items()
    for dialer, listener in _PAIRS
}


class _Broken(Exception):
    """A test did not come to its end; the text says why, and what the programs said."""


def run(interop: Path) -> list[Check]:
    """Everything, with `interop` as our program. Only where nothing but loopback exists, or nobody minds."""
    commands = {"swift": [str(interop)], "py": [aioquic_of("py"), str(DRIVERS / "py_harness.py")]}
    try:
        with _redis() as server:
            found = {
                f"{form}-{dialer}-{listener}": _checked(form, commands[dialer], commands[listener], server)
                for form in _FORMS
                for dialer, listener in _PAIRS
            }
    except _Broken as error:
        found = {name: Cell(FAIL, str(error)) for name in MEANING}
    return [Check(name, found[name]) for name in MEANING]


def _checked(form: str, dialer: list[str], listener: list[str], server: str) -> Cell:
    try:
        return Cell(PASS, _test(form, dialer, listener, server))
    except (_Broken, OSError, subprocess.SubprocessError) as error:
        return Cell(FAIL, str(error))


def _environment(form: str, is_dialer: bool, server: str) -> dict[str, str]:
    """What the harness sets; nothing else is there but what every container has."""
    container = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    container["PYTHONDONTWRITEBYTECODE"] = "1"
    role = "true" if is_dialer else "false"
    if form == "test-plans":
        return container | {
            "version": "any", "transport": "quic-v1", "is_dialer": role, "ip": "0.0.0.0", "redis_addr": server,
            "test_timeout_seconds": str(_TEST_TIMEOUT),
        }  # fmt: skip
    return container | {
        "TRANSPORT": "quic-v1", "IS_DIALER": role, "LISTENER_IP": "0.0.0.0", "REDIS_ADDR": server,
        "TEST_KEY": "a5b50d5e", "TEST_TIMEOUT_SECS": str(_TEST_TIMEOUT), "DEBUG": "false",
    }  # fmt: skip


def _test(form: str, dialer: list[str], listener: list[str], server: str) -> str:
    """One test as a harness runs it; a summary of what the dialer measured."""
    with _program("listener", listener, _environment(form, False, server)) as serving, \
            _program("dialer", dialer, _environment(form, True, server)) as dialing:  # fmt: skip
        try:
            status = dialing.wait(_TEST_TIMEOUT + _STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise _Broken(f"the dialer does not end within {_TEST_TIMEOUT} s") from None
        if status != 0:
            raise _Broken(f"the dialer ended with {status}")
        whole, ping = _measured(form, dialing.said())
        if serving.poll() is not None:
            raise _Broken(f"the listener ended by itself, with {serving.poll()}")
        serving.send_signal(signal.SIGTERM)
        try:
            serving.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise _Broken(f"the listener is still there {_STOP_TIMEOUT} s after SIGTERM") from None
    return f"handshake and a round trip {whole:.1f} ms, ping {ping:.1f} ms"


def _measured(form: str, said: str) -> tuple[float, float]:
    """The times in what a dialer wrote to standard output, read as the harness reads it."""
    if form == "test-plans":
        try:
            report = json.loads(said)
            whole, ping = float(report["handshakePlusOneRTTMillis"]), float(report["pingRTTMilllis"])
        except (ValueError, KeyError, TypeError):
            raise _Broken(f"not the JSON line of test-plans: {said!r:.300}") from None
    else:
        number = r"(\d+(?:\.\d+)?)"
        pattern = rf"latency:\n  handshake_plus_one_rtt: {number}\n  ping_rtt: {number}\n  unit: ms\n"
        if not (match := re.fullmatch(pattern, said)):
            raise _Broken(f"not the YAML of unified-testing: {said!r:.300}")
        whole, ping = map(float, match.groups())
    if not 0 < ping < whole < _TEST_TIMEOUT * 1000:
        raise _Broken(f"no times: {whole} ms in all, ping {ping} ms")
    return whole, ping


class _Program(subprocess.Popen[bytes]):
    """A process in a group of its own, whose outputs go to files: nothing it says can block it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._output, self._errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        super().__init__(
            command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._errors, env=environment,
            start_new_session=True,
        )  # fmt: skip

    def said(self) -> str:
        self._output.seek(0)
        return self._output.read().decode(errors="replace")

    def last_words(self) -> str:
        self._errors.seek(0)
        lines = [*self.said().splitlines(), *self._errors.read().decode(errors="replace").splitlines()]
        return "\n".join(f"          {line}" for line in lines[-_OUTPUT_LINES:]) or "          (nothing)"

    def end(self) -> None:
        """Ends it with whatever it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()
        self._output.close()
        self._errors.close()


@contextlib.contextmanager
def _program(role: str, command: list[str], environment: dict[str, str]) -> Iterator[_Program]:
    """Started, and ended in any case. A test that breaks tells what the program said."""
    program = _Program(command, environment)
    try:
        yield program
    except _Broken as error:
        raise _Broken(f"{error}\n        the {role} said last:\n{program.last_words()}") from error
    finally:
        program.end()


@contextlib.contextmanager
def _redis() -> Iterator[str]:
    """A Redis server on a free port of loopback; its HOST:PORT."""
    if not (server := shutil.which("redis-server")):
        raise _Broken("there is no redis-server: scripts/setup --with redis installs it")
    said = ""
    with tempfile.TemporaryDirectory() as folder:
        # Redis takes no port 0. Somebody may be faster to take the free one: then the next is tried.
        for _ in range(5):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
            program = _Program(command, dict(os.environ))
            try:
                if _answers(port, program.poll):
                    yield f"127.0.0.1:{port}"
                    return
                said = program.last_words()
            finally:
                program.end()
    raise _Broken(f"redis-server does not start:\n{said}")


def _answers(port: int, status: Callable[[], int | None]) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT
    while status() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"PING\r\n")
            if connection.recv(64).startswith(b"+PONG"):
                return True
        time.sleep(0.05)
    return False
