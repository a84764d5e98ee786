"""QUIC versions that one side lacks: draft 29, which `/quic` means, and one that nobody has. The peer is aioquic."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cells import FAIL, PASS, Cell
from pair import Process, listening_address, results
from peers import DRIVERS, aioquic_of, plain, swift

_DRIVER = str(DRIVERS / "quic_versions.py")
_TIMEOUT = 30.0
_V1, _DRAFT_29, _UNKNOWN = "0x00000001", "0xff00001d", "0x1a2a3a4a"

MEANING = {
    "draft29-control": "aioquic 0.9.25 completes a handshake of draft 29 with itself: it is a real peer",
    "draft29-offered": "it offers us draft 29 only: our listener answers with Version Negotiation",
    "draft29-listener": "we dial a listener that has draft 29 only: the dial fails with the reason",
    "draft29-configured": "a configuration that wants draft 29 is refused with the reason",
    "draft29-address": "dialing a /quic address is refused with the reason",
    "unknown-then-v1": "aioquic offers an unknown version first, and goes on with version 1",
}


@dataclass
class Check:
    """What came of one of them."""

    name: str
    cell: Cell

    @property
    def failed(self) -> bool:
        return self.cell.status != PASS


def install() -> None:
    for name in ("draft29", "py"):
        aioquic_of(name)


def run(node: Path) -> list[Check]:
    found = {"draft29-control": _checked(_control)}
    ours = swift(node)
    serving = Process(ours, ours, "listen")
    try:
        address, _ = listening_address(serving)
        found["draft29-offered"] = _checked(lambda: _draft_offered(address))
        found["unknown-then-v1"] = _checked(lambda: _unknown_then_v1(address))
    except (TimeoutError, ValueError) as error:
        found["draft29-offered"] = Cell(FAIL, str(error))
    finally:
        serving.stop()
    found |= _ours(node)
    return [Check(name, found.get(name, Cell(FAIL, "not reached"))) for name in MEANING]


def _checked(check: object) -> Cell:
    assert callable(check)
    try:
        return Cell(PASS, check())
    except (ValueError, subprocess.SubprocessError) as error:
        return Cell(FAIL, str(error))


def _control() -> str:
    seen = _aioquic("draft29", "control")
    if seen != {"wire": _DRAFT_29, "completed": True}:
        raise ValueError(f"the peer itself does not work: {seen}")
    return f"handshake completed, version {_DRAFT_29} on the wire"


def _draft_offered(address: str) -> str:
    seen = _aioquic("draft29", "offer", address, _DRAFT_29)
    if _real(seen["negotiation"]) != [_V1] or seen["completed"] or "common protocol version" not in seen["ended"]:
        raise ValueError(f"another outcome than Version Negotiation with {_V1}: {seen}")
    return f"Version Negotiation with {', '.join(seen['negotiation'])}; aioquic: {seen['ended']}"


def _unknown_then_v1(address: str) -> str:
    seen = _aioquic("py", "offer", address, _UNKNOWN, _V1)
    if _V1 not in seen["negotiation"] or seen["version"] != _V1 or not seen["completed"] or not seen["ping"]:
        raise ValueError(f"no connection of version 1 came of it: {seen}")
    return f"Version Negotiation with {', '.join(seen['negotiation'])}, then a handshake and a PING of {_V1}"


def _real(versions: list[str]) -> list[str]:
    """Without those that only exercise negotiation (RFC 9000 §15: 0x?a?a?a?a)."""
    return [version for version in versions if int(version, 16) & 0x0F0F0F0F != 0x0A0A0A0A]


def _ours(node: Path) -> dict[str, Cell]:
    """What our node says where draft 29 is wanted of it."""
    listener = plain("aioquic", [aioquic_of("draft29"), _DRIVER])
    serving = Process(listener, listener, "listen")
    try:
        address, _ = listening_address(serving)
        command = [str(node), "versions", address]
        output = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
        return results(output.stdout.splitlines()) or {"draft29-listener": Cell(FAIL, output.stderr[-500:])}
    except (TimeoutError, ValueError, subprocess.SubprocessError) as error:
        return {"draft29-listener": Cell(FAIL, str(error))}
    finally:
        serving.stop()


def _aioquic(environment: str, *arguments: str) -> dict[str, object]:
    command = [aioquic_of(environment), _DRIVER, *arguments]
    output = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT, check=False
    )
    if output.returncode:
        raise ValueError(f"aioquic: {output.stderr[-500:]}")
    return json.loads(output.stdout)
