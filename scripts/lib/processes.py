"""What checks of the examples as real processes have in common."""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import time

BINARIES = pathlib.Path(sys.argv[1])
ANY = "/ip4/127.0.0.1/udp/0/quic-v1"
PEER_ID = r"/p2p/(12D3Koo\w{45})"
# What a person would wait for at most; the machine may be busy with builds.
PATIENCE = 30


def binary(name):
    """An example that was built."""
    return str(BINARIES / name)


class Failed(Exception):
    """A check that does not hold; the text says which."""


def require(condition, text):
    if not condition:
        raise Failed(text)


def run(*command, stdin=b"", timeout=PATIENCE, env=None):
    """Runs to the end; the result with stdout and stderr as bytes."""
    try:
        return subprocess.run(
            command, input=stdin, capture_output=True, timeout=timeout, env={**os.environ, **(env or {})}
        )
    except subprocess.TimeoutExpired as expired:
        raise Failed(f"{' '.join(command[1:])[:200]} does not end within {timeout} s; "
                     f"stdout {expired.stdout!r:.300}, stderr {expired.stderr!r:.300}") from None


def succeeds(*command, **options):
    result = run(*command, **options)
    require(result.returncode == 0,
            f"{' '.join(command[1:])[:200]} ended with {result.returncode}: {result.stderr.decode(errors='replace')}")
    return result


def fails(status, pattern, *command, **options):
    """Ends with the status, says one line on stderr that matches, and nothing on stdout."""
    result = run(*command, **options)
    text = result.stderr.decode(errors="replace")
    shown = " ".join(command[1:])[:200]
    require(result.returncode == status, f"'{shown}' ended with {result.returncode}, not {status}: {text}")
    require(text.count("\n") == 1 and text.endswith("\n"), f"'{shown}' says not one line but: {text!r}")
    require(re.search(pattern, text), f"'{shown}' does not say /{pattern}/ but: {text!r}")
    require(result.stdout == b"", f"'{shown}' failed, but wrote to stdout: {result.stdout!r:.200}")
    return text


@contextlib.contextmanager
def started(*command, env=None, stdin=subprocess.DEVNULL, before=None):
    """A process that runs meanwhile; killed at the end if it is still there."""
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, **(env or {})}, preexec_fn=before)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextlib.contextmanager
def listener(program, *arguments, env=None):
    """A listener and the address it printed."""
    with started(program, "listen", *(arguments or ("--listen", ANY)), env=env) as process:
        line = process.stdout.readline().decode()
        if not line:
            raise Failed(f"the listener says nothing but: {process.stderr.read().decode()}")
        yield process, line.rstrip("\n").removeprefix("listening ")


def ends(process, signal_number=None, within=2.0):
    """Sends the signal; the process has to end with 0 in time."""
    begun = time.monotonic()
    if signal_number is not None:
        process.send_signal(signal_number)
    try:
        status = process.wait(within)
    except subprocess.TimeoutExpired:
        raise Failed(f"still there {within} s after {signal_number!r}") from None
    require(status == 0, f"ended with {status} after {signal_number!r}: {process.stderr.read().decode()}")
    return time.monotonic() - begun


def wait_for_line(process):
    line = process.stdout.readline().decode()
    if not line:
        raise Failed(f"ended with {process.wait()} and no output: {process.stderr.read().decode()}")
    return line
