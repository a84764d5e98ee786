"""The aims that this repository has set itself, as ratios within one run, and which of them a run reached.

A run can judge an aim only where the other was measured alone. Of go-libp2p there is p2pd, whose streams and dials pass
through sockets and a Python program, or its listener with our dialer, so that half of each pair is ours: those ratios are
shown, and nothing is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass

from cases import BY_NAME
from results import Results

_P2PD = "go (p2pd)"
_TO_GO = "ours → go (p2pd)"


@dataclass(frozen=True)
class Aim:
    case: str
    figure: str
    against: str
    """A contender; names are compared by their beginning."""
    least: float
    """How many times better than the other."""
    is_fair: bool = True
    """Whether the other's figure is its own alone."""


AIMS = (
    Aim("download", "rate", "C", 0.95),
    Aim("upload", "rate", "C", 0.95),
    Aim("download", "rate", "gtls 1.", 5),
    Aim("download", "rate", "gtls 0.", 5),
    Aim("download", "rate", "py", 200),
    Aim("memory", "connection", _TO_GO, 2),
    Aim("download", "rate", _P2PD, 3, False),
    Aim("download", "client cpu", _P2PD, 1 / 0.35, False),
    Aim("download", "server cpu", _P2PD, 1 / 0.35, False),
    Aim("handshake", "1", _TO_GO, 2, False),
    Aim("handshake", "32", _TO_GO, 2, False),
    Aim("open", "1", _TO_GO, 3, False),
    Aim("open", "32", _TO_GO, 3, False),
    Aim("ping", "median", _TO_GO, 2, False),
)


@dataclass(frozen=True)
class Judgement:
    what: str
    against: str
    least: float
    ratio: float
    is_fair: bool

    @property
    def verdict(self) -> str:
        if not self.is_fair:
            return "not judged"
        return "reached" if self.ratio >= self.least else "missed"


def judged(results: Results) -> list[Judgement]:
    """Each aim that the run has both values of."""
    found = []
    for aim in AIMS:
        case = BY_NAME[aim.case]
        figure = next(figure for figure in case.figures if figure.key == aim.figure)
        for name in results.contenders:
            matches = name == aim.against or (aim.against.endswith(".") and name.startswith(aim.against))
            ratio = results.ratio(aim.case, name, figure) if matches else None
            if ratio is not None:
                found.append(Judgement(f"{case.title}: {figure.title}", name, aim.least, ratio, aim.is_fair))
    return found
