"""ngtcp2's own example programs, `gtlsserver` and `gtlsclient`: the C yardstick.

Taken from Debian, in every version that the configured package sources offer: they differ a lot. The packages are
unpacked below `.venvs` and not installed, because ngtcp2-server would start a service.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contender import Contender
from processes import Command, MeasureError, free_udp_port, listening, running

_FOLDER = Path(__file__).resolve().parents[2] / ".venvs" / "bench-ngtcp2"
_SYSTEM = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"])
_CHECK_SIZE = 16 << 20
_ONLY_HTTP = "it speaks HTTP/3 and nothing else"


class InstallError(Exception):
    """The programs could not be had; the text says why."""


@dataclass(frozen=True)
class Tools:
    """One version of the two programs."""

    server: str
    client: str
    libraries: str
    version: str

    @property
    def environment(self) -> dict[str, str]:
        if not self.libraries:
            return {}
        return {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, [self.libraries, os.environ.get("LD_LIBRARY_PATH")]))}


def install() -> list[Tools]:
    """Every version that the package sources offer, the newest first; else what is on the PATH. Needs no network the second
    time."""
    if versions := _offered():
        return [_unpacked(version) for version in versions]
    server, client = (shutil.which(name, path=_SYSTEM) for name in ("gtlsserver", "gtlsclient"))
    if server and client:
        return [Tools(server, client, "", "on the PATH")]
    raise InstallError(
        "gtlsserver and gtlsclient (ngtcp2's GnuTLS examples) are neither on the PATH nor offered by apt"
    )


def _offered() -> list[str]:
    if not shutil.which("apt-cache") or not shutil.which("dpkg-deb"):
        return []
    done = subprocess.run(["apt-cache", "madison", "ngtcp2-server"], capture_output=True, text=True, check=False)
    found = {line.split("|")[1].strip() for line in done.stdout.splitlines() if line.count("|") >= 2}
    return sorted(found, key=lambda version: [int(part) for part in re.findall(r"\d+", version)], reverse=True)


def _unpacked(version: str) -> Tools:
    folder = _FOLDER / version.replace("/", "_")
    root, stamp = folder / "root", folder / "complete"
    if not stamp.is_file():
        _unpack(version, folder, root)
        stamp.touch()
    libraries = sorted({str(found.parent) for found in root.rglob("*.so*")})
    server, client = (str(next(root.rglob(name))) for name in ("gtlsserver", "gtlsclient"))
    return Tools(server, client, os.pathsep.join(libraries), version)


def _unpack(version: str, folder: Path, root: Path) -> None:
    print(f"bench: unpacking ngtcp2-server and ngtcp2-client {version} below .venvs", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    archives = folder / "archives"
    (archives / "partial").mkdir(parents=True)
    programs = [f"ngtcp2-server={version}", f"ngtcp2-client={version}"]
    _run(["apt-get", "-qq", "-o", "APT::Sandbox::User=", "download", *programs, *_libraries(version)], archives)
    for package in sorted(archives.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(root)], archives)
    shutil.rmtree(archives)


def _libraries(version: str) -> list[str]:
    """The libraries of ngtcp2's family that the programs of that version need, each with the version to take."""
    needed = set()
    for package in ("ngtcp2-server", "ngtcp2-client"):
        shown = subprocess.run(
            ["apt-cache", "show", f"{package}={version}"], capture_output=True, text=True, check=False
        ).stdout
        for line in shown.splitlines():
            if line.startswith("Depends:"):
                needed |= {word.split()[0] for word in line.removeprefix("Depends:").split(",")}
    family = sorted(name for name in needed if name.startswith(("libngtcp2", "libnghttp3", "libev")))
    return [name if not name.startswith("libngtcp2") else f"{name}={version}" for name in family]


def _run(command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(
        command,
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        timeout=600,
    )  # fmt: skip
    if done.returncode != 0:
        raise InstallError(f"'{' '.join(command)}' failed:\n{done.stdout.strip()}")


class HTTPTools(Contender):
    """gtlsserver and gtlsclient: HTTP/3, one request."""

    def __init__(self, tools: Tools, folder: Path) -> None:
        number = tools.version.split("-")[0].split("+")[0]
        super().__init__(
            f"gtls {number}",
            f"ngtcp2's gtlsserver and gtlsclient {number}",
            dict.fromkeys(
                ("streams", "request", "open", "handshake", "connect", "ping", "memory", "growth"),
                _ONLY_HTTP,
            ),
        )
        self._tools, self._folder, self._port = tools, folder, 0
        if number.startswith("0."):
            # One packet a call: a GiB would take as long as everybody else's together.
            self.options = {"download": {"download": str(256 << 20)}, "upload": {"upload": str(256 << 20)}}
        _make_key(folder)
        self._check_delivery()

    def listener(self, case: str, options: Mapping[str, str]) -> Command:
        self._port = free_udp_port()
        site = self._folder / "site"
        site.mkdir(exist_ok=True)
        _make_file(site / "payload", int(options.get("download", 1)))
        words = [
            self._tools.server, "-q", "-d", str(site), "127.0.0.1", str(self._port),
            str(self._folder / "key.pem"), str(self._folder / "certificate.pem"),
        ]  # fmt: skip
        return Command(words, self._tools.environment, says_where=False, port=self._port)

    def dialer(self, address: str, case: str, options: Mapping[str, str]) -> Command:
        more: list[str] = []
        if upload := int(options.get("upload", 0)):
            _make_file(self._folder / "upload", upload)
            more = ["-m", "POST", "-d", str(self._folder / "upload")]
        return self._client(address, "payload", *more)

    def _client(self, port: str, name: str, *options: str) -> Command:
        words = [
            self._tools.client, "-q", "--exit-on-all-streams-close", *options,
            "127.0.0.1", port, f"https://localhost:{port}/{name}",
        ]  # fmt: skip
        return Command(words, self._tools.environment)

    def _check_delivery(self) -> None:
        """The client says nothing about what it got: one small transfer that is kept shows that it gets everything."""
        received, site = self._folder / "received", self._folder / "site"
        received.mkdir(exist_ok=True)
        with listening(self.listener("check", {"download": "1"})) as (_, port):
            _make_file(site / "sample", _CHECK_SIZE)
            with running(self._client(port, "sample", "--download", str(received))) as client:
                client.finish(60)
        if (received / "sample").read_bytes() != (site / "sample").read_bytes():
            raise MeasureError("gtlsclient did not get what gtlsserver has")
        (received / "sample").unlink()


def _make_key(folder: Path) -> None:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    if not key.exists():
        _run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
        )  # fmt: skip


def _make_file(path: Path, size: int) -> None:
    """A file that takes no room: the zeros are encrypted like everything else."""
    with path.open("wb") as file:
        file.truncate(size)
