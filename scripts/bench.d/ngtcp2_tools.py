"""ngtcp2's own example programs, `gtlsserver` and `gtlsclient`: the C yardstick.

Taken from Debian, at the version of the installed library where that can be had. The packages are unpacked below
`.venvs` and not installed, because ngtcp2-server would start a service.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from measure import MeasureError, Spec, transfer

_FOLDER = Path(__file__).resolve().parents[2] / ".venvs" / "bench-ngtcp2"
_SYSTEM = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"])
_CHECK_SIZE = 16 << 20


class InstallError(Exception):
    """The programs could not be had; the text says why."""


@dataclass(frozen=True)
class Tools:
    server: str
    client: str
    libraries: str
    version: str

    @property
    def environment(self) -> dict[str, str]:
        if not self.libraries:
            return {}
        return {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, [self.libraries, os.environ.get("LD_LIBRARY_PATH")]))}


def install() -> Tools:
    """The programs, unpacked when the system does not have them."""
    server, client = (shutil.which(name, path=_SYSTEM) for name in ("gtlsserver", "gtlsclient"))
    if server and client:
        return Tools(server, client, "", _installed("ngtcp2-server") or "unknown version")
    unpacked = _FOLDER / "root"
    version = _FOLDER / "version"
    if not version.is_file():
        _unpack(unpacked, version)
    libraries = sorted({str(found.parent) for found in unpacked.rglob("*.so*")})
    return Tools(
        str(unpacked / "usr/sbin/gtlsserver"),
        str(next(unpacked.rglob("gtlsclient"))),
        os.pathsep.join(libraries),
        version.read_text(),
    )


def _unpack(target: Path, stamp: Path) -> None:
    if not shutil.which("apt-get"):
        raise InstallError(
            "gtlsserver and gtlsclient (ngtcp2's GnuTLS examples) are not on the PATH, and there is no apt"
        )
    shutil.rmtree(_FOLDER, ignore_errors=True)
    archives = _FOLDER / "archives"
    (archives / "partial").mkdir(parents=True)
    version = _installed("libngtcp2-dev")
    exact = f"={version}" if version else ""
    print(f"bench: unpacking ngtcp2-server and ngtcp2-client {version} below .venvs", file=sys.stderr, flush=True)
    _run(
        ["apt-get", "-qq", "-y", "--no-install-recommends", "--download-only", "-o", f"Dir::Cache::Archives={archives}",
         "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=", "install", f"ngtcp2-server{exact}",
         f"ngtcp2-client{exact}"]
    )  # fmt: skip
    packages = sorted(archives.glob("*.deb"))
    if not packages:
        raise InstallError("apt downloaded nothing")
    for package in packages:
        _run(["dpkg-deb", "-x", str(package), str(target)])
    shutil.rmtree(archives)
    stamp.write_text(version or "of the distribution")


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        timeout=600,
    )  # fmt: skip
    if done.returncode != 0:
        raise InstallError(f"'{' '.join(command)}' failed:\n{done.stdout.strip()}")


def _installed(package: str) -> str:
    """The installed version of a Debian package; nothing when it is not installed."""
    if not shutil.which("dpkg-query"):
        return ""
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package]
    words = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()
    return words[1] if len(words) == 2 and words[0] == "installed" else ""


def download(tools: Tools, folder: Path, size: int) -> Spec:
    """`size` bytes from gtlsserver to gtlsclient on one stream, thrown away there. `folder` holds what it serves."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    if not key.exists():
        _run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
        )  # fmt: skip
    site, received = folder / "site", folder / "received"
    site.mkdir(exist_ok=True)
    _make_file(site / "payload", size)

    def server(port: int) -> list[str]:
        return [tools.server, "-q", "-d", str(site), "127.0.0.1", str(port), str(key), str(certificate)]

    def client(port: int, *options: str, name: str = "payload") -> list[str]:
        return [
            tools.client, "-q", "--exit-on-all-streams-close", *options,
            "127.0.0.1", str(port), f"https://localhost:{port}/{name}",
        ]  # fmt: skip

    # The client says nothing about what it got: one small transfer that is kept shows that it gets everything.
    received.mkdir(exist_ok=True)
    _make_file(site / "sample", _CHECK_SIZE)
    kept = Spec(server, lambda port: client(port, "--download", str(received), name="sample"), tools.environment)
    transfer(kept)
    if (received / "sample").read_bytes() != (site / "sample").read_bytes():
        raise MeasureError("gtlsclient did not get what gtlsserver has")
    (received / "sample").unlink()
    return Spec(server, client, tools.environment)


def _make_file(path: Path, size: int) -> None:
    """A file that takes no room: the zeros are encrypted like everything else."""
    with path.open("wb") as file:
        file.truncate(size)
