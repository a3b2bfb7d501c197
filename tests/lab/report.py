"""A run as text for the terminal, as JSON, and as one HTML page that needs nothing else."""

from __future__ import annotations

import html
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab.grid import Snap, ratios, relays, settlings
from tests.lab.judge import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.cell import Cell
    from tests.lab.kinds import Kind

_PAGE = Path(__file__).with_name("report.html")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was measured, when, and with what."""

    title: str
    when: str
    commit: str
    chromium: str
    snap: str = Snap.OFF.value
    kinds: Sequence[Kind]
    cells: Sequence[Cell]

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "title": self.title,
            "when": self.when,
            "commit": self.commit,
            "chromium": self.chromium,
            "snap": self.snap,
            "kinds": [{"name": kind.name, "means": kind.means} for kind in self.kinds],
            "ratios": [
                asdict(ratio) | {"ms": ms, "ratio": ratio.ratio}
                for ms in delays(self.cells)
                for ratio in ratios([cell for cell in self.cells if cell.ms == ms])
            ],
            "relays": [
                asdict(one) | {"ms": ms}
                for ms in delays(self.cells)
                for one in relays([cell for cell in self.cells if cell.ms == ms])
            ],
            "settlings": [
                asdict(one) | {"ms": ms}
                for ms in delays(self.cells)
                for one in settlings([cell for cell in self.cells if cell.ms == ms])
            ],
            "cells": [cell.to_json() for cell in self.cells],
        }


def write(run: Run, folder: Path) -> Path:
    """Write `grid.json` and `grid.html`; return the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(run.to_json(), separators=(",", ":"))
    (folder / "grid.json").write_text(text + "\n")
    page = folder / "grid.html"
    # In a script element only "</" and "<!--" end or change anything (HTML, section 4.12.1.3).
    template = _PAGE.read_text().replace("{{title}}", html.escape(run.title))
    page.write_text(template.replace("{{data}}", text.replace("<", "\\u003c")))
    return page


def delays(cells: Sequence[Cell]) -> list[float]:
    """Return the delays of a run, in order."""
    return sorted({cell.ms for cell in cells})


def line(cell: Cell) -> str:
    """Return a cell as one greppable line."""
    times = "-"
    made = ""
    if cell.ends:
        second = cell.ends[1]
        times = " ".join(
            f"{name}={'-' if at is None else f'{at:.0f}'}"
            for name, at in (("candidate", second.first_candidate), ("ice", second.connected), ("open", second.opened))
        )
        made = f" relays={sum(cell.relays_made.values())}"
    trouble = f" PROBLEMS {' / '.join(cell.problems)}" if cell.problems else ""
    return (
        f"{cell.verdict.value:6} {cell.subject:9} {cell.ms:g}ms {cell.name}: expected {cell.expected},"
        f" got {cell.found} {times}{made}{trouble}"
    )


def timelines(cell: Cell) -> str:
    """Return all that a cell has to say, for a test that failed."""
    lines = [line(cell)]
    for end in cell.ends or ():
        lines += [f"{end.host}:", *(f"{at:9.1f} {what} {words}" for at, what, words in end.timeline)]
    return "\n".join(lines)


def objections(cells: Sequence[Cell], planned: int) -> list[str]:
    """Say what keeps a run of so many planned cells from ending well: nothing, if the list is empty."""
    found = [line(cell) for cell in cells if not cell.good]
    if len(cells) < planned:
        found.append(f"Only {len(cells)} of {planned} cells were played.")
    return found + [
        f"{ms:g} ms, {ratio.path}: the console takes {100 * (ratio.ratio - 1):.1f} % longer than the hand-written page."
        for ms in delays(cells)
        for ratio in ratios([cell for cell in cells if cell.ms == ms])
        if ratio.is_slow
    ]


def text(cells: Sequence[Cell], chosen: Sequence[Kind], against: Sequence[str]) -> str:
    """Return the grids as text: who waits downwards, who comes across; then what is to be said against the run."""
    parts = []
    for ms in delays(cells):
        for subject in sorted({cell.subject for cell in cells}):
            here = [cell for cell in cells if (cell.ms, cell.subject) == (ms, subject)]
            parts.append(f"{subject}, {ms:g} ms one way at each site (cells: ms from click to open channel)")
            parts.append(_square(here, chosen))
            counts = Counter(cell.verdict for cell in here)
            parts.append("  ".join(f"{verdict.value} {counts[verdict]}" for verdict in Verdict))
        parts += [
            f"{ms:g} ms, {ratio.path}: console {ratio.console:.0f} ms, yardstick {ratio.yardstick:.0f} ms,"
            f" ratio {ratio.ratio:.3f} over {ratio.cells} cells"
            for ratio in ratios([cell for cell in cells if cell.ms == ms])
        ]
        parts += [
            f"{ms:g} ms, {one.path}, {one.subject}: relays made {one.made:g} a connection, held {one.held:g},"
            f" left behind by {one.left} of {one.cells} cells"
            for one in relays([cell for cell in cells if cell.ms == ms])
        ]
        parts += [
            f"{ms:g} ms, {one.path}, {one.subject}: best path {one.median:.0f} ms after the open channel, at most"
            f" {one.longest:.0f}, not within seconds in {one.never} of {one.cells} cells; over a relay before it for"
            f" {one.relayed:.0f} ms at most"
            for one in settlings([cell for cell in cells if cell.ms == ms])
        ]
    others = [cell for cell in cells if cell.is_special]
    parts += ["Special cases", *map(line, others)] if others else []
    parts += ["Not as expected", *against] if against else ["Everything as expected."]
    return "\n".join(parts)


def _square(cells: Sequence[Cell], chosen: Sequence[Kind]) -> str:
    by_pair = {(cell.left, cell.right): cell for cell in cells if not cell.is_special}
    width = max(len(kind.name) for kind in chosen)
    numbers = [f"{number:>7}" for number in range(1, len(chosen) + 1)]
    lines = [f"{'':{width + 3}}{''.join(numbers)}"]
    for number, left in enumerate(chosen, 1):
        marks = [_mark(by_pair.get((left.name, right.name))) for right in chosen]
        lines.append(f"{number:>2} {left.name:{width}}{''.join(f'{mark:>7}' for mark in marks)}")
    return "\n".join([*lines, "H host, D direct, R one relay, RR two; ? worse than expected, X failed"])


def _mark(cell: Cell | None) -> str:
    if not cell:
        return ""
    if cell.verdict is Verdict.FAILED or not cell.ends:
        return "X"
    return f"{cell.letter}{'?' if cell.verdict is Verdict.WORSE else ''}{cell.channel_ms or 0:.0f}"
