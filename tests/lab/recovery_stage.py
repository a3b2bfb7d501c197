"""One run: two pages meet, write to each other, something happens, and everything that came of it is written down."""

from __future__ import annotations

import contextlib
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from playwright.sync_api import Error as BrowserError
from playwright.sync_api import expect

from tests.lab.browser import Fleet, hang_up
from tests.lab.cell import wait_until
from tests.lab.delay import Delay
from tests.lab.recorded import account_of
from tests.lab.recovery_scene import PLACES, Scene
from tests.lab.recovery_seen import EVERY, WARM, Mode, Run, seen
from tests.lab.sites import Site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import BrowserType

    from tests.lab.browser import End
    from tests.lab.lab import Lab
    from tests.lab.recovery_rows import Row
    from tests.lab.recovery_server import ConsoleServer
    from tests.lab.servers import Served
    from tests.lab.sites import Host

_PUMP = Path(__file__).with_suffix("").with_name("recovery.js").read_text()
WATCHED = 4.0  # seconds of messages after the event: what breaks late is seen as well
_PATIENCE = 45.0  # seconds for messages to come again: Chromium gives a path up after some 15
_MEETING = 30_000  # ms
_LOADS = 2  # more, if the first one fails
_GENERATION = "Number(document.body.dataset.iceGeneration ?? 0)"
_LATE = 1.0  # seconds before an event at which a silence may seem to have begun
_TELLING = 3.0  # seconds for the journal's last lines


