"""What the runs of the recovery bench come to: a table with its targets, and all of it as JSON."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.lab.recovery_rows import Row, Target
    from tests.lab.recovery_stage import Run

STALLED = 0.15  # seconds that a page did not get to run: what is measured meanwhile is the machine


_LINE = "{:50} {:>5} {:>4} {:>6} {:>6}  {:>12}  {:>17} {:>16}  {}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A row at one delay: all its runs, the console's and the yardstick's."""

    row: Row
    ms: float
    runs: Sequence[Run]
    beside: Sequence[Run]

    @property
    def target(self) -> Target | None:
        """What the gaps are held against."""
        return self.row.targets.get(self.ms)

    @property
    def gaps(self) -> list[float]:
        """Of the console, shortest first."""
        return sorted(run.gap for run in self.runs)

    @property
    def calm(self) -> list[float]:
        """The gaps of those runs in which the machine let both pages run."""
        return sorted(run.gap for run in self.runs if run.ends and max(end.stall for end in run.ends) < STALLED)

    @property
    def complaints(self) -> list[str]:
        """What is wrong with it, apart from how fast it was."""
        counted = Counter(complaint for run in self.runs for complaint in complaints(self.row, run))
        return [f"{what} ({times} of {len(self.runs)})" for what, times in counted.items()]

    @property
    def is_fast(self) -> bool:
        """Whether it is as fast as was asked for."""
        if self.row.most is not None and percentile(self.gaps, 95) > self.row.most:
            return False
        target = self.target
        if target is None:
            return True
        return percentile(self.gaps, 50) <= target.p50 and percentile(self.gaps, 95) <= target.p95

    @property
    def good(self) -> bool:
        """Whether a bench may end well with it."""
        return bool(self.runs) and self.is_fast and not self.complaints


def complaints(row: Row, run: Run) -> list[str]:
    """Say what is wrong with a run, apart from how fast it was: only a silence beyond the row's bound is wrong."""
    if run.failure:
        return [f"not measured: {run.failure.splitlines()[0]}"]
    found = []
    if not run.back:
        found.append("never came back")
    elif run.gap > row.bound:
        found.append(f"silent for more than {row.bound:g} s")
    for end in run.ends:
        found += [f"{what}" for what, count in (("lost", end.lost), ("doubled", end.doubled)) if count]
        if end.disordered:
            found.append("out of order")
        if end.connections != 1:
            found.append(f"{end.connections} connections")
        if end.handshakes != 1:
            found.append(f"{end.handshakes} DTLS handshakes")
        if end.standbys != int(row.standby):
            found.append(f"{end.standbys} standbys")
        if end.state != "connected":
            found.append(f"{end.state} at the end")
        if row.path and end.path != row.path:
            found.append(f"{end.path or 'no'} path at the end")
        if row.restarts != (end.generation > 0):
            found.append(f"generation {end.generation}")
        if not row.restarts and end.suspicions:
            found.append(f"suspected for {', '.join(end.suspicions)}")
        found += [
            problem for problem in end.problems if not any(re.search(pattern, problem) for pattern in row.problems)
        ]
    return list(dict.fromkeys(found))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent do not exceed (nearest rank); infinite for none."""
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * percent / 100), 1) - 1] if ranked else math.inf


def results(rows: Sequence[Row], runs: Sequence[Run]) -> list[Result]:
    """Put runs together."""
    return [
        Result(
            row=row,
            ms=ms,
            runs=[run for run in runs if (run.row, run.ms, run.subject) == (row.name, ms, "console")],
            beside=[run for run in runs if (run.row, run.ms, run.subject) == (row.name, ms, "yardstick")],
        )
        for row in rows
        for ms in dict.fromkeys(run.ms for run in runs)
    ]


def line(run: Run) -> str:
    """Return a run as one line."""
    words = [f"{run.subject} {run.row} {run.ms:g} ms #{run.number}: "]
    if run.failure:
        return words[0] + f"not measured: {' '.join(run.failure.split())[:300]}"
    words.append(f"{_seconds(run.gap)} s")
    if run.took > 0.1:
        words.append(f", the event took {run.took:.2f} s")
    for end in run.ends:
        evidence = " ".join(end.suspicions) or "none"
        words.append(f" | {end.host} {evidence} -> {' '.join(end.attempts) or 'none'}, generation {end.generation}")
        if end.stall >= STALLED:
            words.append(f", page stalled {end.stall:.2f} s")
        for what, count in (("lost", end.lost), ("doubled", end.doubled), ("disordered", end.disordered)):
            if count:
                words.append(f", {count} {what}")
    return "".join(words)


def table(found: Sequence[Result]) -> str:
    """Return the table: gaps in seconds, with the targets beside them."""
    names = ("event", "delay", "runs", "p50", "p95", "target", "calm runs", "yardstick")
    head = _LINE.format(*names, "")
    lines = ["", head, "-" * len(head)]
    for result in found:
        target = f"{result.target.p50:.2f} / {result.target.p95:.2f}" if result.target else ""
        if result.row.most is not None:
            target = f"< {result.row.most:.2f}"
        beside = [run.gap for run in result.beside if not run.failure]
        lines.append(
            _LINE.format(
                result.row.title,
                f"{result.ms:g}ms",
                len(result.runs),
                _seconds(percentile(result.gaps, 50)),
                _seconds(percentile(result.gaps, 95)),
                target,
                f"{_pair(result.calm)} ({len(result.calm)})" if result.calm else "",
                " ".join(map(_seconds, sorted(beside))),
                "" if result.good else "WRONG" if result.is_fast else "MISSED",
            ).rstrip()
        )
        lines += [f"    {complaint}" for complaint in result.complaints]
    lines += [
        "",
        "Gap: the longest silence at either end, of messages that the person sends, 20 a second each way, in seconds.",
        f"Calm runs: those in which neither page was kept from running for {STALLED:g} s. never: not within 45 s.",
    ]
    return "\n".join(lines)


def write(found: Sequence[Result], runs: Sequence[Run], file: Path) -> Path:
    """Write all of it down."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "row": result.row.name,
            "title": result.row.title,
            "delay_ms": result.ms,
            "p50": _finite(percentile(result.gaps, 50)),
            "p95": _finite(percentile(result.gaps, 95)),
            "target": {"p50": result.target.p50, "p95": result.target.p95} if result.target else None,
            "yardstick": [_finite(run.gap) for run in result.beside],
            "complaints": result.complaints,
            "good": result.good,
        }
        for result in found
    ]
    file.write_text(json.dumps({"rows": rows, "runs": [run.to_json() for run in runs]}, allow_nan=False) + "\n")
    return file


def _pair(values: Sequence[float]) -> str:
    return f"{_seconds(percentile(values, 50))} / {_seconds(percentile(values, 95))}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _seconds(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "never"
