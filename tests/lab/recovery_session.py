"""Two pages in one session that write to each other, and what is written down of each event that they live through."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.lab.browser import hang_up
from tests.lab.cell import wait_until
from tests.lab.recorded import account_of
from tests.lab.recovery_seen import EVERY, WARM, Mode, Run, seen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.lab.browser import End
    from tests.lab.recovery_rows import Row
    from tests.lab.recovery_scene import Scene
    from tests.lab.servers import Served

MEETING = 60_000
"""Milliseconds for two pages to meet."""

_PATIENCE = 45.0  # seconds for messages to come again: Chromium gives a path up after some 15
_WATCHED = 2.0  # seconds in which nothing changes or comes late, until an event is over: what breaks late is seen, too
_UNEVEN_FOR = 10.0  # seconds after an event for which what still changes is waited for
_SETTLING = 15.0  # seconds for a session to become again what it was
_BEFORE = 1.0  # seconds of messages before an event, at least
_LATE = 1.0  # seconds before something happens at which a silence may seem to have begun
_TELLING = 3.0  # seconds for the journal's last lines


@dataclass(slots=True)
class Laps:
    """Where the time of a run goes."""

    spent: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def lap(self, what: str) -> None:
        """Count the time since the last lap for `what`."""
        now = time.monotonic()
        self.spent[what] = round(self.spent.get(what, 0.0) + now - self._since, 2)
        self._since = now

    def take(self) -> dict[str, float]:
        """Return what was spent, and begin anew."""
        spent, self.spent = self.spent, {}
        return spent


@dataclass(kw_only=True)
class _Before:
    """What is known of both ends when an event begins."""

    standbys: list[int]
    concealed: list[float]
    generations: list[int]
    relays: int


@dataclass(kw_only=True)
class _Event:
    """What was written down of an event. `begun`, `counted` and `over` are Unix seconds."""

    run: Run
    before: _Before
    begun: float
    counted: float | None = None
    over: float = 0.0
    sent: list[int] = field(default_factory=list)
    pumps: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    concealed: list[float] = field(default_factory=list)
    problems: list[list[str]] = field(default_factory=list)


class Session:
    """One session."""

    def __init__(self, name: str, served: Served, scene: Scene, mode: Mode, laps: Laps) -> None:
        self.name = name
        self._served = served
        self._scene = scene
        self._ends = scene.ends
        self._mode = mode
        self._laps = laps
        self._ready = len(scene.undo)
        self._paths: list[str] = []
        self._events: list[_Event] = []

    @property
    def played(self) -> int:
        """How many events are over."""
        return len(self._events)

    def begin(self) -> None:
        """Let the two meet, and see and hear each other if they have cameras."""
        first, second = self._ends
        with_camera = self._mode is Mode.CAMERA
        for end in self._ends:
            end.page.bring_to_front()
            end.begin(self.name, camera=with_camera, microphone=with_camera)
        first.connect()
        expect(first.page.locator("body")).to_have_attribute("data-state", "waiting", timeout=MEETING)
        second.connect()
        for end in self._ends:
            expect(end.page.locator("body")).to_have_attribute("data-state", "connected", timeout=MEETING)
        self._laps.lap("meet")

    def settle(self, row: Row) -> bool:
        """Undo what has happened, and write messages for a while; return whether all is as it was at the beginning."""
        self._scene.put_back(but=self._ready)
        self._write()
        if self._mode is Mode.CAMERA and not _expect_media(self._ends, 0, MEETING / 1000):
            raise AssertionError("picture and sound did not come")
        begun = time.time()
        until = begun + (_BEFORE if self._paths else WARM)
        while True:
            _expect_messages(self._ends, until, MEETING / 1000)
            steady = self._changed() + WARM
            paths = [end.page.evaluate("document.body.dataset.path") for end in self._ends]
            if not self._paths or (paths == self._paths and steady <= until):
                break
            if until - begun > _SETTLING:
                return False
            until = max(steady, time.time() + EVERY / 1000)
        if row.standby:
            wait_until(lambda: all(end.ask("standbys") for end in self._ends), MEETING / 1000)
        self._paths = paths
        self._laps.lap("settle")
        return True

    def play(self, row: Row, run: Run) -> None:
        """Let it happen, and write down what comes of it."""
        before = self._before()
        event = _Event(run=run, before=before, begun=time.time())
        event.counted = row.act(self._scene)
        done = time.time()
        run.took = round(done - event.begun - row.seconds, 3)
        self._laps.lap("event")
        self._watch(row, run, done)
        self._laps.lap("watch")
        self._write_down(event)
        run.relays = self._relays_made() - before.relays
        self._laps.lap("report")
        self._events.append(event)
        run.spent = self._laps.take()

    def end(self) -> None:
        """Let both hang up."""
        hang_up(self._ends)

    def runs(self) -> list[Run]:
        """Return what came of each event, with what the record says of it."""
        if not self._events:
            return []
        journals = _journals(self._served, self.name)
        account = account_of(self._served.journal, self.name) if self._served.journal else None
        told = account.sentences if account else []
        # Of a page that stood still, an outage begins with the last that was heard, long before the event.
        ends = {one.began: one.ended or one.began for one in account.outages} if account else {}
        for event in self._events:
            run = event.run
            run.ends = tuple(
                seen(
                    end,
                    *(event.pumps[side], event.reports[side], journals[side], event.sent[1 - side]),
                    begun=event.begun,
                    counted=event.counted,
                    over=event.over,
                    back=run.back,
                    concealed=event.concealed[side] - event.before.concealed[side],
                    generation=event.before.generations[side],
                    standbys=event.before.standbys[side],
                    problems=event.problems[side],
                )
                for side, end in enumerate(self._ends)
            )
            run.session = self.name if self._served.journal else ""
            run.is_one_of_many = self.played > 1
            # What a slow machine suspected, and withdrew, before is not of the event, nor is what its undoing brought.
            since, until = event.begun - _LATE, event.over - _LATE if event is not self._events[-1] else inf
            run.account = [
                (one.rule, one.text) for one in told if one.at not in ends or (since < ends[one.at] and one.at < until)
            ]
        self._laps.lap("record")
        self._events[-1].run.spent |= self._laps.take()
        return [event.run for event in self._events]

    def _write(self) -> None:
        """Write messages from now on, and forget earlier ones."""
        for end in self._ends:  # both, before either writes
            end.page.evaluate("pump.forget()")
            end.take_problems()
        for who, end in zip("ab", self._ends, strict=True):
            end.page.evaluate(f"pump.start('{who}', {EVERY})")

    def _before(self) -> _Before:
        return _Before(
            standbys=[end.ask("standbys") for end in self._ends],
            concealed=[end.page.evaluate("pump.concealed()") for end in self._ends],
            generations=[end.page.evaluate("Number(document.body.dataset.iceGeneration ?? 0)") for end in self._ends],
            relays=self._relays_made(),
        )

    def _watch(self, row: Row, run: Run, done: float) -> None:
        """Wait until both are back and nothing has changed or come late for a while: what breaks late is seen, too."""
        until = done + _WATCHED
        if row.within is not None:
            wait_until(self._is_on(row.path), row.within + 1)
            until = max(until, time.time())
        while True:
            run.back = _expect_messages(self._ends, until, _PATIENCE)
            steady = self._changed() + _WATCHED
            if not run.back or steady <= until or until - done > _UNEVEN_FOR:
                break
            until = steady
        if self._mode is Mode.CAMERA and run.back and not _expect_media(self._ends, until, _PATIENCE):
            run.dark = [end.page.evaluate("pump.picture()") for end in self._ends]

    def _write_down(self, event: _Event) -> None:
        ends = self._ends
        event.sent = [end.page.evaluate("pump.stop()") for end in ends]
        deadline = time.time() + (_PATIENCE if event.run.back else 0)
        for end, count in zip(ends, reversed(event.sent), strict=True):
            end.page.evaluate(f"pump.complete({count}, {max(deadline - time.time(), 0) * 1000})")
        event.over = time.time()  # on a busy machine the reports take a second, in which nobody looks at the picture
        event.pumps = [end.page.evaluate("pump.report()") for end in ends]
        event.reports = [end.ask("report") for end in ends]
        event.concealed = [end.page.evaluate("pump.concealed()") for end in ends]
        event.problems = [end.take_problems() for end in ends]

    def _changed(self) -> float:
        """Return when something last changed at either end, or came late."""
        return max(float(end.page.evaluate("pump.changed()")) for end in self._ends) / 1000

    def _is_on(self, path: str) -> Callable[[], bool]:
        return lambda: all(end.page.evaluate("document.body.dataset.path") == path for end in self._ends)

    def _relays_made(self) -> int:
        lab = self._scene.lab
        return sum(server.allocations(self.name).made for server in (lab.turn1, lab.turn2))


def _expect_messages(ends: Sequence[End], after: float, patience: float) -> bool:
    """Wait until both show a message that was sent after a Unix time (seconds)."""
    deadline = after + patience
    heard = [end.page.evaluate(f"pump.heard({after * 1000}, {max(deadline - time.time(), 0) * 1000})") for end in ends]
    return all(heard)


def _expect_media(ends: Sequence[End], after: float, patience: float) -> bool:
    """Wait until both see and hear what is newer than a Unix time (seconds)."""
    deadline = time.time() + patience
    found = [end.page.evaluate(f"pump.shows({after * 1000}, {max(deadline - time.time(), 0) * 1000})") for end in ends]
    return all(found)


def _journals(served: Served, session: str) -> list[list[dict[str, Any]]]:
    """Return what each end told the console's server, the first one's first; nothing of the yardstick."""
    if not served.journal:
        return [[], []]

    def told() -> bool:
        # The last that a page says of a session is that it hung up.
        return sum((entry["event"], entry["data"]) == ("session", {}) for entry in served.entries(session)) >= 2

    with contextlib.suppress(ValueError):  # a line that is being written
        wait_until(told, _TELLING)
    entries = served.entries(session)
    begun = {e["participant"]: e["at"] for e in reversed(entries) if e["event"] == "session" and e["number"]}
    order = sorted(begun, key=begun.__getitem__)[:2]
    journals = [[e for e in entries if e["participant"] == who] for who in order]
    return [*journals, [], []][:2]
