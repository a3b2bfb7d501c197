"""`python -m tests.lab`: every NAT kind against every other, with real browsers. `make lab` runs it."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.lab import kinds, report, servers
from tests.lab.command import add_arguments, numbers, say, why_not
from tests.lab.grid import Snap, Stage, half, specials, square
from tests.lab.lab import Lab
from tests.lab.recorded import keep

if TYPE_CHECKING:
    from tests.lab.cell import Cell

_KINDS = {kind.name: kind for kind in kinds.ALL}


def main() -> int:
    """Run the grid; return 0 if all is as expected. If not, it is said why."""
    options = _options()
    if code := why_not(options):
        return code
    begin = time.monotonic()
    cells: list[Cell] = []
    cases = (half if options.half else square)(options.kinds) + ([] if options.plain else specials(options.kinds))
    if options.rest:
        cases = [replace(case, rest=seconds) for case in cases if not case.camera for seconds in options.rest]
    with contextlib.ExitStack() as stack:
        chromium = stack.enter_context(sync_playwright()).chromium
        lab = stack.enter_context(Lab())
        config = stack.enter_context(servers.configuration(lab))
        subjects = [stack.enter_context(servers.console(lab, config))]
        if options.side_by_side:
            subjects.append(stack.enter_context(servers.yardstick(lab, config)))
        # The yardstick has no camera: it would not be the same measurement.
        playing = {case: subjects[:1] if case.camera else subjects for case in cases}
        # Whoever stops a run sees what it has measured, and finds nothing left of it.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        stack.enter_context(contextlib.suppress(KeyboardInterrupt))
        for ms in options.delay:
            with Stage(lab, chromium, ms=ms) as stage:
                for number, case in enumerate(cases, 1):
                    for cell in stage.play(case, playing[case], camera=options.camera, snap=Snap(options.snap)):
                        cells.append(cell)
                        if options.record and cell.session and (journal := subjects[0].journal):
                            keep(
                                journal,
                                cell.session,
                                options.record / f"{cell.name.replace(', ', '-').replace(' ', '-')}.jsonl",
                            )
                        say(f"[{ms:g} ms {number}/{len(cases)}] {report.line(cell)}")
    run = report.Run(
        title="ICE Console: every NAT against every other",
        when=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        commit=_output("git", "-C", str(servers.ROOT), "describe", "--always", "--dirty"),
        chromium=_output("chromium", "--version"),
        snap=options.snap,
        kinds=options.kinds,
        cells=cells,
    )
    page = report.write(run, options.report)
    against = report.objections(cells, planned=len(options.delay) * sum(map(len, playing.values())))
    say(report.text(cells, options.kinds, against))
    say(f"{len(cells)} cells in {time.monotonic() - begin:.0f} s. Report: {page}")
    return 1 if against else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument(
        "--kinds", type=_chosen, default=kinds.ALL, metavar="A,B", help="only these: " + ", ".join(_KINDS)
    )
    add_arguments(parser)
    parser.add_argument("--side-by-side", action="store_true", help="the hand-written page as well, cell by cell")
    parser.add_argument("--camera", action="store_true", help="the console with its camera on")
    parser.add_argument(
        "--snap",
        choices=[snap.value for snap in Snap],
        default=Snap.OFF.value,
        help="which ends know SCTP parameters in SDP, Chromium's WebRtcSctpSnap (one: who waits; default: %(default)s)",
    )
    parser.add_argument("--half", action="store_true", help="each pair once, not once in each role")
    parser.add_argument("--plain", action="store_true", help="leave out the special cases")
    parser.add_argument(
        "--record", type=Path, metavar="DIR", help="write what was recorded of each cell to DIR/CELL.jsonl"
    )
    parser.add_argument("--report", type=Path, default=Path("build/lab"), metavar="DIR", help="(default: %(default)s)")
    parser.add_argument(
        "--rest",
        type=numbers,
        default=[],
        metavar="S,S",
        help="fresh pages, clicked so many seconds after they are ready (0: at once), instead of pages used before",
    )
    options = parser.parse_args()
    if options.camera and (options.side_by_side or options.rest):
        parser.error("the yardstick has no camera, and a fresh page has it off")
    return options


def _chosen(names: str) -> list[kinds.Kind]:
    try:
        return [_KINDS[name] for name in names.split(",")]
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"there is no kind {error}") from None


def _output(*command: str) -> str:
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
