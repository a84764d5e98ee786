"""The results as text for a terminal and as Markdown for the README."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import aims
from cases import CASES, Case, Figure
from ours import NAME as OURS
from results import Results


def _cell(results: Results, case: Case, figure: Figure, name: str) -> str:
    cell = results.of(case.name, name, figure.key)
    if not cell:
        return "–"
    text = cell.text(figure.decimals)
    ratio = results.ratio(case.name, name, figure)
    return text if name == OURS or ratio is None else f"{text} · {ratio:.2f}×"


def _arrow(figure: Figure) -> str:
    return "↑" if figure.more_is_better else "↓"


def _absences(results: Results) -> Iterator[str]:
    """One line for each contender and reason."""
    found = [
        (name, reason, case.title)
        for name in results.contenders
        for case in CASES
        if (reason := results.absent.get(case.name, {}).get(name))
    ]
    for (name, reason), group in groupby(sorted(found), key=lambda each: each[:2]):
        yield f"{name}: {'; '.join(dict.fromkeys(title for _, _, title in group))}: {reason}"


def _smaller(results: Results) -> Iterator[str]:
    """Who was asked for less than ours, and in what."""
    for case in CASES:
        usual = results.options.get(case.name, {}).get(OURS)
        for name, options in results.options.get(case.name, {}).items():
            if usual and options != usual:
                changed = ", ".join(f"{key} {value}" for key, value in options.items() if usual.get(key) != value)
                yield f"{name}, {case.title}: {changed}"


def _quick(results: Results) -> list[str]:
    return ["a quick run: everything is smaller than it is called, and the figures mean little"] if results.is_quick else []


def text(results: Results) -> str:
    lines: list[str] = []
    names = list(results.contenders)
    for case, group in groupby(results.rows(CASES), key=lambda row: row[0]):
        figures = [figure for _, figure in group]
        rows = [[case.title, *names]]
        rows += [
            [f"{figure.title}, {figure.unit} {_arrow(figure)}", *(_cell(results, case, figure, name) for name in names)]
            for figure in figures
        ]
        used = [index for index in range(len(names) + 1) if index == 0 or any(row[index] != "–" for row in rows[1:])]
        rows = [[row[index] for index in used] for row in rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines += ["", *("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)]
    lines += ["", *_quick(results), "median (least–most) · how many times better ours is, the median over the rounds; ↑ more is better, ↓ less is better"]
    lines += [f"absent: {line}" for line in _absences(results)]
    lines += [f"other size: {line}" for line in _smaller(results)]
    if judged := aims.judged(results):
        lines += ["", *(f"aim {each.verdict:10}  {each.ratio:7.2f} of {each.least:6.2f}  {each.what}, against {each.against}"
                        for each in judged)]  # fmt: skip
    lines += ["", f"machine: {results.machine}", f"command: {results.command}"]
    return "\n".join(lines).lstrip("\n")


def markdown(results: Results, plot: str | None = None) -> str:
    names = list(results.contenders)
    lines = [f"![throughput, handshakes, streams, round trips and memory beside the others]({plot})", ""] if plot else []
    lines += ["| case | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]
    for case, figure in results.rows(CASES):
        cells = [_cell(results, case, figure, name) for name in names]
        lines.append(f"| {case.title}: {figure.title}, {figure.unit} {_arrow(figure)} | " + " | ".join(cells) + " |")
    lines += [
        "",
        *_quick(results),
        "Median (least–most) of "
        + _runs(results)
        + " run(s), all contenders in turn; `×`: how many times better ours is, the median over the rounds; ↑ more is better, ↓ less is better.",
        "",
        *(f"- **{name}**: {label}" for name, label in results.contenders.items()),
        f"- **machine**: {results.machine}. `{results.command}`",
    ]
    if judged := aims.judged(results):
        lines += ["", "| aim | against | aim | this run | |", "|---|---|--:|--:|---|"]
        lines += [
            f"| {each.what} | {each.against} | {each.least:.2f}× | {each.ratio:.2f}× | {each.verdict} |" for each in judged
        ]
        if not all(each.is_fair for each in judged):
            lines += ["", "Not judged: the other's figure is not its own alone, see who took part."]
    if notes := [f"- {line}" for line in _absences(results)]:
        lines += ["", "<details><summary>–: what others cannot do, and why</summary>", "", *notes, "", "</details>"]
    if smaller := [f"- {line}" for line in _smaller(results)]:
        lines += ["", "<details><summary>Who was asked for less</summary>", "", *smaller, "", "</details>"]
    return "\n".join(lines)


def _runs(results: Results) -> str:
    counts = sorted({len(values) for case in results.values.values() for values in case.get(OURS, {}).values()})
    return "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1]))) if counts else "no"


def embed(readme: str, table: str, begin: str, end: str) -> str:
    """The README with what stands between the two marks replaced. Raises ValueError where they are not there, once each."""
    if readme.count(begin) != 1 or readme.count(end) != 1:
        raise ValueError(f"the README has to have one '{begin}' and one '{end}'")
    before, rest = readme.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{table}\n{end}{after}"


def progress(case: Case, name: str, figures: dict[str, float], shown: Sequence[Figure]) -> str:
    """One line about one run."""
    few = [figure for figure in shown if figure.key in figures][:2]
    return f"{case.name}, {name}: " + ", ".join(f"{figures[f.key]:,.{f.decimals}f} {f.unit}" for f in few)