class RecoveryStage:
    """Two hosts with a browser each, and the places that they can be in: a context manager."""

    def __init__(self, lab: Lab, chromium: BrowserType, server: ConsoleServer, *, watched: float = WATCHED) -> None:
        self._lab = lab
        self._watched = watched
        self._server = server
        self._fleet = Fleet(chromium, lab)
        self._delay = Delay()
        self._prepared: set[int] = set()
        self._hosts: tuple[Host, Host] | None = None
        self._stack = contextlib.ExitStack()
        self._run = secrets.token_hex(3)
        self._runs = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for name, kind in PLACES.items():
                stack.callback(self._lab.detach, self._lab.attach(Site(name=name, kind=kind, delay=self._delay)))
            stack.enter_context(self._fleet)
            places = [self._lab.network.places[name] for name in PLACES]
            self._hosts = (places[0].hosts[0], places[1].hosts[0])
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the browsers, take the places down."""
        self._stack.close()

    def shape(self, delay: Delay) -> None:
        """Give all places lines of this kind."""
        self._delay = delay
        for name in PLACES:
            self._lab.network.shape(self._lab.network.places[name], delay)

    def play(self, row: Row, served: Served, *, number: int = 0, mode: Mode = Mode.NONE) -> Run:
        """Let it happen, to pages that are new."""
        self._runs += 1
        run = Run(row=row.name, subject=served.subject, ms=self._delay.ms, number=number, mode=mode.value)
        assert self._hosts
        for host, name in zip(self._hosts, row.places, strict=True):
            place = self._lab.network.places[name]
            if host.place is not place:
                self._lab.network.move(host, place)
        scene = Scene(lab=self._lab, server=self._server, hosts=self._hosts, delay=self._delay)
        try:
            if row.ready:
                row.ready(scene)
            scene.ends = self._pages(served, self._hosts, mode)
            self._measure(run, row, served, scene, mode)
            if mode is Mode.CAMERA:
                for end in scene.ends:  # the next run may be in another page, and a camera keeps a core busy
                    end.page.goto("about:blank")
        except (BrowserError, AssertionError) as error:
            run.failure = f"{error}".strip()
            states = [f"{end.host.node}: {', '.join(end.take_problems())}" for end in scene.ends]
            run.failure += "\n" + "\n".join(states)
            # Whatever it was, the next run begins with browsers that are new.
            self._prepared.clear()
            for host in self._hosts:
                self._fleet.close(host.node)
        finally:
            scene.put_back()
        return run

    def _pages(self, served: Served, hosts: tuple[Host, Host], mode: Mode) -> tuple[End, End]:
        first, second = (self._fleet.end(host, served, camera=mode is Mode.CAMERA) for host in hosts)
        for end in (first, second):
            if id(end) not in self._prepared:
                self._prepared.add(id(end))
                end.page.add_init_script(_PUMP)
        for end in (first, second):
            _load(end, served)
        for end in (first, second):
            expect(end.page.locator("body")).to_have_attribute("data-state", "ready", timeout=_MEETING)
            end.take_problems()
        return first, second

    def _measure(self, run: Run, row: Row, served: Served, scene: Scene, mode: Mode) -> None:
        ends = scene.ends
        session = f"{served.subject}-{self._run}-{self._runs:05}"
        _meet(ends, session, mode)
        for who, end in zip("ab", ends, strict=True):
            end.page.evaluate(f"pump.start('{who}', {EVERY})")
        if mode is Mode.CAMERA and not _expect_media(ends, 0, _MEETING / 1000):
            raise AssertionError("picture and sound did not come")
        _expect_messages(ends, time.time() + WARM, _MEETING / 1000)
        if row.standby:
            wait_until(lambda: all(end.ask("standbys") for end in ends), _MEETING / 1000)
        standbys = [end.ask("standbys") for end in ends]
        concealed = [end.page.evaluate("pump.concealed()") for end in ends]
        generations = [end.page.evaluate(_GENERATION) for end in ends]
        relays = self._relays_made(session)
        watched = self._watched if row.within is None else row.within + 1
        try:
            begun = time.time()
            counted = row.act(scene)
            done = time.time()
            run.took = round(done - begun - row.seconds, 3)
            run.back = _expect_messages(ends, done + watched, _PATIENCE)
            if mode is Mode.CAMERA and run.back and not _expect_media(ends, done + watched, _PATIENCE):
                run.dark = [end.page.evaluate("pump.picture()") for end in ends]
            sent = [end.page.evaluate("pump.stop()") for end in ends]
            deadline = time.time() + (_PATIENCE if run.back else 0)
            for end, count in zip(ends, reversed(sent), strict=True):
                end.page.evaluate(f"pump.complete({count}, {max(deadline - time.time(), 0) * 1000})")
            over = time.time()  # on a busy machine the reports take a second, in which nobody looks at the picture
            pumps = [end.page.evaluate("pump.report()") for end in ends]
            reports = [end.ask("report") for end in ends]
            run.relays = self._relays_made(session) - relays  # before a server that was killed begins a new log
            concealed = [
                end.page.evaluate("pump.concealed()") - so_far for end, so_far in zip(ends, concealed, strict=True)
            ]
        finally:
            scene.put_back()
        hang_up(ends)
        journals = _journals(served, session)
        if served.journal:
            run.session = session
            told = account_of(served.journal, session).sentences
            # What a slow machine suspected before is not of the event.
            run.account = [
                (one.rule, one.text) for one in told if not one.rule.startswith("outage") or one.at > begun - _LATE
            ]
        run.ends = tuple(
            seen(
                end,
                *(pumps[side], reports[side], journals[side], sent[1 - side]),
                begun=begun,
                counted=counted,
                over=over,
                back=run.back,
                concealed=concealed[side],
                generation=generations[side],
            )
            for side, end in enumerate(ends)
        )
        for each, count in zip(run.ends, standbys, strict=True):
            each.standbys = count

    def _relays_made(self, session: str) -> int:
        return sum(server.allocations(session).made for server in (self._lab.turn1, self._lab.turn2))


def _load(end: End, served: Served) -> None:
    """Load the page anew. Chromium breaks off what it is loading when it hears of a change, if of one a moment ago."""
    for _ in range(_LOADS):
        with contextlib.suppress(BrowserError):
            end.page.goto(served.address, wait_until="commit")
            return
    end.page.goto(served.address, wait_until="commit")


def _meet(ends: Sequence[End], session: str, mode: Mode) -> None:
    first, second = ends
    for end in ends:
        end.page.bring_to_front()
        end.begin(session, camera=mode is Mode.CAMERA, microphone=mode is Mode.CAMERA)
        end.page.evaluate("pump.forget()")
    first.connect()
    expect(first.page.locator("body")).to_have_attribute("data-state", "waiting", timeout=_MEETING)
    second.connect()
    for end in ends:
        expect(end.page.locator("body")).to_have_attribute("data-state", "connected", timeout=_MEETING)


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
