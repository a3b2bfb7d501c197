"""`python -m tests.lab.recovery`: how long a session is silent when its network changes. `make bench-recovery` runs it.

The console first, run after run; beside it the hand-written page, which restarts when `connectionState` is `failed`.
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

from tests.lab import recovery_events, recovery_healthy, recovery_report, servers
from tests.lab.command import add_arguments, say, why_not
from tests.lab.delay import Delay
from tests.lab.lab import Lab
from tests.lab.recorded import keep
from tests.lab.recovery_seen import Mode, Run
from tests.lab.recovery_server import STANDBY_PORT, ConsoleServer
from tests.lab.recovery_stage import RecoveryStage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.lab.recovery_rows import Row
    from tests.lab.servers import Served

_EVENTS = {row.name: row for row in recovery_events.events()}
_FALSE_ALARMS = [row.name for row in recovery_healthy.false_alarms(0)]


def main() -> int:
    """Measure; return 0 if all targets are met and nothing was lost."""
    options = _options()
    if code := why_not(options):
        return code
    begin = time.monotonic()
    rows = _EVENTS | {row.name: row for row in recovery_healthy.false_alarms(options.healthy)}
    chosen = [rows[name] for name in options.rows]
    runs: list[Run] = []
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
                for row, served, mode, number in _plan(chosen, server.served, standby.served, beside, options):
                    run = stage.play(row, served, number=number, mode=mode)
                    runs.append(run)
                    if options.record and served.journal and run.session:
                        keep(served.journal, run.session, options.record / f"{row.name}.jsonl")
                    clock = f"{time.monotonic() - begin:5.0f} s, load {os.getloadavg()[0]:.0f}"
                    say(f"[{clock}] {recovery_report.line(run)}")
        results = recovery_report.results(chosen, runs)
        file = recovery_report.write(results, runs, options.json)
        say(recovery_report.table(results))
        say(f"{len(runs)} runs in {time.monotonic() - begin:.0f} s. All of it: {file}")
    return 0 if all(result.good for result in results) else 1


def _plan(
    rows: Sequence[Row], console: Served, standby: Served, yardstick: Served | None, options: argparse.Namespace
) -> Iterator[tuple[Row, Served, Mode, int]]:
    """Say what is run, one row after the other: of ten runs each row is measured at ten different times."""
    for number in range(max(options.runs, options.yardstick_runs)):
        for row in rows:
            is_event = row.name in _EVENTS
            if number < (options.runs if is_event else 1):
                for mode in [each for each in options.modes if each in row.modes]:
                    yield row, standby if row.standby else console, mode, number
            if yardstick and row.of_yardstick and number < options.yardstick_runs:
                yield row, yardstick, Mode.NONE, number


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
        "--record", type=Path, metavar="DIR", help="write what was recorded of each row's latest run to DIR/ROW.jsonl"
    )
    parser.add_argument(
        "--json", type=Path, default=Path("build/recovery.json"), metavar="FILE", help="(default: %(default)s)"
    )
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
