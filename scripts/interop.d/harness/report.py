"""The table, as text, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from cells import ABSENT, FAIL, FEATURES, PASS, Row
from peers import Peer

_TEXT = {PASS: "pass", FAIL: "FAIL", ABSENT: "none"}
_MARKDOWN = {PASS: "✅", FAIL: "❌", ABSENT: "–"}


def _pair(row: Row) -> str:
    return f"{row.dialer} → {row.listener}"


def _notes(rows: Sequence[Row]) -> list[str]:
    """Why a cell says that there is no such thing: each reason once, with the cells it holds for."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        for feature, cell in row.cells.items():
            if cell.status == ABSENT:
                reasons.setdefault(cell.detail, []).append(f"{_pair(row)} {feature}")
    return [f"{', '.join(cells)}: {reason}" for reason, cells in reasons.items()]


def text(rows: Sequence[Row], peers: Sequence[Peer], verbose: bool) -> str:
    width = max(len(_pair(row)) for row in rows)
    lines = ["dialer → listener".ljust(max(width, 17)) + "  " + "  ".join(FEATURES) + "  seconds"]
    for row in rows:
        cells = "  ".join(_TEXT[row.cells[name].status].ljust(len(name)) for name in FEATURES)
        lines.append(f"{_pair(row).ljust(max(width, 17))}  {cells}  {row.seconds:7.1f}")
    lines += ["", "over /quic-v1 on loopback:"] + [f"  {peer.name}: {peer.label}" for peer in peers]
    if notes := _notes(rows):
        lines += ["none: one of the two has no such thing"] + [f"  {note}" for note in notes]
    if verbose:
        for row in rows:
            lines += ["", _pair(row)]
            cells = ((name, row.cells[name]) for name in FEATURES)
            lines += [f"  {name.ljust(10)} {cell.status.ljust(6)} {cell.detail}" for name, cell in cells]
    for row in rows:
        if row.failed:
            lines += ["", *_failure(row)]
    counts = {
        status: sum(cell.status == status for row in rows for cell in row.cells.values())
        for status in (PASS, FAIL, ABSENT)
    }
    broken = sum(bool(row.error) for row in rows)
    lines += ["", f"{counts[PASS]} passed, {counts[FAIL]} failed, {counts[ABSENT]} absent, {broken} pairs broken"]
    return "\n".join(lines)


def _failure(row: Row) -> list[str]:
    lines = [f"FAIL {_pair(row)}" + (f": {row.error}" if row.error else "")]
    lines += [f"  {name}: {cell.detail}" for name, cell in row.cells.items() if cell.status == FAIL]
    for role, output in row.output.items():
        name = row.dialer if role == "dialer" else row.listener
        lines.append(f"  the {role}'s ({name}) last lines on standard error:")
        lines += [f"    {line}" for line in output.splitlines()] or ["    (none)"]
    return lines


def markdown(rows: Sequence[Row], peers: Sequence[Peer]) -> str:
    lines = ["| dialer → listener | " + " | ".join(FEATURES) + " |", "|---|" + ":-:|" * len(FEATURES)]
    for row in rows:
        lines.append(f"| {_pair(row)} | " + " | ".join(_MARKDOWN[row.cells[name].status] for name in FEATURES) + " |")
    lines += ["", ", ".join(f"{peer.name}: {peer.label}" for peer in peers) + "; over `/quic-v1`."]
    if notes := _notes(rows):
        lines += ["", "–: one of the two has no such thing."] + [f"- {note}" for note in notes]
    return "\n".join(lines)


def as_json(rows: Sequence[Row], peers: Sequence[Peer]) -> str:
    return json.dumps(
        {
            "transport": "quic-v1",
            "peers": {peer.name: peer.label for peer in peers},
            "rows": [asdict(row) for row in rows],
            "failed": any(row.failed for row in rows),
        },
        indent=2,
    )
