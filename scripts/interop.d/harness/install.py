"""Virtual environments under `.venvs`, one for each peer: made once, made again when what is wanted changes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_HERE = Path(__file__).resolve().parent.parent
_VENVS = _HERE.parent.parent / ".venvs"
_STAMP = "interop-installed"
_TIMEOUT = 600


class InstallError(Exception):
    """A peer could not be installed; the text says which and why."""


def virtual_environment(
    name: str, requirements: Sequence[str], *, constraints: str | None = None, dependencies: bool = True
) -> Path:
    """The folder of the environment that has exactly these packages."""
    folder = _VENVS / f"interop-{name}"
    limits = _HERE / constraints if constraints else None
    wanted = "\n".join([sys.version, *requirements, limits.read_text() if limits else "", str(dependencies)])
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    stamp = folder / _STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return folder
    print(f"interop: installing {' '.join(requirements)} into .venvs/{folder.name}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run(name, [sys.executable, "-m", "venv", str(folder)])
    command = [python(folder), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    if limits:
        command += ["--constraint", str(limits)]
    if not dependencies:
        command += ["--no-deps"]
    _run(name, [*command, *requirements])
    stamp.write_text(digest)
    return folder


def python(folder: Path) -> str:
    return str(folder / "bin" / "python")


def file_inside(folder: Path, relative: str) -> Path:
    """A file of an installed package."""
    found = list(folder.glob(f"lib/python*/site-packages/{relative}"))
    if len(found) != 1:
        raise InstallError(f"{folder.name} has no {relative}")
    return found[0]


def _run(name: str, command: Sequence[str]) -> None:
    try:
        subprocess.run(
            command, check=True, timeout=_TIMEOUT, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise InstallError(f"installing the peer {name!r} failed:\n{error.stdout.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"installing the peer {name!r} took longer than {_TIMEOUT} s") from error
