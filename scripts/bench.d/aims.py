"""The aims that this repository has set itself, as ratios within one run, and which of them a run reached.

A run can judge an aim only where the other was measured alone. Of go-libp2p there is p2pd, whose streams and dials pass
through sockets and a Python program, or its listener with our dialer, so that half of each pair is ours: those ratios are
shown, and nothing is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass

from cases import BY_NAME
from ours import GNUTLS
from ours import NAME as OURS
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
    subject: str = OURS
    """Which of ours. The one without ipsec-mb is a contender of its own only where ipsec-mb is used."""


AIMS = (
    Aim("download", "rate", "C", 0.95, subject=GNUTLS),
    Aim("upload", "rate", "C", 0.95, subject=GNUTLS),
    Aim("download", "rate", "C", 1.25),
    Aim("upload", "rate", "C", 1.25),
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
    has_both = GNUTLS in results.contenders
    for aim in AIMS:
        if aim.against == "C" and aim.subject == OURS and not has_both:
            continue  # that aim is ipsec-mb's
        subject = aim.subject if has_both else OURS
        case = BY_NAME[aim.case]
        figure = next(figure for figure in case.figures if figure.key == aim.figure)
        for name in results.contenders:
            matches = name == aim.against or (aim.against.endswith(".") and name.startswith(aim.against))
            ratio = results.ratio(aim.case, name, figure, subject) if matches else None
            if ratio is not None:
                found.append(Judgement(f"{case.title}: {figure.title}" + ("" if subject == OURS else f", {subject}"), name, aim.least, ratio, aim.is_fair))
    return found
