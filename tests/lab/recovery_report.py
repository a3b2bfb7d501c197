"""The results of the recovery bench: a table with its targets, and the tables of the document."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.recovery_rows import SILENT
from tests.lab.recovery_seen import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.recovery_rows import Row, Target
    from tests.lab.recovery_seen import Run, Seen

STALLED = 0.15  # seconds that a page did not get to run: what is measured then is the machine, not the page


_PICTURE = (0.15, 0.25)
"""Seconds that a picture may stand still for longer than messages: the median, and the 95th percentile."""

_GENERATIONS = (1, 2)
"""ICE restarts that an event may cost: the median, and at most."""

_LINE = "{:50} {:6} {:>4} {:>4}  {:>11} {:>11}  {:>11} {:>11}  {:>11}  {:>5} {:>6}  {:>16} {:>11}  {}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A row in one mode at one delay: all its runs, the console's and the yardstick's."""

    row: Row
    ms: float
    mode: Mode = Mode.NONE
    runs: Sequence[Run]
    beside: Sequence[Run]

    @property
    def target(self) -> Target | None:
        """The targets for the gaps."""
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
    def has_media(self) -> bool:
        """Whether there are pictures and sound that should have gone on."""
        return self.mode is Mode.CAMERA and self.row.shows

    @property
    def misses(self) -> list[str]:
        """The targets that were missed."""
        found = [] if self._is_quick([run.gap for run in self.runs], (0.0, 0.0)) else ["messages"]
        if self.has_media and not self._is_quick([run.picture for run in self.runs], _PICTURE):
            found.append("picture")
        generations = [run.generation for run in self.runs if run.ends]
        if any(percentile(generations, percent) > most for percent, most in zip((50, 100), _GENERATIONS, strict=True)):
            found.append("generations")
        return found

    def _is_quick(self, gaps: Sequence[float], more: tuple[float, float]) -> bool:
        if self.row.most is not None and percentile(gaps, 95) > self.row.most + more[1]:
            return False
        target = self.target
        if target is None:
            return True
        return percentile(gaps, 50) <= target.p50 + more[0] and percentile(gaps, 95) <= target.p95 + more[1]

    @property
    def good(self) -> bool:
        """Whether the bench passes with it."""
        return bool(self.runs) and not self.misses and not self.complaints


def complaints(row: Row, run: Run) -> list[str]:
    """Say what is wrong with a run, apart from how fast it was: only a silence beyond the row's bound is wrong."""
    if run.failure:
        return [f"not measured: {run.failure.splitlines()[0]}"]
    found = []
    if not run.back:
        found.append("never came back")
    elif run.gap > row.bound:
        found.append(f"silent for more than {row.bound:g} s")
    if run.dark:
        found.append("picture or sound never came back")
    elif run.back and row.shows and run.mode == Mode.CAMERA.value:
        gone = (("picture", run.picture), ("sound", run.sound))
        found += [f"no {what} for more than {row.bound:g} s" for what, seconds in gone if seconds > row.bound]
    found += account_complaints(row, run)
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
        elif row.within is not None and end.path_since > row.within:
            found.append(f"{end.path} path only after more than {row.within:g} s")
        # Where nothing happens, one gives up the relays that are not needed.
        if (row.restarts is True and not end.generation) or (row.restarts is False and end.generation > 1):
            found.append(f"generation {end.generation}")
        if row.restarts is False:
            found += _alarms(end)
        found += [
            problem for problem in end.problems if not any(re.search(pattern, problem) for pattern in row.problems)
        ]
    return list(dict.fromkeys(found))


