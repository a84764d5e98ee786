"""The C program in c-peer: the same libraries with nothing above them. Also the lossy network of a case."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from contender import Contender, words
from processes import Command, MeasureError, figures

_SOURCES = Path(__file__).resolve().parent / "c-peer"
_OUTPUT = Path(__file__).resolve().parents[2] / ".scratch" / "bench-c"
_MODULES = ["libngtcp2_crypto_gnutls", "libngtcp2", "gnutls"]
_TRANSFERS = ("download", "upload")


def build() -> Path:
    """The program, made again when a source, the compiler or a library has changed."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    sources = sorted(_SOURCES.glob("*.[ch]"))
    try:
        flags = shlex.split(_output(["pkg-config", "--cflags", "--libs", *_MODULES]))
        versions = _output([*compiler, "--version"]) + _output(["pkg-config", "--modversion", *_MODULES])
    except (OSError, subprocess.CalledProcessError) as error:
        raise MeasureError(f"the C program cannot be built: {error}") from error
    options = ["-std=gnu17", "-O3", "-g", "-Wall", "-Wextra", "-Wno-missing-field-initializers"]
    key = hashlib.sha256(
        b"".join(source.read_bytes() for source in sources) + " ".join([versions, *flags, *options]).encode()
    ).hexdigest()
    program = _OUTPUT / f"c-peer-{key[:16]}"
    if not program.exists():
        _OUTPUT.mkdir(parents=True, exist_ok=True)
        files = [str(source) for source in sources if source.suffix == ".c"]
        temporary = program.with_suffix(f".{os.getpid()}")
        done = subprocess.run(
            [*compiler, *options, "-o", str(temporary), *files, *flags], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise MeasureError(f"the C program does not build:\n{done.stderr.strip()}")
        temporary.rename(program)
    return program


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def proxy(program: Path) -> Command:
    return Command([str(program), "proxy"], {})


class CPeer(Contender):
    def __init__(self, program: Path, version: str) -> None:
        super().__init__(
            "C",
            f"our C program on ngtcp2 {version} (plain TLS, no protocol negotiation)",
            {"connect": "it has no identify"},
        )
        self._program = str(program)

    def listener(self, case: str, options: Mapping[str, str]) -> Command:
        return Command([self._program, "listen"], {})

    def dialer(self, address: str, case: str, options: Mapping[str, str]) -> Command:
        name = "transfer" if case in _TRANSFERS else "idle" if case in ("memory", "growth") else case
        return Command([self._program, "dial", address, name, *words(options)], {})

    def check(self, output: str, options: Mapping[str, str]) -> None:
        got = figures(output)
        if any(got[name] != float(options.get(name, 0)) for name in _TRANSFERS):
            raise MeasureError(f"the C program reports {got}: not what was asked for")
