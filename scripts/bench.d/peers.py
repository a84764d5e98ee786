"""Who takes part: ours, the C program, ngtcp2's own programs, and libp2p in other languages as far as each can be driven."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import c_peer
import ngtcp2_tools
from contender import Contender, words
from ours import NAME as OURS
from ours import Ours, OursAwake, OursOnGnuTLS, OursTo
from processes import Command, MeasureError, free_udp_port
from results import first_line

_HERE = Path(__file__).resolve().parent
_INTEROP = _HERE.parent / "interop.d"
sys.path.append(str(_INTEROP / "harness"))

import install  # noqa: E402  scripts/interop's installer
import isolate  # noqa: E402

NAMES = ("c", "gtls", "go", "py", "rust")


class PeerError(Exception):
    """A peer could not be made ready; the text says which and why."""


class Driven(Contender):
    """Something in a language of its own, driven by a program in `drivers`."""

    def __init__(
        self,
        name: str,
        driver: str,
        label: str,
        python: str,
        absent: Mapping[str, str],
        options: Mapping[str, Mapping[str, str]],
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(name, label, absent, options)
        paths = f"{_HERE / 'drivers'}:{_INTEROP / 'drivers'}"
        self._words = [python, "-B", str(_HERE / "drivers" / f"{driver}_bench.py")]
        self._environment = {**environment, "PYTHONPATH": paths}

    def listener(self, case: str, options: Mapping[str, str]) -> Command:
        return Command([*self._words, "listen"], self._environment)

    def dialer(self, address: str, case: str, options: Mapping[str, str]) -> Command:
        return Command([*self._words, "dial", address, case, *words(options)], self._environment)


class Go(Driven):
    """p2pd, whose streams and dials pass through a socket each."""

    def __init__(self, python: str, binary: str) -> None:
        super().__init__(
            "go (p2pd)",
            "go",
            f"go-libp2p: p2pd of {_GO}, driven through its control socket, which costs it most of the time in every case but start-up: these are no figures of go-libp2p alone",
            python,
            {
                "handshake": "p2pd's dial includes identify: see the connections of hosts",
                "memory": "see ours → go (p2pd)",
                "growth": "one p2pd is one peer, and dials a peer once",
                "open": "p2pd takes 256 streams of a peer, those that its driver has ended a while ago among them, and refuses more within the first second",
            },
            {
                "download": {"download": str(256 << 20)},
                "upload": {"upload": str(256 << 20)},
                "streams": {"bytes": str(1 << 20)},
                # One p2pd takes 256 streams of a peer, those of its own services among them.
                "request": {"concurrency": "1,32"},
                "ping": {"count": "2000", "bytes": "0"},
            },
            {"P2PD": binary, "GOLOG_LOG_LEVEL": "fatal"},
        )
        self._binary = binary

    def startup(self) -> Command:
        port = free_udp_port()
        return Command(
            [
                self._binary, "-listen", f"/ip4/127.0.0.1/tcp/{port}",
                "-hostAddrs", f"/ip4/127.0.0.1/udp/{port}/quic-v1", "-relay=false", "-relayService=false",
            ],
            self._environment,
            says_where=False,
            port=port,
        )  # fmt: skip


_GO, _PY, _RUST = "hivemind==1.1.12", "libp2p==0.8.1", "lattica==1.0.21"
_MEMORY = ("memory", "growth")


def _py() -> Driven:
    folder = install.virtual_environment("py", [_PY], constraints="py-constraints.txt")
    return Driven(
        "py",
        "py",
        "py-libp2p 0.8.1 (aioquic)",
        install.python(folder),
        {
            "handshake": "its dial includes identify: see the connections of hosts",
            **dict.fromkeys(_MEMORY, "it dials four times a second, and takes 8 connections of a peer"),
                "lossy": "it sends half a MiB a second, and not always to the end",
        },
        {
            "download": {"download": str(8 << 20)},
            "upload": {"upload": str(8 << 20)},
            "streams": {"streams": "50", "bytes": str(64 << 10)},
            "request": {"concurrency": "1,32"},
            "ping": {"count": "500", "bytes": "0"},
        },
        {},
    )


def _go() -> Go:
    folder = install.virtual_environment("go", [_GO], dependencies=False)
    return Go(install.python(folder), str(install.file_inside(folder, "hivemind/hivemind_cli/p2pd")))


def _rust() -> Driven:
    folder = install.virtual_environment("rust", [_RUST], dependencies=False)
    nothing = "lattica pings and identifies, and opens no streams of one's own"
    reasons = dict.fromkeys(("download", "upload", "streams", "request", "open", "lossy"), nothing)
    reasons |= dict.fromkeys(("handshake", "connect"), "lattica dials when it starts, and does not say how long it takes")
    reasons |= dict.fromkeys(_MEMORY, "see ours → rust")
    return Driven(
        "rust", "rust", "rust-libp2p: libp2p-quic 0.11.1 of lattica 1.0.21, its own ping",
        install.python(folder), reasons, {"ping": {"bytes": "0"}}, {},
    )  # fmt: skip


def _ours_to(ours: Ours, other: Driven) -> OursTo:
    """What the other serves by itself: pings, handshakes, idle connections."""
    own = "it serves no such protocol by itself"
    reasons = dict.fromkeys(("download", "upload", "streams", "request", "lossy", "startup"), own)
    reasons["growth"] = "it takes fewer connections"
    if other.name == "rust":
        reasons["open"] = "it answers one stream of pings at a time"
    options = {
        "open": {"protocol": "ping"},
        "ping": {"bytes": "0", "count": "2000"},
        "memory": {"connections": "300", "streams": "0", "spread": "1", "protocol": "ping"},
    }
    return OursTo(ours, other, reasons, options)


def all_of(
    names: Sequence[str], binaries: Path, scratch: Path
) -> tuple[list[Contender], Command | None, dict[str, str]]:
    """Those who take part, ours first; the lossy network, if there is one; versions."""
    ngtcp2 = first_line("pkg-config", "--modversion", "libngtcp2")
    ours = Ours(binaries, _revision())
    contenders: list[Contender] = [ours]
    if ours.protection() == "ipsecMB":
        contenders.append(OursOnGnuTLS(binaries))
    contenders.append(OursAwake(binaries))
    program = _c_program()
    if program and "c" in names:
        contenders.append(c_peer.CPeer(program, ngtcp2))
    if "gtls" in names:
        for tools in ngtcp2_tools.install():
            folder = scratch / tools.version.replace("/", "_")
            folder.mkdir()
            contenders.append(ngtcp2_tools.HTTPTools(tools, folder))
    for name, make in _MAKERS.items():
        if name not in names:
            continue
        if name == "rust" and not _is_alone():
            print("bench: without rust: lattica asks servers outside for its address, and this network is not shut off "
                  "('unshare --net' is not allowed here)", file=sys.stderr)  # fmt: skip
            continue
        peer = _made(make)
        contenders.append(peer)
        if name != "py":
            contenders.append(_ours_to(ours, peer))
    versions = {
        "ngtcp2": ngtcp2,
        "GnuTLS": first_line("pkg-config", "--modversion", "gnutls"),
        "packet protection of ours": ours.protection() or "unknown",
        "Swift": first_line("swift", "--version").removeprefix("Swift version "),
    }
    return contenders, c_peer.proxy(program) if program else None, versions


def _c_program() -> Path | None:
    """The C program; None where it cannot be built: it needs ngtcp2 1.x, which has not been installed everywhere."""
    try:
        return c_peer.build()
    except MeasureError as error:
        print(f"bench: without the C program and its lossy network: {error}", file=sys.stderr)
        return None


_MAKERS: Mapping[str, Callable[[], Driven]] = {"go": _go, "rust": _rust, "py": _py}


def _made(make: Callable[[], Driven]) -> Driven:
    try:
        return make()
    except install.InstallError as error:
        raise PeerError(str(error)) from error


def prepare(names: Sequence[str]) -> None:
    """Fetches what takes part, while there is a network."""
    if "gtls" in names:
        ngtcp2_tools.install()
    for name, make in _MAKERS.items():
        if name in names:
            _made(make)


def _is_alone() -> bool:
    """Whether there is no network but loopback."""
    with open("/proc/net/dev") as devices:
        return {line.split(":")[0].strip() for line in devices if ":" in line} <= {"lo"}


def isolated() -> list[str] | None:
    """How to start a program in a network of its own; None where it is in one, or cannot be."""
    return None if _is_alone() else isolate.command()


def _revision() -> str:
    done = subprocess.run(
        ["git", "-C", str(_HERE), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "an unknown revision"
