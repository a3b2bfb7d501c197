"""`python -m tests.lab.recovery`: how long a session is silent when its network changes. `make bench-recovery` runs it.

The console first, run after run; beside it the hand-written page, which restarts when `connectionState` is `failed`.
Each run is added to a file, and those that are there count: so a long series is made in slices.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.lab import recovery_events, recovery_file, recovery_healthy, recovery_report, servers
from tests.lab.command import add_arguments, say, why_not
from tests.lab.delay import Delay
from tests.lab.lab import Lab
from tests.lab.plumbing import run as run_command
from tests.lab.recorded import keep, recorded_as
from tests.lab.recovery_seen import Mode
from tests.lab.recovery_server import STANDBY_PORT, ConsoleServer
from tests.lab.recovery_stage import RecoveryStage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.lab.recovery_rows import Row
    from tests.lab.recovery_seen import Run

_EVENTS = {row.name: row for row in recovery_events.events()}
_FALSE_ALARMS = [row.name for row in recovery_healthy.false_alarms(0)]


def main() -> int:
    """Measure; return 0 if all targets are met and nothing was lost."""
    options = _options()
    rows = _EVENTS | {row.name: row for row in recovery_healthy.false_alarms(options.healthy)}
    chosen = [rows[name] for name in options.rows]
    runs = recovery_file.read(options.json)
    if not options.report:
        if code := why_not(options):
            return code
        _measure(chosen, runs, options)
    runs = [run for run in runs if run.row in options.rows]
    results = recovery_report.results(chosen, runs)
    measured = [result for result in results if result.runs or result.beside]
    text = options.json.with_suffix(".md")
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text(recovery_report.markdown(measured))
    say(recovery_report.table(measured))
    say(f"{recovery_report.origin(runs)}. All of it: {options.json}; the tables of the document: {text}")
    if missing := len(results) - len(measured):
        say(f"{missing} of {len(results)} lines are still to be measured.")
    return 0 if all(result.good for result in results) else 1


def _measure(chosen: Sequence[Row], runs: list[Run], options: argparse.Namespace) -> None:
    """Add to `runs`, and to the file, what is missing there."""
    begin = time.monotonic()
    version = run_command(["git", "describe", "--always", "--dirty"]).strip()
    if runs:
        say(f"{options.json} has {recovery_report.origin(runs)}: they count.")
    with contextlib.ExitStack() as stack:
        chromium = stack.enter_context(sync_playwright()).chromium
        lab = stack.enter_context(Lab())
        config = stack.enter_context(servers.configuration(lab))
        server = stack.enter_context(ConsoleServer(lab, config))
        with_standby = stack.enter_context(servers.configuration(lab, standby=True))
        standby = stack.enter_context(ConsoleServer(lab, with_standby, port=STANDBY_PORT))
        beside = stack.enter_context(servers.yardstick(lab, config)) if options.yardstick_runs else None
        stage = stack.enter_context(RecoveryStage(lab, chromium, server))
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):  # what is measured by then is reported
            for ms in options.delay:
                stage.shape(Delay(ms=ms))
                for row, subject, mode, numbers in plan(chosen, runs, ms, options):
                    of_console = standby.served if row.standby else server.served
                    served = of_console if subject == "console" else beside
                    assert served
                    found = stage.series(row, served, numbers=numbers, mode=mode)
                    for run in found:
                        run.at, run.load, run.version = round(time.time(), 1), round(os.getloadavg()[0], 1), version
                        clock = f"{time.monotonic() - begin:5.0f} s, load {run.load:.0f}"
                        say(f"[{clock}] {recovery_report.line(run)}")
                    runs += found
                    recovery_file.add(options.json, found)
                    if options.record and served.journal and found[-1].session:
                        keep(served.journal, found[-1].session, options.record / f"{recorded_as(row.name, mode)}.jsonl")


def plan(
    rows: Sequence[Row], runs: Sequence[Run], ms: float, options: argparse.Namespace
) -> Iterator[tuple[Row, str, Mode, range]]:
    """Say what is run, one row after the other: of many runs each row is measured at several different times.

    `runs` are those that there are; they become more meanwhile.
    """
    is_missing = True
    while is_missing:
        is_missing = False
        for row in rows:
            wanted = options.runs if row.name in _EVENTS else min(options.runs, 1)
            series = [("console", mode, wanted, options.in_a_row) for mode in options.modes if mode in row.modes]
            if row.of_yardstick:
                series.append(("yardstick", Mode.NONE, options.yardstick_runs, 1))
            for subject, mode, most, at_once in series:
                key = (row.name, subject, ms, mode.value)
                there = sum((run.row, run.subject, run.ms, run.mode) == key for run in runs)
                if there < most:
                    is_missing = True
                    yield row, subject, mode, range(there, min(most, there + (at_once if row.repeats else 1)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.recovery", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="of each row (default: %(default)s)")
    parser.add_argument(
        "--yardstick-runs", type=int, default=2, metavar="N", help="of the hand-written page (default: %(default)s)"
    )
    add_arguments(parser)
    parser.add_argument(
        "--rows",
        type=_rows,
        default=[*_EVENTS, *_FALSE_ALARMS],
        metavar="A,B",
        help="only these: " + ", ".join([*_EVENTS, *_FALSE_ALARMS]),
    )
    parser.add_argument(
        "--modes",
        type=_modes,
        default=list(Mode),
        metavar="A,B",
        help="none: no permission; camera: allowed, and on at both ends (default: both, one after the other)",
    )
    parser.add_argument(
        "--healthy", type=float, default=600, metavar="S", help="seconds of a false-alarm row (default: %(default)s)"
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="DIR",
        help="write what was recorded of each row's latest run to DIR/ROW.jsonl, with cameras to DIR/ROW-camera.jsonl",
    )
    parser.add_argument(
        "--in-a-row",
        type=int,
        default=5,
        metavar="N",
        help="how often at most it happens to one session, if all is as before in between (default: %(default)s)",
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=Path("build/recovery.jsonl"),
        metavar="FILE",
        help="add the runs to FILE, and count those that are there (default: %(default)s)",
    )
    parser.add_argument("--report", action="store_true", help="only report what is in the file")
    return parser.parse_args()


def _rows(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - {*_EVENTS, *_FALSE_ALARMS}:
        raise argparse.ArgumentTypeError(f"there is no row {', '.join(sorted(unknown))}")
    return names


def _modes(text: str) -> list[Mode]:
    return [Mode(name) for name in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
