"""A plot of the headline figures as SVG: a panel for each, a bar for each contender, a line from least to most."""

from __future__ import annotations

from html import escape

from cases import BY_NAME
from ours import NAME as OURS
from results import Results, number

_PANELS = (
    ("download", "rate"), ("download", "client cpu"), ("streams", "rate"), ("handshake", "32"),
    ("open", "1"), ("open", "32"), ("ping", "median"), ("memory", "connection"), ("lossy", "rate"),
)  # fmt: skip
_COLUMNS, _WIDTH, _ROW, _HEAD, _GAP = 3, 380, 22, 46, 18
_NAMES, _VALUES = 118, 74
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}.unit{fill:#57606a}"
    ".ours{fill:#0969da}.other{fill:#8c959f}.spread{stroke:#24292f;stroke-width:1}.back{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.unit{fill:#8d96a0}.back{fill:#0d1117}"
    ".spread{stroke:#e6edf3}.other{fill:#6e7681}.ours{fill:#4493f8}}"
)


def svg(results: Results) -> str:
    panels = []
    for case_name, key in _PANELS:
        case = BY_NAME[case_name]
        figure = next(figure for figure in case.figures if figure.key == key)
        bars = [(name, cell) for name in results.contenders if (cell := results.of(case_name, name, key))]
        if any(name == OURS for name, _ in bars):
            panels.append((case, figure, bars))
    rows = [panels[start : start + _COLUMNS] for start in range(0, len(panels), _COLUMNS)]
    heights = [_HEAD + _ROW * max(len(bars) for _, _, bars in row) + _GAP for row in rows]
    total = sum(heights) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_COLUMNS * _WIDTH}" height="{total}" '
        f'viewBox="0 0 {_COLUMNS * _WIDTH} {total}" role="img"><style>{_STYLE}</style>'
        f'<rect class="back" width="100%" height="100%"/>'
    ]
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, (case, figure, bars) in enumerate(row):
            left = column * _WIDTH + 12
            better = "more" if figure.more_is_better else "less"
            parts.append(f'<text class="title" x="{left}" y="{top + 20}">{escape(case.title)}</text>')
            parts.append(
                f'<text class="unit" x="{left}" y="{top + 36}">{escape(figure.title)}, {figure.unit}: {better} is better</text>'
            )
            most = max(max(cell.values) for _, cell in bars) or 1
            scale = (_WIDTH - 24 - _NAMES - _VALUES) / most
            for index, (name, cell) in enumerate(bars):
                y = top + _HEAD + index * _ROW
                start = left + _NAMES
                kind = "ours" if name == OURS else "other"
                least, high = (start + scale * edge for edge in (min(cell.values), max(cell.values)))
                parts += [
                    f'<text x="{start - 6}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
                    f'<rect class="{kind}" x="{start}" y="{y + 3}" width="{max(1.0, scale * cell.median):.1f}" height="13"/>',
                    f'<line class="spread" x1="{least:.1f}" x2="{high:.1f}" y1="{y + 9.5}" y2="{y + 9.5}"/>',
                    f'<text x="{max(high, start + 1) + 5:.1f}" y="{y + 13}">{number(cell.median, figure.decimals)}</text>',
                ]
        top += height
    machine = results.machine
    parts.append(
        f'<text class="unit" x="12" y="{total - 10}">bars: medians, lines: least to most; {escape(machine.processor)}, '
        f"{machine.cores} cores, {machine.date}</text></svg>"
    )
    return "\n".join(parts) + "\n"