def account_complaints(row: Row, run: Run) -> list[str]:
    """Say what is wrong with the account that the record gives of a run."""
    if not run.session:  # of the yardstick
        return []
    rules = {rule for rule, _ in run.account}
    told = [text for rule, text in run.account if rule == "outage"]
    unproven = [text for rule, text in run.account if rule in ("outage-left", "outage-open")]
    found = [f"the account lacks {rule}" for rule in sorted(row.says - rules)]
    if not rules & {"connected-direct", "connected-lan", "connected-relay"}:
        found.append("the account lacks how they connected")
    if row.restarts is False:
        return found + [f"the account has an outage: {text}" for text in told]
    how = {"direct": ", directly", "relay": rf", through .*turn[12]\.lab over {row.over}.*", "": ".*"}[
        "" if run.is_one_of_many else row.path
    ]
    cause = row.cause if _has_noticed(run) else f"({row.cause}|{SILENT})"
    if not told and any(re.match(f"{cause}; ", text) for text in unproven):
        return found  # messages flowed again, and the two hung up before that was proven
    expected = rf"{cause}; everything was back after [\d.]+ s{how}\."
    if told and not any(re.fullmatch(expected, text) for text in told):
        found.append(f"the account says: {' '.join(told)}")
    elif not told and row.restarts and not run.is_one_of_many:
        found.append("the account has no outage")
    elif not told and row.path == "direct" and "connected-relay" in rules and "became-direct" not in rules:
        found.append("the account does not say that the path became direct")
    return found


def _has_noticed(run: Run) -> bool:
    """Return whether a browser told its page that the network changed: a busy one may be late."""
    return any(
        what == "console: network" and "certain=True" in text and at > 0
        for end in run.ends
        for at, what, text in end.timeline
    )


