"""A network namespace with nothing but loopback, and where possible a process namespace that nothing survives."""

from __future__ import annotations

import ctypes
import fcntl
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence

_NETWORK = ["--net", "--fork", "--kill-child"]
# With a /proc of its own: Swift's runtime looks up its threads there and ends the program when it finds strangers.
_PROCESSES = ["--pid", "--mount-proc"]
_AS_ROOT = ["--user", "--map-root-user"]
_PR_SET_PDEATHSIG = 1
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def command() -> list[str] | None:
    """How to start a program in such namespaces; None where the system does not allow them."""
    if not (tool := shutil.which("unshare")):
        return None
    for options in (_PROCESSES, [*_AS_ROOT, *_PROCESSES], [], _AS_ROOT):
        attempt = [tool, *options, *_NETWORK]
        probe = subprocess.run([*attempt, "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if probe.returncode == 0:
            return attempt
    return None


def run_inside(isolation: Sequence[str], arguments: Sequence[str]) -> int:
    """Runs this very program again inside; returns its exit status."""
    child = subprocess.Popen(
        [*isolation, sys.executable, *arguments], stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent
    )
    try:
        return child.wait()
    except BaseException:
        child.terminate()  # --kill-child takes everything inside with it
        child.wait()
        raise


def _die_with_parent() -> None:
    """In the child: however this process ends, SIGKILL included, unshare ends too, and with it everything inside."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(handle, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
