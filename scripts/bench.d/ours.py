"""This repository: the `perf` and `echo` examples, and `bench-node` for what they do not do."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cases import BY_NAME
from contender import Contender, words
from processes import Command, MeasureError

NAME = "ours"
GNUTLS = "ours (gnutls)"
"""Ours where ipsec-mb is there and left alone: beside it `ours` shows what that library brings."""
AWAKE = "ours (busy poll)"
"""Ours with event loops that go on looking for datagrams before they sleep."""
_PORT = re.compile(r"/udp/(\d+)/")


class Ours(Contender):
    """Both ends of this repository."""

    def __init__(self, binaries: Path, version: str) -> None:
        super().__init__(NAME, f"this repository at {version}, its work with streams done where the connection is driven")
        self._binaries = binaries

    def _program(self, name: str) -> str:
        return str(self._binaries / name)

    def listener(self, case: str, options: Mapping[str, str]) -> Command:
        if case in ("download", "upload"):
            return Command(
                [self._program("perf"), "--run-server", "--server-address", "127.0.0.1:0", "--transport", "quic-v1"], {}
            )
        more = {"handshake": ["raw=1"]}.get(case, [])
        return Command([self._program("bench-node"), "listen", "connections=11000", *more], {})

    def dialer(self, address: str, case: str, options: Mapping[str, str]) -> Command:
        if case in ("download", "upload"):
            match = _PORT.search(address)
            return Command(
                [
                    self._program("perf"), "--server-address", f"127.0.0.1:{match.group(1) if match else address}",
                    "--transport", "quic-v1",
                    "--upload-bytes", options.get("upload", "0"), "--download-bytes", options.get("download", "0"),
                ],
                {},
            )  # fmt: skip
        name = "idle" if case in ("memory", "growth") else case
        return Command([self._program("bench-node"), "dial", address, name, *words(options)], {})

    def startup(self) -> Command:
        return Command([self._program("echo"), "listen"], {})

    def protection(self) -> str:
        """What protects packets here: `gnutls` or `ipsecMB`."""
        done = subprocess.run([self._program("bench-node"), "protection"], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def check(self, output: str, options: Mapping[str, str]) -> None:
        """The client counts what arrived: in one direction itself, in the other by the server's end of stream."""
        reports = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        if not reports or reports[-1].get("type") != "final":
            raise MeasureError(f"perf printed no final line: {output[-500:]!r}")
        got = reports[-1]["uploadBytes"], reports[-1]["downloadBytes"]
        if got != (int(options.get("upload", 0)), int(options.get("download", 0))):
            raise MeasureError(f"perf reports {got[0]} bytes up and {got[1]} down: not what was asked for")


class OursOnGnuTLS(Ours):
    """Ours as it is where ipsec-mb is not installed: the transfers, which are what it changes."""

    def __init__(self, binaries: Path) -> None:
        super().__init__(binaries, "")
        self.name, self.label = GNUTLS, "the same, with GnuTLS's packet protection in place of ipsec-mb's"
        self.absent = {case: "only the transfers" for case in BY_NAME if case not in ("download", "upload")}

    def listener(self, case: str, options: Mapping[str, str]) -> Command:
        return self._without(super().listener(case, options))

    def dialer(self, address: str, case: str, options: Mapping[str, str]) -> Command:
        return self._without(super().dialer(address, case, options))

    def _without(self, command: Command) -> Command:
        return Command([*command.words, "--packet-protection", "gnutls"], command.environment)


class OursAwake(Ours):
    """Ours with `udp.busyPoll` at both ends: the cases that wait for answers, which are what it changes."""

    _CASES = ("request", "open", "handshake", "connect", "ping")
    _MICROSECONDS = 50

    def __init__(self, binaries: Path) -> None:
        super().__init__(binaries, "")
        self.name = AWAKE
        self.label = f"the same with `udp.busyPoll` of {self._MICROSECONDS} µs, which is off by default: processor time for latency"
        self.absent = {case: "only what waits for answers" for case in BY_NAME if case not in self._CASES}

    def listener(self, case: str, options: Mapping[str, str]) -> Command:
        return self._awake(super().listener(case, options))

    def dialer(self, address: str, case: str, options: Mapping[str, str]) -> Command:
        return self._awake(super().dialer(address, case, options))

    def _awake(self, command: Command) -> Command:
        return Command([*command.words, f"busyPoll={self._MICROSECONDS}"], command.environment)


class OursTo(Contender):
    """Our dialer against another's listener, for what the other's own dialer cannot do or is slow to be driven at."""

    def __init__(self, ours: Ours, other: Contender, absent: Mapping[str, str], options: Mapping[str, Mapping[str, str]]):
        super().__init__(f"ours → {other.name}", f"our dialer, and {other.name} listening, by itself: no socket or driver between", absent, options)
        self._ours, self._other = ours, other

    def listener(self, case: str, options: Mapping[str, str]) -> Command:
        return self._other.listener(case, options)

    def dialer(self, address: str, case: str, options: Mapping[str, str]) -> Command:
        return self._ours.dialer(address, case, options)
