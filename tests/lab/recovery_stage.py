"""One run: two pages meet, write to each other, something happens, and everything that came of it is written down."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from playwright.sync_api import Error as BrowserError
from playwright.sync_api import expect

from tests.lab.browser import Fleet, hang_up
from tests.lab.cell import wait_until
from tests.lab.delay import Delay
from tests.lab.recovery_rows import PLACES, Scene
from tests.lab.topology import Site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import BrowserType

    from tests.lab.browser import End
    from tests.lab.lab import Lab
    from tests.lab.recovery_rows import Row
    from tests.lab.recovery_server import ConsoleServer
    from tests.lab.servers import Served
    from tests.lab.topology import Host

EVERY = 50  # ms between two messages of one side: 20 a second

_PUMP = Path(__file__).with_suffix("").with_name("recovery.js").read_text()
_WARM = 3.0  # seconds of messages before the event: the path has settled, and its round trip is known
_WATCHED = 4.0  # seconds of messages after it: what breaks late is seen as well
_PATIENCE = 45.0  # seconds for messages to come again: Chromium gives a path up after some 15
_MEETING = 30_000  # ms
_TELLING = 3.0  # seconds for the journal's last lines
_JOURNALED = frozenset(
    {
        *("suspect", "attempt", "recovered", "no-alarm", "restart", "network", "relay-suspected", "relay-well"),
        *("description", "ignored", "operation-failed", "refused", "failed", "fault", "signaling", "peer", "pair"),
        *("channel", "state", "message", "ice-configuration", "stats", "candidate-local", "candidate-remote"),
        *("standby", "standby-used"),
    }
)
"""What is kept of the console's journal: all that recovery decides, and what it decides on."""


@dataclass(kw_only=True)
class Seen:
    """One end of a run. Times are seconds after the event began."""

    host: str
    arrivals: list[float]
    sent: int
    lost: int
    doubled: int
    disordered: int
    refused: int  # what the page would not take, and its person wrote again
    silence: float  # the longest
    silent_from: float
    stall: float  # by which its timers were late at most: the machine is to blame for it
    connections: int  # of RTCPeerConnection, in this session, but for standbys
    handshakes: int  # of DTLS, of those
    standbys: int = 0  # that were ready to take over when the event began
    generation: int  # data-ice-generation at the end
    state: str  # data-state at the end
    path: str = ""  # data-path at the end
    states: list[tuple[float, str]]  # since the event
    timeline: list[tuple[float, str, str]]  # what the browser and the journal say, from a little before the event
    suspicions: list[str]  # the evidence of each
    attempts: list[str]  # the rung of each
    outages: list[float]  # as the console measured them
    problems: list[str]


