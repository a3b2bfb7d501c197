"""Where runs take place: two hosts with a browser each, the places that they can be in, and pages that are new."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Self

from playwright.sync_api import Error as BrowserError
from playwright.sync_api import expect

from tests.lab.browser import Fleet
from tests.lab.delay import Delay
from tests.lab.recovery_scene import PLACES, Scene
from tests.lab.recovery_seen import Mode, Run
from tests.lab.recovery_session import MEETING, Laps, Session
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
_LOADS = 2  # more, if the first one fails


class RecoveryStage:
    """Two hosts with a browser each, and the places that they can be in: a context manager."""

    def __init__(self, lab: Lab, chromium: BrowserType, server: ConsoleServer) -> None:
        self._lab = lab
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
        """Let it happen once, to pages that are new."""
        [run] = self.series(row, served, numbers=(number,), mode=mode)
        return run

    def series(self, row: Row, served: Served, *, numbers: Sequence[int], mode: Mode = Mode.NONE) -> list[Run]:
        """Let it happen in a session of pages that are new, once for each number.

        Between two of them the session has to become what it was at first; if it does not, there are fewer.
        """
        laps = Laps()
        self._runs += 1
        assert self._hosts
        for host, name in zip(self._hosts, row.places, strict=True):
            place = self._lab.network.places[name]
            if host.place is not place:
                self._lab.network.move(host, place)
        scene = Scene(lab=self._lab, server=self._server, hosts=self._hosts, delay=self._delay)
        session: Session | None = None
        failed: list[Run] = []
        try:
            if row.ready:
                row.ready(scene)
            laps.lap("prepare")
            scene.ends = self._pages(served, self._hosts, mode)
            laps.lap("load")
            name = f"{served.subject}-{self._run}-{self._runs:05}"
            session = Session(name, served, scene, mode, laps)
            session.begin()
            for number in numbers:
                if not session.settle(row):
                    break
                session.play(row, self._new_run(row, served, number, mode))
            session.end()
            laps.lap("part")
        except (BrowserError, AssertionError) as error:
            played = session.played if session else 0
            run = self._new_run(row, served, numbers[min(played, len(numbers) - 1)], mode)
            states = [f"{end.host.node}: {', '.join(end.take_problems())}" for end in scene.ends]
            run.failure = "\n".join([f"{error}".strip(), *states])
            failed.append(run)
            # Whatever it was, the next run begins with browsers that are new.
            self._prepared.clear()
            for host in self._hosts:
                self._fleet.close(host.node)
        finally:
            scene.put_back()
        # If they could not even part, the last event counts for nothing.
        runs = session.runs()[: len(numbers) - len(failed)] if session else []
        if mode is Mode.CAMERA and not failed:
            for end in scene.ends:  # the next run may be in another page, and a camera keeps a core busy
                end.page.goto("about:blank")
        return [*runs, *failed]

    def _new_run(self, row: Row, served: Served, number: int, mode: Mode) -> Run:
        return Run(row=row.name, subject=served.subject, ms=self._delay.ms, number=number, mode=mode.value)

    def _pages(self, served: Served, hosts: tuple[Host, Host], mode: Mode) -> tuple[End, End]:
        first, second = (self._fleet.end(host, served, camera=mode is Mode.CAMERA) for host in hosts)
        for end in (first, second):
            if id(end) not in self._prepared:
                self._prepared.add(id(end))
                end.page.add_init_script(_PUMP)
        for end in (first, second):
            _load(end, served)
        for end in (first, second):
            expect(end.page.locator("body")).to_have_attribute("data-state", "ready", timeout=MEETING)
            end.take_problems()
        return first, second


def _load(end: End, served: Served) -> None:
    """Load the page anew. Chromium breaks off what it is loading when it hears of a change, if of one a moment ago."""
    for _ in range(_LOADS):
        with contextlib.suppress(BrowserError):
            end.page.goto(served.address, wait_until="commit")
            return
    end.page.goto(served.address, wait_until="commit")
