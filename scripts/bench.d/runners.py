"""Runs a case once for one contender, and returns its figures."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping

from cases import GIBIBYTE, MEBIBYTE, Case
from contender import Contender
from processes import RUN_TIMEOUT, Command, MeasureError, figures, listening, running

_READY = re.compile(rb"^ready (\d+) (\d+)$", re.MULTILINE)
_PORT = re.compile(r"(/udp/)\d+")


def run(case: Case, contender: Contender, options: Mapping[str, str], proxy: Command | None, number: int) -> dict[str, float]:
    match case.kind:
        case "transfer":
            return _transfer(case, contender, options)
        case "lossy":
            if not proxy:
                raise MeasureError("there is no lossy network: the C program that makes it was not built")
            return _lossy(case, contender, options, proxy, number)
        case "idle":
            return _idle(case, contender, options)
        case "startup":
            return _startup(contender)
        case _:
            with listening(contender.listener(case.name, options)) as (_, address):
                with running(contender.dialer(address, case.name, options)) as client:
                    return figures(client.finish(RUN_TIMEOUT).output)


def _size(options: Mapping[str, str]) -> int:
    return int(options.get("download", 0)) + int(options.get("upload", 0))


def _transfer(case: Case, contender: Contender, options: Mapping[str, str]) -> dict[str, float]:
    """The time is that of the client's whole process, for everybody alike."""
    size = _size(options)
    with listening(contender.listener(case.name, options)) as (server, address):
        before = server.cpu()
        with running(contender.dialer(address, case.name, options)) as client:
            done = client.finish(RUN_TIMEOUT)
        server_cpu = server.cpu() - before
    contender.check(done.output, options)
    return {
        "rate": size / MEBIBYTE / done.wall,
        "client cpu": done.cpu * GIBIBYTE / size,
        "server cpu": server_cpu * GIBIBYTE / size,
    }


def _lossy(
    case: Case, contender: Contender, options: Mapping[str, str], proxy: Command, number: int
) -> dict[str, float]:
    """Each run has its own accidents, the same for all contenders."""
    with listening(contender.listener("download", options)) as (_, address):
        port = match.group(0).removeprefix("/udp/") if (match := _PORT.search(address)) else address
        words = [*proxy.words, port, f"loss={options['loss']}", f"delay={options['delay']}", f"seed={number}"]
        with listening(Command(words, proxy.environment)) as (_, front):
            through = _PORT.sub(rf"\g<1>{front}", address) if match else front
            with running(contender.dialer(through, "download", options)) as client:
                done = client.finish(RUN_TIMEOUT)
    contender.check(done.output, options)
    return {"rate": _size(options) / 1024 / done.wall}


def _idle(case: Case, contender: Contender, options: Mapping[str, str]) -> dict[str, float]:
    """What the listener's resident memory grows by."""
    samples: list[tuple[int, int, int]] = []
    with listening(contender.listener(case.name, options)) as (server, address):
        command = contender.dialer(address, case.name, options)
        with running(command, stdin=subprocess.PIPE) as client:
            for _ in range(3 if int(options["streams"]) else 2):
                ready = client.read_until(_READY, RUN_TIMEOUT)
                samples.append((int(ready.group(1)), int(ready.group(2)), server.settled_resident()))
                client.stdin.write(b"\n")
                client.stdin.flush()
            done = client.finish(RUN_TIMEOUT)
    (_, _, empty), (connections, _, connected) = samples[:2]
    found = {**figures(done.output), "connection": (connected - empty) / connections / 1024}
    if len(samples) == 3:
        _, streams, streaming = samples[2]
        found["stream"] = (streaming - connected) / streams / 1024
    return found


def _startup(contender: Contender) -> dict[str, float]:
    with listening(contender.startup()) as (process, _):
        return {"time": (time.monotonic() - process.started) * 1000}