@dataclass(kw_only=True)
class Run:
    """A row, once."""

    row: str
    subject: str
    ms: float  # one way, at each site
    number: int
    took: float = 0.0  # seconds of the lab for the event itself
    back: bool = False  # whether both received again
    ends: tuple[Seen, ...] = ()
    failure: str = ""  # why there is nothing to count

    @property
    def gap(self) -> float:
        """The longest silence at either receiver, in seconds."""
        return max((end.silence for end in self.ends), default=float("inf")) if self.back else float("inf")

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost, nothing came twice, and all in order."""
        return bool(self.ends) and not any(end.lost or end.doubled or end.disordered for end in self.ends)

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return asdict(self) | {"gap": self.gap if self.back else None}


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

    def play(self, row: Row, served: Served, *, number: int = 0) -> Run:
        """Let it happen, to pages that are new."""
        self._runs += 1
        run = Run(row=row.name, subject=served.subject, ms=self._delay.ms, number=number)
        ends: tuple[End, ...] = ()
        try:
            ends = self._pages(row, served)
            self._measure(run, row, served, (ends[0], ends[1]))
        except (BrowserError, AssertionError) as error:
            run.failure = f"{error}".strip()
            states = [f"{end.host.node}: {', '.join(end.take_problems())}" for end in ends]
            run.failure += "\n" + "\n".join(states)
            # Whatever it was, the next run begins with browsers that are new.
            self._prepared.clear()
            for host in self._hosts or ():
                self._fleet.close(host.node)
        return run

    def _pages(self, row: Row, served: Served) -> tuple[End, End]:
        assert self._hosts
        for host, name in zip(self._hosts, row.places, strict=True):
            place = self._lab.network.places[name]
            if host.place is not place:
                self._lab.network.move(host, place)
        first, second = (self._fleet.end(host, served) for host in self._hosts)
        for end in (first, second):
            if id(end) not in self._prepared:
                self._prepared.add(id(end))
                end.page.add_init_script(_PUMP)
        for end in (first, second):
            end.page.goto(served.address, wait_until="commit")
        for end in (first, second):
            expect(end.page.locator("body")).to_have_attribute("data-state", "ready", timeout=_MEETING)
            end.take_problems()
        return first, second

    def _measure(self, run: Run, row: Row, served: Served, ends: tuple[End, End]) -> None:
        session = f"{served.subject}-{self._run}-{self._runs:05}"
        _meet(ends, session)
        for who, end in zip("ab", ends, strict=True):
            end.page.evaluate(f"pump.start('{who}', {EVERY})")
        _expect_messages(ends, time.time() + _WARM, _MEETING / 1000)
        if row.standby:
            wait_until(lambda: all(end.ask("standbys") for end in ends), _MEETING / 1000)
        standbys = [end.ask("standbys") for end in ends]
        scene = Scene(lab=self._lab, server=self._server, ends=ends, delay=self._delay)
        try:
            begun = time.time()
            counted = row.act(scene)
            done = time.time()
            run.took = round(done - begun - row.seconds, 3)
            run.back = _expect_messages(ends, done + _WATCHED, _PATIENCE)
            sent = [end.page.evaluate("pump.stop()") for end in ends]
            deadline = time.time() + (_PATIENCE if run.back else 0)
            for end, count in zip(ends, reversed(sent), strict=True):
                end.page.evaluate(f"pump.complete({count}, {max(deadline - time.time(), 0) * 1000})")
            pumps = [end.page.evaluate("pump.report()") for end in ends]
            reports = [end.ask("report") for end in ends]
            over = time.time()
        finally:
            for undo in reversed(scene.undo):
                undo()
        hang_up(ends)
        journals = _journals(served, session)
        run.ends = tuple(
            _seen(end, pump, report, journal, count, begun=begun, counted=counted, over=over, back=run.back)
            for end, pump, report, journal, count in zip(ends, pumps, reports, journals, reversed(sent), strict=True)
        )
        for seen, count in zip(run.ends, standbys, strict=True):
            seen.standbys = count


def _meet(ends: tuple[End, End], session: str) -> None:
    first, second = ends
    for end in ends:
        end.begin(session)
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


def _seen(
    end: End,
    pump: dict[str, Any],
    report: dict[str, Any],
    journal: Sequence[dict[str, Any]],
    sent: int,
    *,
    begun: float,
    counted: float | None,
    over: float,
    back: bool,
) -> Seen:
    numbers = [number for _, number, _, _ in pump["received"]]
    arrivals = [at / 1000 - begun for *_, at in pump["received"]]
    silence, silent_from = _longest_silence(
        arrivals, None if counted is None else counted - begun, None if back else over - begun
    )
    timeline = [
        (round(event["at"] / 1000 - begun, 3), event["what"], event["text"])
        for event in report["events"]
        if event["what"] != "candidate"
    ]
    timeline += [
        (round(entry["at"] / 1000 - begun, 3), f"console: {entry['event']}", _words(entry["data"]))
        for entry in journal
        if entry["event"] in _JOURNALED
    ]
    # What comes later is the other side's hanging up.
    after = [entry for entry in journal if begun <= entry["at"] / 1000 <= over]
    return Seen(
        host=end.host.node,
        arrivals=[round(at, 3) for at in arrivals],
        sent=len(pump["sent"]),
        lost=sent - len(set(numbers)),
        doubled=len(numbers) - len(set(numbers)),
        disordered=sum(later < earlier for earlier, later in pairwise(numbers)),
        refused=pump["refused"],
        silence=round(silence, 3),
        silent_from=round(silent_from, 3),
        stall=round(_stall(pump["ticks"], begun), 3),
        connections=report["connections"],
        handshakes=sum((event["what"], event["text"]) == ("dtls", "connected") for event in report["events"]),
        generation=int(report["said"].get("iceGeneration", 0)),
        state=report["state"],
        path=report["said"].get("path", ""),
        states=[(round(at / 1000 - begun, 3), state) for at, state in pump["states"] if at / 1000 >= begun],
        timeline=sorted((event for event in timeline if event[0] > -_WARM), key=lambda event: event[0]),
        suspicions=[entry["data"]["evidence"] for entry in after if entry["event"] == "suspect"],
        attempts=[entry["data"]["rung"] for entry in after if entry["event"] == "attempt"],
        outages=[entry["data"]["seconds"] for entry in after if entry["event"] == "recovered"],
        problems=end.take_problems(),
    )


def _longest_silence(arrivals: Sequence[float], counted: float | None, ended: float | None) -> tuple[float, float]:
    """Return the longest silence since the event and when it began.

    `counted` is when silence begins to count, if not with the last arrival before the event; `ended` is when there was
    no more patience, if there was none.
    """
    after = 0.0 if counted is None else counted
    before = [at for at in arrivals if at <= after]
    begin = before[-1] if before and counted is None else after
    times = [begin, *(at for at in arrivals if at > after), *([] if ended is None else [ended])]
    return max(((later - earlier, earlier) for earlier, later in pairwise(times)), default=(0.0, begin))


def _stall(ticks: Sequence[float], begun: float) -> float:
    pauses = [late - early for early, late in pairwise(ticks) if late / 1000 > begun]
    return (max(pauses, default=EVERY) - EVERY) / 1000


def _words(data: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in data.items() if value not in (None, ""))[:300]
