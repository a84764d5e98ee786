"""The table, as text, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from cells import ABSENT, FAIL, FEATURES, MEANING, PASS, Row
from peers import Peer
from versions import MEANING as VERSIONS
from versions import Check

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
    if checks:
        lines += ["", "QUIC versions that one side lacks:"]
        for check in checks:
            lines += [f"  {_TEXT[check.cell.status]}  {check.name.ljust(18)}  {VERSIONS[check.name]}"]
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
    if checks:
        lines += ["", "| QUIC versions that one side lacks | | what came of it |", "|---|:-:|---|"]
        lines += [f"| {VERSIONS[one.name]} | {_MARKDOWN[one.cell.status]} | {one.cell.detail} |" for one in checks]
    return "\n".join(lines)


def as_json(rows: Sequence[Row], checks: Sequence[Check], peers: Sequence[Peer]) -> str:
    return json.dumps(
        {
            "transport": "quic-v1",
            "peers": {peer.name: peer.label for peer in peers},
            "rows": [asdict(row) for row in rows],
            "versions": [asdict(check) for check in checks],
            "failed": any(outcome.failed for outcome in (*rows, *checks)),
        },
        indent=2,
    )