def _alarms(end: Seen) -> list[str]:
    found = [f"suspected for {', '.join(end.suspicions)}"] if end.suspicions else []
    return found + [f"showed {state}" for _, state in end.states if state != "connected"]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent do not exceed (nearest rank); infinite for none."""
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * percent / 100), 1) - 1] if ranked else math.inf


def results(rows: Sequence[Row], runs: Sequence[Run]) -> list[Result]:
    """Group runs by row, mode and delay."""
    return [
        Result(
            row=row,
            ms=ms,
            mode=Mode(mode),
            runs=[run for run in runs if (run.row, run.ms, run.mode, run.subject) == (row.name, ms, mode, "console")],
            beside=[
                run for run in runs if (run.row, run.ms, run.mode, run.subject) == (row.name, ms, mode, "yardstick")
            ],
        )
        for row in rows
        for mode in dict.fromkeys(run.mode for run in runs)
        if Mode(mode) in row.modes
        for ms in dict.fromkeys(run.ms for run in runs)
    ]


def line(run: Run) -> str:
    """Return a run as one line."""
    words = [f"{run.subject} {run.row} {run.mode} {run.ms:g} ms #{run.number}: "]
    if run.failure:
        return words[0] + f"not measured: {' '.join(run.failure.split())[:300]}"
    words.append(f"{_seconds(run.gap)} s")
    if run.mode == Mode.CAMERA.value:
        words.append(f", picture {_seconds(run.picture)}, sound {_seconds(run.sound)}")
    if run.relays:
        words.append(f", {run.relays} relays made")
    if run.took > 0.1:
        words.append(f", the event took {run.took:.2f} s")
    for end in run.ends:
        evidence = " ".join(end.suspicions) or "none"
        words.append(f" | {end.host} {evidence} -> {' '.join(end.attempts) or 'none'}, generation {end.generation}")
        if end.frame_rate:
            words.append(f", {end.frame_rate:g} frames a second")
        if end.stall >= STALLED:
            words.append(f", page stalled {end.stall:.2f} s")
        for what, count in (("lost", end.lost), ("doubled", end.doubled), ("disordered", end.disordered)):
            if count:
                words.append(f", {count} {what}")
    return "".join(words)


def table(found: Sequence[Result]) -> str:
    """Return the table: gaps in seconds, with the targets beside them."""
    names = ("event", "mode", "ms", "runs", "messages", "wanted", "picture", "wanted", "sound", "gen.", "relays")
    head = _LINE.format(*names, "calm runs", "yardstick", "")
    lines = ["", head, "-" * len(head)]
    for result in found:
        beside = [run.gap for run in result.beside if not run.failure]
        generations = [run.generation for run in result.runs if run.ends]
        lines.append(
            _LINE.format(
                result.row.title,
                result.mode.value,
                f"{result.ms:g}",
                len(result.runs),
                _pair(result.gaps),
                _wanted(result, (0.0, 0.0)),
                _pair([run.picture for run in result.runs]) if result.has_media else "",
                _wanted(result, _PICTURE) if result.has_media else "",
                _pair([run.sound for run in result.runs]) if result.has_media else "",
                f"{percentile(generations, 50):g} / {percentile(generations, 100):g}",
                f"{percentile([run.relays for run in result.runs if run.ends], 50):g}",
                f"{_pair(result.calm)} ({len(result.calm)})" if result.calm else "",
                " ".join(map(_seconds, sorted(beside))),
                f"MISSED: {', '.join(result.misses)}" if result.misses else "" if result.good else "WRONG",
            ).rstrip()
        )
        lines += [f"    {complaint}" for complaint in result.complaints]
    lines += [
        "",
        "All p50 / p95 in seconds. Messages: the longest silence at either end, of what the person sends, 20 a second",
        "each way. Picture and sound: how long there was none, at most, at either end. gen.: restarts of ICE, median",
        "and most. relays: TURN allocations made since the event, median.",
        f"Calm runs: those in which neither page was kept from running for {STALLED:g} s. never: not within 45 s.",
    ]
    return "\n".join(lines)


def markdown(found: Sequence[Result]) -> str:
    """Return the tables of `docs/recovery.md`, one for each delay: a line for a row, both modes in it."""
    lines = []
    for ms in dict.fromkeys(result.ms for result in found):
        names = (
            "event",
            "runs",
            "messages",
            "with cameras",
            "wanted",
            "picture",
            "wanted",
            "sound",
            "restarts",
            "relays",
            "plain",
        )
        lines += [f"{ms:g} ms each way at each site:", "", _cells(names), _cells(["---"] * len(names))]
        for name in dict.fromkeys(result.row.name for result in found):
            modes = {result.mode: result for result in found if (result.row.name, result.ms) == (name, ms)}
            if modes:
                lines.append(_cells(_both(modes.get(Mode.NONE), modes.get(Mode.CAMERA))))
        lines.append("")
    return "\n".join(lines)


def _both(none: Result | None, camera: Result | None) -> list[str]:
    either = [result for result in (none, camera) if result]
    generations = [[run.generation for run in result.runs if run.ends] for result in either]
    relays = [[run.relays for run in result.runs if run.ends] for result in either]
    shown = camera if camera and camera.has_media else None
    return [
        either[0].row.title,
        ", ".join(str(len(result.runs)) for result in either),
        _pair(none.gaps) if none else "",
        _pair(camera.gaps) if camera else "",
        _wanted(either[0], (0.0, 0.0)),
        _pair([run.picture for run in shown.runs]) if shown else "",
        _wanted(shown, _PICTURE) if shown else "",
        _pair([run.sound for run in shown.runs]) if shown else "",
        ", ".join(f"{percentile(of_mode, 50):g} / {percentile(of_mode, 100):g}" for of_mode in generations),
        ", ".join(f"{percentile(of_mode, 50):g}" for of_mode in relays),
        " ".join(_seconds(run.gap) for run in none.beside if not run.failure) if none else "",
    ]


def _cells(values: Sequence[str]) -> str:
    return f"| {' | '.join(values)} |"


def origin(runs: Sequence[Run]) -> str:
    """Say how many runs there are, of which version of the console, and how busy the machine was."""
    versions = ", ".join(f"{count} at {version}" for version, count in Counter(run.version for run in runs).items())
    loads = sorted(run.load for run in runs)
    return f"{versions} at a load of {loads[0]:g} to {loads[-1]:g}" if runs else "no run"


def _wanted(result: Result, more: tuple[float, float]) -> str:
    if result.row.most is not None:
        return f"< {result.row.most + more[1]:.2f}"
    target = result.target
    return f"{target.p50 + more[0]:.2f} / {target.p95 + more[1]:.2f}" if target else ""


def _pair(values: Sequence[float]) -> str:
    return f"{_seconds(percentile(values, 50))} / {_seconds(percentile(values, 95))}"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "never"
