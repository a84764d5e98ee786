"""The table, as text, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import conventions
import versions
from cells import ABSENT, FAIL, FEATURES, MEANING, PASS, Row
from peers import Peer
from versions import Check

_CHECKS = {
    "QUIC versions that one side lacks": versions.MEANING,
    "libp2p's public test harnesses, both of them, with Redis": conventions.MEANING,
}
"""What is not a matter of features, by its heading."""

_TEXT = {PASS: "pass", FAIL: "FAIL", ABSENT: "none"}
_MARKDOWN = {PASS: "✅", FAIL: "❌", ABSENT: "–"}


def _notes(rows: Sequence[Row]) -> list[str]:
    """Why a cell says that there is no such thing: each reason once, with the cells it holds for."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        for feature in FEATURES:
            cell = row.cells[feature]
            if cell.status == ABSENT:
                features = reasons.setdefault(cell.detail, {}).setdefault(f"{row.dialer} → {row.listener}", [])
                if feature not in features:
                    features.append(feature)
    return [
        "; ".join(f"{pair} {', '.join(features)}" for pair, features in pairs.items()) + f": {reason}"
        for reason, pairs in reasons.items()
    ]


def text(rows: Sequence[Row], checks: Sequence[Check], peers: Sequence[Peer], verbose: bool) -> str:
    width = max(len(row.name) for row in rows)
    lines = ["dialer → listener".ljust(max(width, 17)) + "  " + "  ".join(FEATURES) + "  seconds"]
    for row in rows:
        cells = "  ".join(_TEXT[row.cells[name].status].ljust(len(name)) for name in FEATURES)
        lines.append(f"{row.name.ljust(max(width, 17))}  {cells}  {row.seconds:7.1f}")
    lines += ["", "over /quic-v1 on loopback:"] + [f"  {peer.name}: {peer.label}" for peer in peers]
    if notes := _notes(rows):
        lines += ["none: one of the two has no such thing"] + [f"  {note}" for note in notes]
    for title, meaning, some in _sorted(checks):
        lines += ["", f"{title}:"]
        for check in some:
            lines += [f"  {_TEXT[check.cell.status]}  {check.name.ljust(22)}  {meaning[check.name]}"]
            if verbose or check.failed:
                lines += [f"        {check.cell.detail}"]
    if verbose:
        for row in rows:
            lines += ["", row.name + (f" ({row.traffic})" if row.traffic else "")]
            cells = ((name, row.cells[name]) for name in FEATURES)
            lines += [f"  {name.ljust(11)} {cell.status.ljust(6)} {cell.detail}" for name, cell in cells]
    for row in rows:
        if row.failed:
            lines += ["", *_failure(row)]
    counts = {
        status: sum(cell.status == status for row in rows for cell in row.cells.values())
        + sum(check.cell.status == status for check in checks)
        for status in (PASS, FAIL, ABSENT)
    }
    broken = sum(bool(row.error) for row in rows)
    lines += ["", f"{counts[PASS]} passed, {counts[FAIL]} failed, {counts[ABSENT]} absent, {broken} pairs broken"]
    return "\n".join(lines)


def _failure(row: Row) -> list[str]:
    lines = [f"FAIL {row.name}" + (f": {row.error}" if row.error else "")]
    lines += [f"  {name}: {cell.detail}" for name, cell in row.cells.items() if cell.status == FAIL]
    for role, output in row.output.items():
        name = row.dialer if role == "dialer" else row.listener
        lines.append(f"  the {role}'s ({name}) last lines on standard error:")
        lines += [f"    {line}" for line in output.splitlines()] or ["    (none)"]
    return lines


def markdown(rows: Sequence[Row], checks: Sequence[Check], peers: Sequence[Peer]) -> str:
    lines = ["| dialer → listener | " + " | ".join(FEATURES) + " |", "|---|" + ":-:|" * len(FEATURES)]
    for row in rows:
        lines.append(f"| {row.name} | " + " | ".join(_MARKDOWN[row.cells[name].status] for name in FEATURES) + " |")
    lines += ["", ", ".join(f"{peer.name}: {peer.label}" for peer in peers) + "; over `/quic-v1`."]
    lines += ["", "; ".join(f"**{name}**: {meaning}" for name, meaning in MEANING.items()) + "."]
    if notes := _notes(rows):
        lines += ["", "–: one of the two has no such thing."] + [f"- {note}" for note in notes]
    for title, meaning, some in _sorted(checks):
        lines += ["", f"| {title} | | what came of it |", "|---|:-:|---|"]
        lines += [f"| {meaning[one.name]} | {_MARKDOWN[one.cell.status]} | {one.cell.detail} |" for one in some]
    return "\n".join(lines)


def _sorted(checks: Sequence[Check]) -> list[tuple[str, dict[str, str], list[Check]]]:
    """Under their headings; those without checks are left out."""
    found = [(title, meaning, [one for one in checks if one.name in meaning]) for title, meaning in _CHECKS.items()]
    return [each for each in found if each[2]]


def as_json(rows: Sequence[Row], checks: Sequence[Check], peers: Sequence[Peer]) -> str:
    return json.dumps(
        {
            "transport": "quic-v1",
            "peers": {peer.name: peer.label for peer in peers},
            "rows": [asdict(row) for row in rows],
            "versions": [asdict(check) for check in checks if check.name in versions.MEANING],
            "conventions": [asdict(check) for check in checks if check.name in conventions.MEANING],
            "failed": any(outcome.failed for outcome in (*rows, *checks)),
        },
        indent=2,
    )
