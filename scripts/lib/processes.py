"""What checks of the examples as real processes have in common."""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import time

from peer_process import PATIENCE, Process, Silent

BINARIES = pathlib.Path(sys.argv[1])
ANY = "/ip4/127.0.0.1/udp/0/quic-v1"
PEER_ID = r"/p2p/(12D3Koo\w{45})"


def binary(name):
    """An example that was built."""
    return str(BINARIES / name)


class Failed(Exception):
    """A check that does not hold; the text says which."""


# What a check that fails may raise.
FAILURES = (Failed, Silent, OSError, subprocess.SubprocessError, ValueError, KeyError, IndexError, TypeError)


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
    """A process that runs meanwhile; killed at the end if it is still there. A check that fails tells what it said."""
    process = Process(command, stdin=stdin, env={**os.environ, **(env or {})}, preexec_fn=before)
    try:
        yield process
    except FAILURES as error:
        reason = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
        if isinstance(error, Silent):
            reason = "a process says nothing more"
        raise Failed(f"{reason}\n    {process.last_words()}") from error
    finally:
        if process.poll() is None:
            process.kill()
        # A grandchild may hold the pipes open.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate()


@contextlib.contextmanager
def listener(program, *arguments, env=None):
    """A listener and the address it printed."""
    with started(program, "listen", *(arguments or ("--listen", ANY)), env=env) as process:
        yield process, wait_for_line(process).rstrip("\n").removeprefix("listening ")


def ends(process, signal_number=None, within=2.0):
    """Sends the signal; the process has to end with 0 in time."""
    begun = time.monotonic()
    if signal_number is not None:
        process.send_signal(signal_number)
    try:
        status = process.wait(within)
    except subprocess.TimeoutExpired:
        raise Failed(f"still there {within} s after {signal_number!r}") from None
    require(status == 0, f"ended with {status} after {signal_number!r}")
    return time.monotonic() - begun


def wait_for_line(process, timeout=PATIENCE):
    """The next line; there has to be one, in time."""
    try:
        line = process.stdout.readline(timeout).decode()
    except Silent:
        raise Failed(f"no line within {timeout} s") from None
    require(line, "the output ended where a line was expected")
    return line


def lines_that_start_with(process, *texts, timeout=PATIENCE):
    """The rest of the first line that starts with each of the texts, in time, in whatever order they come; other lines
    are passed over."""
    deadline = time.monotonic() + timeout
    found, passed = {}, []
    while missing := [text for text in texts if text not in found]:
        try:
            line = process.stdout.readline(deadline - time.monotonic()).decode()
        except Silent:
            raise Failed(f"no line {missing} within {timeout} s, but {passed}") from None
        require(line, f"no line {missing}, but {passed}")
        passed.append(line)
        for text in missing:
            if line.startswith(text):
                found[text] = line[len(text):].strip()
    return [found[text] for text in texts]


def line_that_starts_with(process, text, timeout=PATIENCE):
    """As above, for one."""
    return lines_that_start_with(process, text, timeout=timeout)[0]
